"""Rasters on another grid: the part that is needed is read, made into values, and only then resampled."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.warp
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.enums import Resampling

from icectl.arrays import F32, Array
from icectl.errors import UsageError
from icectl.raster.files import opened
from icectl.raster.grid import Grid, grid_of_dataset
from icectl.raster.ground import ground_metres
from icectl.raster.stored import Masked, check_band, masked

MAX_PIXELS = 2**24
"""Pixels of a file that are held at a time."""

PAD = 4
"""Pixels read around what is needed: for interpolation, and for the rim of voids."""

Convert = Callable[[Masked], F32]


def read_on(
    path: str | Path,
    grid: Grid,
    resampling: str = "nearest",
    band: int = 1,
) -> Masked:
    """Read a band of a raster on another grid; only the part that the grid needs is read.

    Parameters
    ----------
    resampling
        A name of `rasterio.enums.Resampling`: ``"nearest"`` for classes and flags, ``"bilinear"`` or
        ``"cubic"`` for quantities, ``"average"`` where pixels grow.
    band
        1-based number of the band.

    Returns
    -------
    Masked
        The grid's shape; masked outside the raster and where its pixels have no value.

    Raises
    ------
    DataError
        The file cannot be read or has no CRS.
    UsageError
        `resampling` is no method.
    """
    with opened(path) as source:
        grid_of_dataset(source, path)
        check_band(source, band, path)
        return onto(source, grid, resampling, band)


def onto(source: Any, grid: Grid, method: str, band: int, convert: Convert | None = None) -> Masked:
    """Read a band of an open raster, stored in whatever order of rows and columns, on another grid.

    `convert` makes values (float32, NaN where missing) of what is stored, before it is resampled.
    """
    if method not in Resampling.__members__:
        raise UsageError(f"unknown resampling '{method}'", f"known: {', '.join(Resampling.__members__)}")
    stored = GeoBox(source.shape, source.transform, source.crs)
    dtype = np.dtype(np.float32 if convert else source.dtypes[band - 1])
    out, hidden = np.zeros(grid.shape, dtype), np.ones(grid.shape, bool)
    for rows in _strips(stored, grid):
        target = grid[rows]
        part, east = _needed(stored, target)
        if part is None:
            continue
        raw = masked(source, band, part)
        place = Affine.translation(east, 0) * stored.affine * Affine.translation(part[1].start, part[0].start)
        near = GeoBox(raw.shape, place, stored.crs)
        if convert is None and method == "nearest":
            out[rows] = _moved(raw.data, near, target, method, 0)
            hidden[rows] = _moved(np.ma.getmaskarray(raw).astype(np.uint8), near, target, method, 1) != 0
        else:
            values = convert(raw) if convert else np.ma.filled(raw.astype(np.float32), np.nan)
            made = _moved(values, near, target, method, np.nan)
            hidden[rows] = ~np.isfinite(made)
            made[hidden[rows]] = 0
            out[rows] = np.rint(made) if dtype.kind in "iu" else made
    return np.ma.MaskedArray(out, mask=hidden)


def _strips(stored: GeoBox, grid: Grid) -> Iterator[slice]:
    """Cut the rows of a grid so that each strip needs at most about `MAX_PIXELS` of the file."""
    part, _ = _needed(stored, grid)
    pixels = 0 if part is None else math.prod(side.stop - side.start for side in part)
    step = max(1, grid.shape[0] // (1 + pixels // MAX_PIXELS))
    for top in range(0, grid.shape[0], step):
        yield slice(top, min(top + step, grid.shape[0]))


def _needed(stored: GeoBox, grid: Grid) -> tuple[tuple[slice, slice] | None, float]:
    """Return the rows and columns of a file that a grid needs, and by how many degrees it is to be turned.

    A file of longitudes from 0 to 360 is turned by 360° where the grid counts them from −180 to 180.
    """
    (height, width), (rows, columns) = stored.shape, grid.shape
    row, col = np.meshgrid(np.linspace(0, rows, 17), np.linspace(0, columns, 17), indexing="ij")
    x, y = grid.affine * (col.ravel(), row.ravel())
    if stored.crs != grid.crs:
        ours, theirs = (CRS.from_user_input(str(one.crs)) for one in (grid, stored))
        x, y = Transformer.from_crs(ours, theirs, always_xy=True).transform(x, y)
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return None, 0.0
    x, y, turn = np.asarray(x)[known], np.asarray(y)[known], 0.0
    if stored.crs is not None and stored.crs.geographic:
        middle = (stored.affine * (width / 2, height / 2))[0]
        turn = 360.0 * round((middle - float(np.median(x))) / 360)
    cols, lines = ~stored.affine * (x + turn, y)
    sides = []
    for found, size, steps in ((lines, height, rows), (cols, width, columns)):
        pad = PAD + 2 * np.ptp(found) / steps + 0.01 * np.ptp(found)
        sides.append(slice(max(0, math.floor(found.min() - pad)), min(size, math.ceil(found.max() + pad))))
    if any(side.stop <= side.start for side in sides):
        return None, 0.0
    return (sides[0], sides[1]), -turn


def _moved(values: Array, source: GeoBox, target: Grid, method: str, void: float) -> Any:
    """Resample an array from one grid to another."""
    if values.dtype.kind == "b" or values.dtype in (np.int64, np.uint64):
        values = values.astype(np.float64)
    out = np.full(target.shape, void, values.dtype)
    rasterio.warp.reproject(
        np.ascontiguousarray(values), out,
        src_transform=source.affine, src_crs=source.crs.to_wkt(),
        dst_transform=target.affine, dst_crs=target.crs.to_wkt(),
        resampling=Resampling[method], init_dest_nodata=False,
        **({"src_nodata": np.nan, "dst_nodata": np.nan} if np.isnan(void) else {}),
    )  # fmt: skip
    return out


def warp(values: Array, source: Grid, target: Grid) -> F32:
    """Bring float values ``(rows, columns)`` from one grid to another; NaN is missing.

    Between pixels it is bilinear; where they grow by half or more it is their average.
    """
    method = "average" if ground_metres(target) / ground_metres(source) > 1.5 else "bilinear"
    made: F32 = _moved(values.astype(np.float32), source, target, method, np.nan)
    return made
