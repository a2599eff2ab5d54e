"""Windowed reads, north up, with nodata and NaN as a mask; resampling only on purpose.

Numbers come as they are stored; `icectl.raster.read_quantity` turns them into values of a stated unit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.vrt import WarpedVRT

from icectl.errors import DataError, UsageError
from icectl.raster.files import opened
from icectl.raster.grid import Grid, grid_of_dataset, turns
from icectl.raster.tiles import Window

Masked: TypeAlias = np.ma.MaskedArray[Any, np.dtype[Any]]
"""Values with a boolean mask of the same shape that is True where there is no valid value."""


class Info:
    """Facts of a raster file, read from its header alone.

    Attributes
    ----------
    path
        The file.
    crs
        The CRS as text (``"EPSG:32643"``), or None.
    grid
        The grid, or None where the file has no CRS.
    shape, count, dtype, nodata
        Rows and columns, bands, type of the first band, and its nodata value or None.
    descriptions, scales, offsets, units
        One a band; ``value = number * scale + offset``.
    alpha
        Number of the band that says what is transparent, or 0.
    tags
        The tags of the file and of its first band (``TIFFTAG_DATETIME``, …).
    """

    def __init__(self, path: str | Path, driver: str | None = None) -> None:
        self.path = Path(path)
        with opened(path, driver) as source:
            self.crs: str | None = source.crs.to_string() if source.crs else None
            self.grid: Grid | None = None if source.crs is None else grid_of_dataset(source, path)
            self.shape: tuple[int, int] = source.shape if self.grid is None else tuple(self.grid.shape)
            self.count: int = source.count
            self.dtype: str = source.dtypes[0]
            self.nodata: float | None = source.nodata
            self.descriptions: tuple[str | None, ...] = source.descriptions
            self.scales: tuple[float, ...] = source.scales
            self.offsets: tuple[float, ...] = source.offsets
            self.units: tuple[str | None, ...] = source.units
            self.alpha: int = next(
                (n for n, c in enumerate(source.colorinterp, 1) if c == ColorInterp.alpha), 0
            )
            self.tags: dict[str, str] = {**source.tags(1), **source.tags()}


def read(path: str | Path, window: Window | None = None, band: int | None = 1) -> Masked:
    """Read a band, or a window of it.

    Parameters
    ----------
    path
        The raster file.
    window
        The part to read; all of it by default. It must lie inside the raster.
    band
        1-based number of the band; None reads all of them.

    Returns
    -------
    Masked
        ``(rows, columns)``, or ``(bands, rows, columns)`` for ``band=None``, in the file's type;
        masked where the file says nodata and where a float is not finite.

    Raises
    ------
    DataError
        The file cannot be read, or has no such band or window.
    """
    with opened(path) as source:
        _check_band(source, band, path)
        turned = turns(source.transform)
        if turned is None and source.crs is not None:  # rotated: onto the north-up grid around it
            whole = grid_of_dataset(source, path)
            return _warped(source, _part(whole, window, path), "nearest", band)
        _part(GeoBox(source.shape, source.transform, None), window, path)
        flip_rows, flip_columns = turned or (False, False)
        part = None if window is None else _stored(window, source.shape, flip_rows, flip_columns)
        values = _without_nan(_masked(source, band, part))
        return values[..., :: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def read_on(
    path: str | Path,
    grid: Grid,
    resampling: str = "nearest",
    band: int | None = 1,
    *,
    crs: str | None = None,
) -> Masked:
    """Read a raster on another grid; only the part that the grid needs is read.

    Parameters
    ----------
    path
        The raster file.
    grid
        The grid of the result.
    resampling
        A name of `rasterio.enums.Resampling`: ``"nearest"`` for classes and flags, ``"bilinear"`` or
        ``"cubic"`` for quantities, ``"average"`` where pixels grow.
    band
        1-based number of the band; None reads all of them.
    crs
        The CRS of a file that carries none.

    Returns
    -------
    Masked
        The grid's shape; masked outside the raster and where its pixels are nodata or NaN.

    Raises
    ------
    DataError
        The file cannot be read or has no CRS.
    UsageError
        `resampling` is no method.
    """
    if resampling not in Resampling.__members__:
        raise UsageError(f"unknown resampling '{resampling}'", f"known: {', '.join(Resampling.__members__)}")
    with opened(path) as source:
        grid_of_dataset(source, path, crs)
        _check_band(source, band, path)
        return _warped(source, grid, resampling, band, crs)


def _warped(source: Any, grid: Grid, resampling: str, band: int | None, crs: str | None = None) -> Masked:
    """Read an open raster on another grid."""
    nodata = source.nodata
    if nodata is None and np.dtype(source.dtypes[0]).kind == "f":
        nodata = np.nan
    rows, columns = grid.shape
    with WarpedVRT(
        source,
        src_crs=source.crs or crs,
        crs=str(grid.crs),
        transform=grid.affine,
        height=rows,
        width=columns,
        resampling=Resampling[resampling],
        src_nodata=nodata,
        nodata=nodata,
        # Without a nodata value only an alpha band can say "outside".
        add_alpha=nodata is None and ColorInterp.alpha not in source.colorinterp,
    ) as warped:
        wanted = list(range(1, source.count + 1)) if band is None else band
        values = warped.read(wanted, masked=nodata is not None)
        if nodata is None:
            outside = warped.dataset_mask() == 0
            values = np.ma.MaskedArray(values, mask=np.broadcast_to(outside, values.shape))
        return _without_nan(values)


def check_end(path: str | Path, driver: str | None = None) -> None:
    """Read the last block of a raster, which a truncated file lacks.

    Raises
    ------
    DataError
        It cannot be read.
    """
    with opened(path, driver) as source:
        rows, columns = (
            -(-size // block) - 1 for size, block in zip(source.shape, source.block_shapes[0], strict=True)
        )
        source.read(1, window=source.block_window(1, rows, columns))


def _part(grid: Grid, window: Window | None, path: str | Path) -> Grid:
    """Return the part of a grid in a window, or refuse a window that reaches beyond it."""
    if window is None:
        return grid
    if not Window(0, 0, *grid.shape).contains(window):
        rows, columns = grid.shape
        raise DataError(f"{tuple(window)} is no window of {path} ({rows} × {columns} pixels)")
    return grid[window.slices]


def _stored(window: Window, shape: tuple[int, int], rows: bool, columns: bool) -> tuple[slice, slice]:
    """Return where a north-up window lies in a file whose rows or columns are stored in reverse."""
    top = shape[0] - window.row - window.height if rows else window.row
    left = shape[1] - window.col - window.width if columns else window.col
    return slice(top, top + window.height), slice(left, left + window.width)


def require_valid(values: Masked, what: str) -> Masked:
    """Return `values`, or refuse them when nothing in them is valid.

    Raises
    ------
    DataError
        Every pixel is nodata or NaN; `what` names the raster.
    """
    if values.size == 0 or bool(np.ma.getmaskarray(values).all()):
        raise DataError(
            f"{what} holds no valid pixel: all is nodata or NaN", "leave it out or fetch it again"
        )
    return values


def filled(values: Masked, fill: float = float("nan")) -> npt.NDArray[np.float32]:
    """Return float32 values with `fill` where they are masked."""
    return np.where(np.ma.getmaskarray(values), np.float32(fill), values.data.astype(np.float32))


def _check_band(source: Any, band: int | None, path: str | Path) -> None:
    if band is not None and not 1 <= band <= source.count:
        raise DataError(f"{path} has no band {band}: it has {source.count}", "choose another band")


def _masked(source: Any, band: int | None, part: Any) -> Any:
    """Read all wanted bands in one call, and find nodata in what was read.

    GDAL makes a nodata mask by reading each band once more; where bands are interleaved by pixel and the
    file is larger than GDAL's cache, that decodes the whole file once a band.
    """
    bands = list(range(1, source.count + 1)) if band is None else [band]
    kinds = {flag for number in bands for flag in source.mask_flag_enums[number - 1]}
    plain = kinds <= {MaskFlags.all_valid, MaskFlags.nodata}
    if not plain or any(np.dtype(source.dtypes[number - 1]).kind not in "iuf" for number in bands):
        return source.read(band, window=part, masked=True)
    values = source.read(bands, window=part)
    mask = np.zeros(values.shape, dtype=bool)
    for layer, number, where in zip(values, bands, mask, strict=True):
        nodata = source.nodatavals[number - 1]
        if nodata is not None and _fits(nodata, layer.dtype):
            np.equal(layer, layer.dtype.type(nodata), out=where)
    result = np.ma.MaskedArray(values, mask=mask)
    return result if band is None else result[0]


def _fits(nodata: float, dtype: np.dtype[Any]) -> bool:
    """Tell whether a band of that type can hold the value; a nodata of -9999 says nothing of bytes."""
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype)
    return bool(np.isfinite(nodata)) and info.min <= nodata <= info.max and nodata == int(nodata)


def _without_nan(values: Any) -> Masked:
    """Give `values` a full mask that also covers NaN and infinity."""
    mask = np.ma.getmaskarray(values)
    if values.dtype.kind == "f":
        mask = mask | ~np.isfinite(values.data)
    return np.ma.MaskedArray(values.data, mask=mask)
