"""Reads the rasters that panels name, thinned to the size they are shown at."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import odc.geo.xr  # noqa: F401, gives xarray objects their accessor .odc
from affine import Affine
from odc.geo.geobox import GeoBox

from icectl.arrays import F32
from icectl.errors import DataError, brief
from icectl.raster import Info, Window, open_cube, read, read_on
from icectl.report.panels import Layer

MOST_PIXELS = 4_000_000
"""Rasters with more pixels are read thinned, so that a large scene does not fill the memory."""

_BLOCK = 512

MOST_AT_ONCE = 48_000_000
"""Files with more numbers in all their bands are read band by band."""


@dataclass(frozen=True, slots=True)
class Raster:
    """A raster to show: thinned values (NaN is missing), its full size and grid, if it has one.

    `metres` and `cell` are those of its `Layer`.
    """

    values: F32
    shape: tuple[int, int]
    grid: GeoBox | None = None
    metres: float | None = None
    cell: float = 1.0


class Reader:
    """Finds and reads layers; relative paths start at the first of `folders` that has the file.

    >>> Reader([Path("evaluation"), Path("run")]).folders[1].name
    'run'
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = [Path(f) for f in folders]
        self._recent: dict[tuple[Path, int], list[Raster]] = {}

    def find(self, file: str) -> Path:
        """Return the path of `file`.

        DataError: it is in none of the folders.
        """
        for folder in self.folders:
            if (folder / file).exists():
                return folder / file
        raise DataError(f"{file} is no longer there", "predict again, then `icectl report`")

    def read(self, layer: Layer, side: int = 10_000) -> Raster:
        """Return the layer thinned so that its longer side is at most `side` pixels."""
        return replace(self._read(layer, side), metres=layer.metres, cell=layer.cell)

    def _read(self, layer: Layer, side: int) -> Raster:
        path = self.find(layer.file)
        if layer.variable:
            return _thinned(_from_cube(path, layer), side)
        info = Info(path)
        size = info.count * info.shape[0] * info.shape[1]
        if info.count == 1 or layer.band > info.count or size > MOST_AT_ONCE:
            return _thinned(_from_file(path, info, layer.band), side)
        return self._bands(path, info, side)[layer.band - 1]

    def _bands(self, path: Path, info: Info, side: int) -> list[Raster]:
        """Return all bands of a file, read once: in most GeoTIFFs one band costs as much as all."""
        if (path, side) not in self._recent:
            values = _all_bands(path, info)
            if len(self._recent) > 3:
                self._recent.pop(next(iter(self._recent)))
            self._recent[path, side] = [Raster(thin(band, side), info.shape, info.grid) for band in values]
        return self._recent[path, side]


def _all_bands(path: Path, info: Info) -> F32:
    """Return all bands, ``(bands, rows, columns)``, block by block.

    Asked for at once, GDAL decodes the blocks of a pixel-interleaved file anew for every band as
    soon as they outgrow its cache.
    """
    rows, columns = info.shape
    values = np.empty((info.count, rows, columns), dtype=np.float32)
    for top in range(0, rows, _BLOCK):
        for left in range(0, columns, _BLOCK):
            window = Window(top, left, min(_BLOCK, rows - top), min(_BLOCK, columns - left))
            part = read(path, window, band=None)
            values[(slice(None), *window.slices)] = np.ma.filled(part.astype(np.float32), np.nan)
    return values


def _thinned(raster: Raster, side: int) -> Raster:
    return Raster(thin(raster.values, side), raster.shape, raster.grid)


def _from_file(path: Path, info: Info, band: int) -> Raster:
    rows, columns = info.shape
    factor = int(np.ceil(np.sqrt(rows * columns / MOST_PIXELS)))
    if factor > 1 and info.grid is not None:
        values = read_on(path, info.grid.zoom_out(factor), "average", band)
    else:
        values = read(path, band=band)
    plain = np.ma.filled(values.astype(np.float32), np.nan)
    return Raster(np.asarray(plain, dtype=np.float32), (rows, columns), info.grid)


def _from_cube(path: Path, layer: Layer) -> Raster:
    try:
        with open_cube(path, times=False) as data:
            variable = data[layer.variable]
            picked = variable[layer.index] if layer.index else variable
            if picked.ndim != 2:
                raise DataError(f"{layer.variable}{list(layer.index)} of {path.name} is no 2-D raster")
            shape = (picked.shape[0], picked.shape[1])
            step = max(1, int(np.sqrt(shape[0] * shape[1] / MOST_PIXELS)))
            values = np.asarray(picked[::step, ::step], dtype=np.float32)
            return Raster(values, shape, _grid_of(data, layer.variable))
    except (OSError, KeyError, IndexError, ValueError) as error:
        raise DataError(f"{layer.variable} of {path.name} cannot be read: {brief(error)}") from error


def _grid_of(data: Any, variable: str) -> GeoBox | None:
    """Return the grid that CF's grid mapping tells, or a prepared dataset in its attributes."""
    if "crs" in data.attrs and "transform" in data.attrs:
        transform, crs = Affine(*json.loads(data.attrs["transform"])), data.attrs["crs"]
        return GeoBox(data[variable].shape[-2:], transform, crs) if crs else None
    try:
        grid = data[variable].odc.geobox or data.odc.geobox
    except (ValueError, KeyError, AttributeError):
        return None
    return grid if isinstance(grid, GeoBox) and grid.crs is not None else None


def thin(values: F32, side: int) -> F32:
    """Return `values` with its longer side at most `side` pixels: means over valid pixels."""
    rows, columns = values.shape
    longest = max(rows, columns)
    if longest <= side:
        return values
    size = (max(1, round(columns * side / longest)), max(1, round(rows * side / longest)))
    valid = ~np.isnan(values)
    zeroed = np.where(valid, values, np.float32(0))
    weights = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(zeroed, size, interpolation=cv2.INTER_AREA)
    enough = weights > 0.5
    return np.where(enough, sums / np.where(enough, weights, 1), np.float32(np.nan)).astype(np.float32)
