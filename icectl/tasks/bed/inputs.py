"""What the networks see. Everything is computed from what is known: nothing below a mask has a part in it.

Step (a), inpainting, sees heights with holes; step (b), thickness, sees the ice surface and the outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.bed import physics

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

Start = Literal["flat", "fill"]
"""What stands in a hole before the network: the mean height (the paper's), or the biharmonic fill."""

FILL_CHANNELS = (
    "biharmonic fill", "harmonic less biharmonic", "triharmonic less biharmonic", "depth into the hole",
    "roughness at 1 to 2 pixels", "at 2 to 4", "at 4 to 8", "hole size", "curvature over relief", "mask",
)  # fmt: skip
"""Channels of `icectl.tasks.bed.mixing.mixed_patch`, in order; those of `masked_patch` are four."""

SLOPE_GAIN = 8.0
"""Brings slopes of normalised heights, per pixel, to about one."""


def channel_count(start: Start) -> int:
    """Return the number of channels of step (a): the first holds heights, the last the mask."""
    return len(FILL_CHANNELS) if start == "fill" else 4


@dataclass(frozen=True, slots=True)
class Masked:
    """One masked patch: channels ``(c, y, x)``, and what turns normalised heights back into metres."""

    channels: Floats
    level: float
    scale: float

    def metres(self, normal: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return heights in metres."""
        return np.asarray(normal, dtype=np.float64) * self.scale + self.level


def masked_patch(heights: NDArray[np.floating], hidden: Bools) -> Masked:
    """Return the paper's channels of step (a): heights, slopes along x and y, mask.

    Heights are normalised by mean and spread of the *known* pixels; hidden ones have the mean, and slopes are
    those of the heights filled so: they say nothing of what is hidden.

    Parameters
    ----------
    heights
        ``(y, x)`` metres; values under `hidden` are not read.
    hidden
        ``(y, x)`` True where the ground is hidden; at least one pixel must be known.
    """
    known = heights[~hidden]
    level, scale = float(known.mean()), 4.0 * (float(known.std()) + 1.0)  # the answer is held to (−1, 1)
    normal = (np.where(hidden, level, heights) - level) / scale
    down, right = np.gradient(normal)
    planes = [normal, right * SLOPE_GAIN, down * SLOPE_GAIN]
    return Masked(np.stack([*planes, hidden]).astype(np.float32), level, scale)


def averaged(plane: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """Average a square plane to `size` pixels a side."""
    side = plane.shape[0]
    if side % size:
        raise ValueError(f"a patch of {side} pixels cannot be averaged to {size}")
    factor = side // size
    return np.asarray(np.asarray(plane, dtype=np.float64).reshape(size, factor, size, factor).mean((1, 3)))


def thin(heights: NDArray[np.floating], hidden: Bools, size: int) -> tuple[NDArray[np.float64], Bools]:
    """Average a square patch to `size` pixels; a block with any hidden pixel is hidden.

    Hidden blocks hold the mean of all their pixels: use them as targets, never as inputs.
    """
    if heights.shape[0] == size:
        return np.asarray(heights, dtype=np.float64), hidden
    return averaged(heights, size), averaged(hidden.astype(np.float64), size) > 0


PRIOR_SCALE = 0.55
"""Measured over computed thickness of `physics.mass_conservation`, on 22 measured glaciers (not the
test's).
"""

PRIOR_VOLUME_ERROR, PRIOR_PIXEL_ERROR = 0.54, 0.44
"""What the prior is off by on 23 measured glaciers (not the test's): the spread of ln(mean thickness), and a
pixel's error over the mean once that is right.
"""


def thickness_inputs(
    surface: NDArray[np.floating],
    ice: Bools,
    resolution: float,
    *,
    speed: NDArray[np.floating] | None = None,
    balance: NDArray[np.floating] | None = None,
) -> tuple[Floats, Floats]:
    """Return the channels of step (b) ``(c, y, x)`` and the prior thickness (m) ``(y, x)``; 0 off the ice.

    The channels are the logarithms of the thickness by flux, of the distance to the edge and of half the
    width, the place across, the logarithms of the slope and of the thickness by velocity, and where a
    velocity is known.

    Parameters
    ----------
    surface
        Height of the ice surface (m); off the ice it is used for slopes at the rim alone.
    ice
        Where the glacier is.
    resolution
        Pixel size in metres.
    speed
        Surface speed (m/a), NaN where unknown.
    balance
        Mass balance (m of ice a year), NaN where unknown; without, one linear in height.
    """
    size = float(np.sqrt(ice.sum()) * resolution)
    source = None if balance is None else np.where(np.isfinite(balance), balance, np.nanmean(balance[ice]))
    flux = physics.mass_conservation(surface, ice, resolution, source)
    distance = physics.edge_distance(ice, resolution)
    width = physics.local_half_width(distance, resolution)
    slope = np.maximum(physics.ice_slope(surface, ice, resolution, 0.05 * size), physics.GENTLEST)
    planes = [
        np.log(flux + 1.0),
        np.log(np.maximum(distance, 1.0)),
        np.log(np.maximum(width, 1.0)),
        distance / np.maximum(width, 1.0),
        np.log(slope),
        *_velocity_planes(speed, slope, ice),
    ]
    channels = np.where(ice, np.stack(planes), 0.0).astype(np.float32)
    return channels, (PRIOR_SCALE * flux).astype(np.float32)


def _velocity_planes(
    speed: NDArray[np.floating] | None, slope: NDArray[np.float64], ice: Bools
) -> list[NDArray[np.float64]]:
    """Return log thickness by shallow ice from half the surface speed, and where speed is known."""
    if speed is None:
        return [np.zeros(ice.shape), np.zeros(ice.shape)]
    known = np.isfinite(speed) & ice
    creep = 0.5 * np.where(known, speed, 0.0) / physics.YEAR
    weight = physics.SHAPE_FACTOR * physics.DENSITY * physics.GRAVITY
    stress = weight * np.sin(np.arctan(np.maximum(slope, physics.GENTLEST)))
    n = physics.GLEN
    depth = ((n + 1) * creep / (2 * physics.RATE * stress**n)) ** (1 / (n + 1))
    return [np.where(known, np.log(depth + 1.0), 0.0), known.astype(np.float64)]
