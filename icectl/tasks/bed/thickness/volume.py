"""Volume of ice, its interval, and the rise of the sea that it stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ICE_DENSITY = 900.0
"""kg/m³ of glacier ice with its firn, for mass (the usual value; thickness by flow laws uses 917)."""

WATER_DENSITY = 1000.0
OCEAN_AREA = 3.625e8
"""km² (Cogley et al. 2011)."""


@dataclass(frozen=True, slots=True)
class Volume:
    """km³ of ice with its interval, km² of area, metres of mean and greatest thickness."""

    volume: float
    low: float
    high: float
    area: float
    mean: float
    greatest: float


def integrate(
    thickness: NDArray[np.floating], ice: NDArray[np.bool_], resolution: float, factor: float
) -> Volume:
    """Return ``∬ (DEM − BED) dx dy`` over the ice, and its interval.

    Parameters
    ----------
    thickness
        Metres; the integral is a sum over pixels.
    resolution
        Pixel size in metres.
    factor
        What the interval extends to, up and down (1 or more).

    Examples
    --------
    >>> whole = integrate(np.full((10, 10), 50.0), np.ones((10, 10), dtype=bool), 100.0, 2.0)
    >>> whole.volume, whole.low, whole.high, whole.area
    (0.05, 0.025, 0.1, 1.0)
    """
    depth = np.where(ice, thickness, 0.0)
    area = float(ice.sum()) * resolution**2
    volume = float(depth.sum()) * resolution**2 / 1e9
    mean = volume * 1e9 / area if area else 0.0
    return Volume(volume, volume / factor, volume * factor, area / 1e6, mean, float(depth.max(initial=0.0)))


def sea_level(volume: float) -> float:
    """Return millimetres of sea level for km³ of ice above the sea's level: all of it melts into the ocean.

    >>> round(sea_level(158_000.0), 1)
    392.3
    """
    return volume * ICE_DENSITY / WATER_DENSITY / OCEAN_AREA * 1e6
