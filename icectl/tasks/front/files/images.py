"""Reading images of any kind as one grey band."""

from pathlib import Path

import numpy as np

from icectl.arrays import F32
from icectl.errors import DataError
from icectl.imagery.margins import without_margins
from icectl.raster import Grid, Info, read_quantity
from icectl.sources.names import QUALITY, UNUSED, by_description
from icectl.tasks.front.dataset import Place


def read_image(path: Path, band: int | None = None) -> tuple[F32, Place | None]:
    """Return an image as (rows, columns), NaN where invalid, and where it lies.

    The given band is read, or the mean of up to four bands without a transparent one, as grey levels; they
    may be of any type, or colours of a palette.
    """
    info = Info(path)
    if info.controlled:
        raise DataError(f"{path} has no coordinate reference system", info.advice)
    if min(info.shape) < 16:
        raise DataError(f"{path} has {info.shape[0]} × {info.shape[1]} pixels, 16 a side are needed")
    numbers = _shown(info)
    if band is None and len(numbers) > 4:
        raise DataError(f"{path} has {info.count} bands", "name the one to use with --band")
    bands = [read_quantity(path, "grey", band=n).values for n in (numbers if band is None else [band])]
    if len(bands) in (2, 4) and _is_opacity(bands[-1]):
        opaque = bands.pop() > 0
        bands = [np.where(opaque, grey, np.float32(np.nan)) if opaque.any() else grey for grey in bands]
    values, place = np.asarray(np.mean(bands, axis=0, dtype=np.float32)), place_on(info.grid)
    if not np.isfinite(values).any():
        raise DataError(f"{path} holds no valid pixel", "check its nodata value")
    return without_margins(values), place


def place_on(grid: Grid | None) -> Place | None:
    """Return where an image on a grid lies; None without a CRS."""
    if grid is None or grid.crs is None:
        return None
    code = grid.crs.to_epsg()
    return Place(f"EPSG:{code}" if code else str(grid.crs), tuple(float(v) for v in grid.affine)[:6])  # type: ignore[arg-type]


def _shown(info: Info) -> list[int]:
    """Return the numbers of the bands that show the ground: those named so, else all but transparency."""
    named = by_description(info.descriptions, info.path.stem)
    called = [str(word or "").lower() for word in info.descriptions]
    known = [
        number
        for number, (asset, word) in enumerate(zip(named, called, strict=True), 1)
        if asset not in (UNUSED, *QUALITY)
    ]
    return known or [number for number in range(1, info.count + 1) if number != info.alpha]


def _is_opacity(band: F32) -> bool:
    """Tell whether a band without a name says what is transparent: it holds nothing and all, no more."""
    return len(np.unique(band)) <= 2 and float(np.nanmax(band)) in (1.0, 255.0, 65535.0)
