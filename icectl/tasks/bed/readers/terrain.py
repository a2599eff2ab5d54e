"""Elevation models: reading, suspicion, and a metric grid of square pixels.

Heights are metres above sea level in float32, with NaN where nothing is known.
"""

from dataclasses import dataclass

import numpy as np

from icectl.arrays import F32
from icectl.errors import DataError
from icectl.raster import Grid, ground_grid, warp

STEEPEST_MEDIAN = 1.4
"""Median slope (m/m; 54°) above which no mountain range of kilometres is: the heights are in another unit."""


FLATTEST_MEDIAN = 0.003
"""The same (0.2°) below which ground that reaches less than 9 above the sea is no glacier's surroundings."""


@dataclass(frozen=True, slots=True)
class Terrain:
    """Heights on a metric grid; `native` is the grid of the file, `notes` what was mended."""

    name: str
    heights: F32
    grid: Grid
    native: Grid
    notes: tuple[str, ...] = ()

    @property
    def resolution(self) -> float:
        """Pixel size in metres."""
        return float(self.grid.affine.a)


def check_slopes(heights: F32, resolution: float, path: str) -> None:
    """Refuse heights so steep that they must be in another unit (feet below 2,743 m stay under 9,000)."""
    slope = np.hypot(*np.gradient(heights, resolution))
    known = slope[np.isfinite(slope)]
    if len(known) > 1000 and float(np.median(known)) > STEEPEST_MEDIAN:
        degrees = np.degrees(np.arctan(np.median(known)))
        raise DataError(
            f"{path}: half of the ground would be steeper than {degrees:.0f}°, so heights are hardly metres "
            "(perhaps feet or decimetres)",
            "convert the elevation model to metres, or check the pixel size of its CRS",
        )
    if len(known) > 1000 and float(np.nanmax(heights)) < 9 and float(np.median(known)) < FLATTEST_MEDIAN:
        raise DataError(
            f"{path}: heights reach {np.nanmax(heights):.2g} and the ground is flat, "
            "so they are hardly metres (perhaps kilometres)",
            "state their unit (gdal_edit.py -units km FILE), or convert the elevation model to metres",
        )


def on_ground(values: F32, native: Grid, resolution: float | None) -> tuple[F32, Grid, tuple[str, ...]]:
    """Bring heights onto square pixels of ground metres, with a sentence where that changes the grid."""
    ground = ground_grid(native, resolution)
    if not ground.warped:
        return values, native, ()
    said = (ground.sentence,) if ground.grid.crs != native.crs else ()
    return warp(values, native, ground.grid), ground.grid, said
