"""The two bands of the NDSI as reflectances without clouds, from any sensor the sources deliver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from icectl.errors import DataError
from icectl.imagery import qa, reflectance
from icectl.sources.scene import Scene
from icectl.tasks.snow.dataset import Floats

Read = Callable[[Path], Any]
"""Reads a file on the common grid, masked where it is nodata."""


def is_index(scene: Scene) -> bool:
    """Tell whether a scene is a ready NDSI (and not bands to make one from)."""
    return "ndsi" in scene.assets and not {"green", "swir16"} <= set(scene.assets)


def green_and_swir(scene: Scene, read: Read) -> tuple[Floats, Floats]:
    """Return green and short-wave infrared reflectance; NaN where there is none, or cloud.

    Raises
    ------
    DataError
        If a band is missing.
    """
    missing = [name for name in ("green", "swir16") if name not in scene.assets]
    if missing:
        raise DataError(
            f"scene '{scene.id}' has no {' and no '.join(missing)}: it has {', '.join(sorted(scene.assets))}",
            "the snow task needs green and swir16, or a ready ndsi",
        )
    usable = _usable(scene, read)
    bands = []
    for name in ("green", "swir16"):
        values = reflectance.to_reflectance(read(scene.asset(name)), scaling_of(scene, name))
        bands.append(values if usable is None else qa.keep(values, usable))
    return bands[0], bands[1]


def scaling_of(scene: Scene, name: str) -> reflectance.Scaling:
    """Return what turns the stored numbers of asset `name` into reflectance.

    What the catalogue says wins; else Sentinel-2's baseline; else Landsat Collection 2.
    """
    band = scene.band(name)
    baseline = scene.properties.get("s2:processing_baseline")
    if baseline is not None:
        applied = bool(scene.properties.get("earthsearch:boa_offset_applied", False))
        return reflectance.sentinel2(str(baseline), applied)
    if band.scale is None:
        return reflectance.LANDSAT_C2
    nodata = () if band.nodata is None or np.isnan(band.nodata) else (int(band.nodata),)
    return reflectance.Scaling(scale=band.scale, offset=band.offset or 0.0, nodata=nodata)


def _usable(scene: Scene, read: Read) -> Any:
    """Return where the scene's quality layer lets pixels through, or None without such a layer."""
    if "qa_pixel" in scene.assets:
        return qa.landsat(read(scene.asset("qa_pixel")))
    if "scl" in scene.assets:
        return qa.scl(read(scene.asset("scl")))
    if "fmask" in scene.assets:
        return qa.fmask(read(scene.asset("fmask")))
    return None
