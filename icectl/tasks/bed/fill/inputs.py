"""What the network of step (a) sees: heights with holes. Nothing below a mask has a part in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

Start = Literal["flat", "fill"]
"""What stands in a hole before the network: the mean height (the paper's), or the biharmonic fill."""

FILL_CHANNELS = (
    "biharmonic fill", "harmonic less biharmonic", "triharmonic less biharmonic", "depth into the hole",
    "roughness at 1 to 2 pixels", "at 2 to 4", "at 4 to 8", "hole size", "curvature over relief", "mask",
)  # fmt: skip
"""Channels of `fill_features.mixed_patch`, in order; those of `masked_patch` are four."""

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
