"""Elevation models: reading, suspicion, and a metric grid of square pixels.

Heights are metres above sea level in float32, with NaN where nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from scipy import ndimage

from icectl.errors import DataError
from icectl.raster import Grid, utm_crs

Heights = NDArray[np.float32]

LOWEST, HIGHEST = -500.0, 9000.0
"""Heights (m) outside of which no land lies (shore of the Dead Sea −430 m, Everest 8849 m)."""

STEEPEST_MEDIAN = 1.4
"""Median slope (m/m; 54°) above which no mountain range of kilometres is: the heights are in another unit."""


@dataclass(frozen=True, slots=True)
class Terrain:
    """Heights on a metric grid; `native` is the grid of the file, `notes` what was mended."""

    name: str
    heights: Heights
    grid: Grid
    native: Grid
    notes: tuple[str, ...] = ()

    @property
    def resolution(self) -> float:
        """Pixel size in metres."""
        return float(self.grid.affine.a)


def checked(values: Heights, name: str) -> Heights:
    """Return `values`, or refuse them where they hold nothing or cannot be metres.

    Raises
    ------
    DataError
        Nothing valid, or heights above any mountain.
    """
    _check_heights(values, name)
    return values


def without_hidden_voids(values: Heights, name: str) -> tuple[Heights, tuple[str, ...]]:
    """Mask voids that the file does not declare, and the pixels that resampling mixed with them.

    Returns the heights, and a sentence about what was masked if anything was.
    """
    void = values < LOWEST
    if not void.any():
        return values, ()
    # A void that was resampled before leaves a rim of values between it and the ground.
    rim = ndimage.binary_dilation(void, iterations=2)
    lowest = float(np.nanmin(values))
    note = (
        f"{name}: {100 * rim.mean():.1f} % of the pixels are undeclared nodata "
        f"({lowest:g} and its neighbours): taken for missing"
    )
    return np.where(rim, np.float32(np.nan), values), (note,)


def _check_heights(values: Heights, path: str) -> None:
    if not np.isfinite(values).any():
        raise DataError(f"{path} holds no valid height: all is nodata", "give another elevation model")
    top = float(np.nanmax(values))
    if top > HIGHEST:
        unit = next(
            (u for u, f in (("feet", 3.2808), ("decimetres", 10.0)) if top / f < HIGHEST), "another unit"
        )
        raise DataError(
            f"{path}: heights reach {top:.0f}, which cannot be metres (perhaps {unit})",
            "convert the elevation model to metres",
        )


def check_slopes(heights: Heights, resolution: float, path: str) -> None:
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


def on_metric_grid(values: Heights, native: Grid, resolution: float | None) -> tuple[Heights, Grid]:
    """Bring heights onto square metric pixels; a grid that has them stays unless `resolution` differs."""
    a = native.affine
    square = abs(a.a + a.e) < 1e-6 * abs(a.a) and a.b == a.d == 0 and a.a > 0
    # Finer than the file would invent detail: a coarser elevation model keeps its own pixels.
    coarser = resolution is None or resolution <= a.a * 1.05
    if native.crs.projected and square and _in_metres(native) and coarser:
        return values, native
    grid = metric_grid(native, resolution)
    return warp(values, native, grid), grid


def metric_grid(native: Grid, resolution: float | None) -> Grid:
    """Return a grid of square metric pixels that covers `native`: its own CRS, or its UTM zone."""
    box = native.geographic_extent.boundingbox
    lon, lat = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    if native.crs.projected and _in_metres(native):
        crs, size = native.crs.to_wkt(), max(resolution or 0.0, abs(native.affine.a))
        extent = native.extent.boundingbox
    else:
        crs = utm_crs(lon, lat)
        extent = native.extent.to_crs(crs).boundingbox
        across = 111_320.0 * abs(native.affine.e)
        size = max(resolution or 0.0, float(max(1, round(across))))
    rows = max(1, int(np.ceil((extent.top - extent.bottom) / size - 1e-6)))
    cols = max(1, int(np.ceil((extent.right - extent.left) / size - 1e-6)))
    return GeoBox((rows, cols), Affine(size, 0, extent.left, 0, -size, extent.top), crs)


def _in_metres(grid: Grid) -> bool:
    return str(grid.crs.units[0]).lower() in ("metre", "meter", "m")


def warp(values: NDArray[np.floating], source: Grid, target: Grid, resampling: str = "bilinear") -> Heights:
    """Bring float values from one grid to another; NaN is missing. Averages where pixels grow."""
    shape = source.shape
    ratio = _pixel(target) / _pixel(source)
    method = "average" if ratio > 1.5 and resampling == "bilinear" else resampling
    profile = {"driver": "GTiff", "height": shape[0], "width": shape[1], "count": 1, "dtype": "float32"}
    with rasterio.io.MemoryFile() as memory:
        with memory.open(**profile, crs=source.crs.to_wkt(), transform=source.affine, nodata=np.nan) as made:
            made.write(values.astype("float32"), 1)
        with memory.open() as made, WarpedVRT(
            made, crs=target.crs.to_wkt(), transform=target.affine, height=target.shape[0],
            width=target.shape[1], resampling=Resampling[method], src_nodata=np.nan, nodata=np.nan,
        ) as warped:  # fmt: skip
            return np.asarray(warped.read(1), dtype="float32")


def metres_across(grid: Grid) -> tuple[float, float]:
    """Return width and height of a pixel in metres; in degrees, those in the middle of the grid."""
    across, down = abs(float(grid.affine.a)), abs(float(grid.affine.e))
    if not grid.crs.geographic:
        return across, down
    box = grid.geographic_extent.boundingbox
    return across * 111_320.0 * float(np.cos(np.radians((box.bottom + box.top) / 2))), down * 111_320.0


def _pixel(grid: Grid) -> float:
    """Return the pixel size in metres, near enough to choose a resampling."""
    size = float(abs(grid.affine.e))
    return size * 111_320.0 if grid.crs.geographic else size
