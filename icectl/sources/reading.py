"""The bands and quality layers of a scene as quantities, by what its catalogue says of their numbers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from icectl.arrays import F32, Bools
from icectl.errors import DataError
from icectl.imagery import qa
from icectl.raster import Field, Grid, Info, Numbers, Quantity, Reader, Window, row_strips
from icectl.raster.kinds import SHARES
from icectl.sources.scene import Band, Scene
from icectl.sources.stated import TOP_OF_ATMOSPHERE

SATURATED = (65535, 20_000, 16_000)
"""Numbers of 16-bit bands where the sensor saw more than it can tell; the others in ten thousandths alone."""

INDEX_CODES = tuple(range(101, 256))
"""What an 8-bit index in percent (MODIS snow cover) holds where there is none: night, cloud, fill …"""

LOW, HIGH = -0.05, 1.6
"""Bounds of a scene's median reflectance; outside of them its numbers are of another product."""


def read_asset(scene: Scene, name: str, quantity: Quantity, **given: Any) -> Field:
    """Read one asset of a scene as a quantity, whole; see `asset_reader`."""
    reader = asset_reader(scene, name, quantity, **given)
    return replace(reader.read(), notes=reader.notes())


def asset_reader(
    scene: Scene,
    name: str,
    quantity: Quantity,
    *,
    grid: Grid | None = None,
    resampling: str | None = None,
    scaled: bool = False,
) -> Reader:
    """Return what reads one asset of a scene as a quantity; see `icectl.raster.read_quantity`.

    `scene`, `name`: the scene, and which of its assets.
    `quantity`: ``"reflectance"`` and ``"index"`` need numbers whose meaning is stated; ``"grey"`` does not.
    `grid`: the grid to read on; the file's own by default.
    `resampling`: how it comes onto another grid.
    `scaled`: whether grey levels are scaled as the file says, where scenes differ in that.

    DataError: the asset is missing, nobody states what its numbers mean, or its values contradict that.
    """
    path, band = scene.asset(name), scene.band(name)
    if quantity == "grey":
        return Reader(
            path, quantity, band=band.number, grid=grid, resampling=resampling,
            numbers=Numbers(
                scale=(band.scale or 1.0) if scaled else 1.0, offset=(band.offset or 0.0) if scaled else 0.0,
                nodata=_codes(band),
            ),
        )  # fmt: skip
    info = Info(path)
    if quantity in ("reflectance", "index"):
        band = _meaning(scene, name, info)
    nodata = _codes(band)
    if quantity == "reflectance":
        nodata = (*nodata, *SATURATED[: 3 if band.scale == 1e-4 else 1])
    elif quantity == "index" and band.scale == 0.01 and not band.offset:
        nodata = (*nodata, *INDEX_CODES)
    packed = info.scales[band.number - 1], info.offsets[band.number - 1]
    own = band.scale is None or (band.scale, band.offset or 0.0) == packed
    numbers = Numbers(  # a scale that is not the file's own makes shares, whatever unit the file states
        scale=band.scale, offset=band.offset, nodata=nodata, unit=None if own else "1"
    )
    return Reader(path, quantity, band=band.number, grid=grid, resampling=resampling, numbers=numbers)


def _codes(band: Band) -> tuple[float, ...]:
    return () if band.nodata is None or np.isnan(band.nodata) else (band.nodata,)


def _meaning(scene: Scene, name: str, info: Info) -> Band:
    """Return scale and offset of a band; refuse integers of which nobody said what they mean."""
    band, path = scene.band(name), info.path
    if product := scene.properties.get(TOP_OF_ATMOSPHERE):
        scale, offset = band.scale or 1e-4, band.offset or 0.0
        hint = f"take Level-2A, or --scale {scale:g} --offset {offset:g} to use it as it is"
        if "icectl:items" in scene.properties:
            hint = "fetch surface reflectance, e.g. --collection sentinel-2-l2a"
        raise DataError(
            f"{path} is of {product}: reflectance at the top of the atmosphere, not of the surface", hint
        )
    if band.scale is not None:
        return band
    scale, offset = info.scales[band.number - 1], info.offsets[band.number - 1]
    if (scale, offset) == (1.0, 0.0) and SHARES.get(str(info.units[band.number - 1]).lower()) == 0.01:
        scale = 0.01
    elif (scale, offset) == (1.0, 0.0) and info.dtype not in ("float32", "float64"):
        product = str(scene.properties.get("icectl:product", ""))
        known = f"holds {info.dtype} numbers and nothing says what they mean"
        if product:
            known = f"is of {product}, of which its name does not say how reflectance is stored"
        examples = (
            "0.01 and 0 for an index in percent, 0.0001 and 0 for one in ten thousandths, "
            "1 and 0 for a mask of 0 and 1, 0.00392157 and 0 for one of 0 and 255"
            if name == "ndsi"
            else "2e-05 and -0.1 for Landsat C2 Level-1"
            if "Level-1" in product
            else "2.75e-05 and -0.2 for Landsat C2 surface reflectance, 0.0001 and -0.1 for Sentinel-2 since "
            "2022 (0 before, and in Earth Engine's HARMONIZED), 0.0001 and 0 for HLS"
        )
        raise DataError(f"{path} {known}", f"say it with --scale and --offset: {examples}")
    return Band(scale=scale, offset=offset, nodata=band.nodata, number=band.number)


def check_reflectance(known: F32, path: Path) -> None:
    """Refuse reflectances that cannot be those of ground without clouds, by a sample of them."""
    middle = float(np.median(known)) if known.size else 0.0
    if not LOW <= middle <= HIGH:
        raise DataError(
            f"{path}: half of the reflectances lie {'below' if middle < LOW else 'above'} {middle:.2g}, "
            "which no scene has: its numbers are of another product than was said",
            "correct --scale and --offset, or the item's or file's own scale and offset",
        )


Clear = Callable[[Window | None], Bools | None]
"""``clear(window)``: which pixels of a window are let through; None where nothing tells."""


def clear_of(scene: Scene, grid: Grid) -> Clear:
    """Return which pixels of `grid` a scene's quality layer lets through, if it has such a layer.

    ``qa_pixel``, ``scl``, ``fmask`` (classes, or bits as HLS writes them) and ``qa60`` are known.
    """
    name = next((name for name in qa.READERS if name in scene.assets), None)
    if name is None:
        return lambda window: None
    layer, tell = asset_reader(scene, name, "quality", grid=grid), qa.READERS[name]
    if name == "fmask" and any(qa.holds_bits(layer.read(part).masked) for part in row_strips(grid.shape)):
        tell = qa.hls_fmask
    return lambda window: tell(layer.read(window).masked)


def usable(scene: Scene, grid: Grid) -> Bools | None:
    """Return which pixels of `grid` a scene's quality layer lets through; None where it has no such layer."""
    return clear_of(scene, grid)(None)
