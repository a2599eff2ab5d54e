"""The rise of the sea that a volume of ice stands for."""

from __future__ import annotations

ICE_DENSITY = 900.0
"""kg/m³ of glacier ice with its firn, for mass (the usual value; thickness by flow laws uses 917)."""

WATER_DENSITY = 1000.0
OCEAN_AREA = 3.625e8
"""km² (Cogley et al. 2011)."""


def sea_level(volume: float) -> float:
    """Return millimetres of sea level for km³ of ice above the sea's level: all of it melts into the ocean.

    >>> round(sea_level(158_000.0), 1)
    392.3
    """
    return volume * ICE_DENSITY / WATER_DENSITY / OCEAN_AREA * 1e6
