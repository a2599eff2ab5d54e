"""Windowed reads, north up, with nodata, masks, transparency and NaN as one mask.

Numbers come as they are stored; `icectl.raster.read_quantity` turns them into values of a stated unit.
"""

from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from icectl.errors import DataError
from icectl.raster.files import opened
from icectl.raster.grid import Grid, grid_of_dataset, turns
from icectl.raster.onto import onto
from icectl.raster.stored import Masked, bands_of, check_band, masked
from icectl.raster.tiles import Window


def read(path: str | Path, window: Window | None = None, band: int | None = 1) -> Masked:
    """Read a band, or a window of it.

    Parameters
    ----------
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
        return read_open(source, path, window, band)


def read_open(source: Any, path: str | Path, window: Window | None = None, band: int | None = 1) -> Masked:
    """Read a band of an open raster, which `path` names in errors; see `read`."""
    check_band(source, band, path)
    turned = turns(source.transform)
    if turned is None and source.crs is not None:  # rotated: onto the north-up grid around it
        target, numbers = part_of(grid_of_dataset(source, path), window, path), bands_of(source, band)
        layers = np.ma.stack([onto(source, target, "nearest", number) for number in numbers])
        return layers if band is None else layers[0]
    part_of(GeoBox(source.shape, source.transform, None), window, path)
    flip_rows, flip_columns = turned or (False, False)
    part = None if window is None else _stored(window, source.shape, flip_rows, flip_columns)
    values = masked(source, band, part)
    return values[..., :: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def part_of(grid: Grid, window: Window | None, path: str | Path) -> Grid:
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
