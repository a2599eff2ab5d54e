"""What the networks of step (b) see: the ice surface and the outline, and what physics makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.bed.thickness import physics

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

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
