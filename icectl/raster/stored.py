"""What a raster file says of itself, and its numbers as they are stored, with what has no value masked."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags

from icectl.errors import DataError
from icectl.raster.files import opened
from icectl.raster.grid import Grid, grid_of_dataset, placing

Masked: TypeAlias = np.ma.MaskedArray[Any, np.dtype[Any]]
"""Values with a boolean mask of the same shape that is True where there is no valid value."""


HUGE = 1e30
"""No measurement is larger; nodata values such as −3.4e38 are."""


class Info:
    """Facts of a raster file, read from its header alone.

    Attributes
    ----------
    crs
        The CRS as text (``"EPSG:32643"``), or None.
    grid
        The grid, or None where the file has no CRS.
    world
        The transform of a file without a CRS, as a world file beside it says it; else None.
    shape, count, dtype, nodata
        Rows and columns, bands, type of the first band, and its nodata value or None.
    descriptions, scales, offsets, units
        One a band; ``value = number * scale + offset``.
    advice
        How to place a file without a CRS; it says so where the file holds ground control points or a sensor
        model, which only warping turns into a grid.
    controlled
        Whether the file is placed by ground control points or a sensor model alone.
    alpha
        Number of the band that says what is transparent, or 0.
    palette
        Colours of the first band's numbers, if it holds such.
    inverted
        The greatest number of a picture whose 0 is white (TIFF's photometric interpretation 0), else 0.
    tags
        The tags of the file and of its first band (``TIFFTAG_DATETIME``, …).
    """

    def __init__(self, path: str | Path, driver: str | None = None, *, source: Any = None) -> None:
        self.path = Path(path)
        with opened(path, driver) if source is None else nullcontext(source) as source:
            self.crs: str | None = source.crs.to_string() if source.crs else None
            self.controlled = source.crs is None and bool(source.gcps[0] or source.rpcs)
            self.advice: str = placing(source)
            bare = source.crs is None and source.transform != Affine.identity()
            self.world: Affine | None = source.transform if bare else None
            self.grid: Grid | None = None if source.crs is None else grid_of_dataset(source, path)
            self.shape: tuple[int, int] = source.shape if self.grid is None else tuple(self.grid.shape)
            self.count: int = source.count
            self.dtype: str = source.dtypes[0]
            self.nodata: float | None = source.nodata
            self.descriptions: tuple[str | None, ...] = source.descriptions
            packed = [_packed(source, number) for number in range(1, source.count + 1)]
            self.scales: tuple[float, ...] = tuple(scale for scale, _ in packed)
            self.offsets: tuple[float, ...] = tuple(offset for _, offset in packed)
            self.alpha: int = alpha_of(source)
            self.inverted = _white_is_zero(source)
            coloured = source.colorinterp[0] == ColorInterp.palette and not self.inverted
            self.palette: dict[int, tuple[int, ...]] = source.colormap(1) if coloured else {}
            if len(source.subdatasets) > 1 and source.driver == "GTiff":
                _say_pages(self.path, len(source.subdatasets))
            self.tags: dict[str, str] = {**source.tags(1), **source.tags()}
            self.units: tuple[str | None, ...] = tuple(
                unit or _tagged(source.tags(number)) or _tagged(source.tags())
                for number, unit in enumerate(source.units, 1)
            )


@cache
def _say_pages(path: Path, count: int) -> None:
    """Tell once of pages that are not read."""
    logging.getLogger("icectl").warning(
        f"{path} holds {count} pages, and the first is read: "
        f"write the others to files of their own (gdal_translate GTIFF_DIR:2:FILE NEW)"
    )


def _packed(source: Any, number: int) -> tuple[float, float]:
    """Return scale and offset of a band; of integers also by the attributes that CF packs numbers with.

    They may be the band's or, where it is the only one, the file's.
    """
    found = source.scales[number - 1], source.offsets[number - 1]
    if found != (1.0, 0.0) or np.dtype(source.dtypes[number - 1]).kind not in "iu":
        return found
    tags = (source.tags() if source.count == 1 else {}) | source.tags(number)
    try:
        return float(tags.get("scale_factor", 1)), float(tags.get("add_offset", 0))
    except ValueError:
        return found


def _white_is_zero(source: Any) -> int:
    """Return the greatest number that the bands can hold where 0 is white; 0 where it is not."""
    if source.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") != "YES" or np.dtype(source.dtypes[0]).kind != "u":
        return 0
    bits = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8 * np.dtype(source.dtypes[0]).itemsize)
    return int(2 ** int(bits) - 1)


def alpha_of(source: Any) -> int:
    """Return the number of the band that says what is transparent, or 0."""
    return next((n for n, c in enumerate(source.colorinterp, 1) if c == ColorInterp.alpha), 0)


def _tagged(tags: Mapping[str, str]) -> str | None:
    """Return the unit that a tag of any common name states."""
    lower = {key.lower(): value for key, value in tags.items()}
    return next((lower[name] for name in ("units", "unit", "unittype", "unit_type") if name in lower), None)


def check_band(source: Any, band: int | None, path: str | Path) -> None:
    """Refuse the number of a band that the open raster does not have."""
    if band is not None and not 1 <= band <= source.count:
        raise DataError(f"{path} has no band {band}: it has {source.count}", "choose another band")


def check_end(path: str | Path, driver: str | None = None) -> None:
    """Read the last block of a raster, which a truncated file lacks.

    DataError: it cannot be read.
    """
    with opened(path, driver) as source:
        rows, columns = (
            -(-size // block) - 1 for size, block in zip(source.shape, source.block_shapes[0], strict=True)
        )
        source.read(1, window=source.block_window(1, rows, columns))


def bands_of(source: Any, band: int | None) -> list[int]:
    """Return the numbers of the bands asked for; None asks for all."""
    return list(range(1, source.count + 1)) if band is None else [band]


def masked(source: Any, band: int | None, part: Any) -> Masked:
    """Read all wanted bands of an open raster in one call, and find in what was read what has no value.

    A declared nodata value counts beside a mask or a transparent band, of which GDAL takes only one. Its own
    nodata masks read each band once more; where bands are interleaved by pixel and the file is larger than
    GDAL's cache, that decodes the whole file once a band.
    """
    bands, alpha = bands_of(source, band), alpha_of(source)
    values = source.read(bands, window=part)
    mask = np.zeros(values.shape, dtype=bool)
    for layer, number, where in zip(values, bands, mask, strict=True):
        nodata, flags = source.nodatavals[number - 1], source.mask_flag_enums[number - 1]
        if nodata is not None and _fits(nodata, layer.dtype):
            np.equal(layer, layer.dtype.type(nodata), out=where)
            if abs(nodata) > HUGE:  # written with fewer digits in a tag than in the numbers
                where |= np.abs(layer) > 0.999 * abs(nodata)
        if alpha and alpha != number:
            where |= source.read(alpha, window=part) == 0
        elif MaskFlags.per_dataset in flags and not alpha:
            where |= source.read_masks(number, window=part) == 0
        if layer.dtype.kind in "fc":
            where |= ~np.isfinite(layer)
    result = np.ma.MaskedArray(values, mask=mask)
    return result if band is None else result[0]


def _fits(nodata: float, dtype: np.dtype[Any]) -> bool:
    """Tell whether a band of that type can hold the value; a nodata of -9999 says nothing of bytes."""
    if dtype.kind in "fc":
        return True
    info = np.iinfo(dtype)
    return bool(np.isfinite(nodata)) and info.min <= nodata <= info.max and nodata == int(nodata)
