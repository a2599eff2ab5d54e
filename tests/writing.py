"""Write small rasters with rasterio alone: inputs that no code of ours has touched."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

NORTH = Affine(30, 0, 500_000, 0, -30, 4_000_000)


def tif(
    path: Path, values: Any, transform: Affine = NORTH, crs: str | None = "EPSG:32643", **about: Any
) -> Path:
    """Write `values` (rows, columns) or (bands, rows, columns) and return the path.

    `about` may hold scales, offsets, units, descriptions, tags, band_tags, mask, colormap, and what
    rasterio takes.
    """
    bands = np.asarray(values)
    bands = bands if bands.ndim == 3 else bands[np.newaxis]
    known = {k: about.pop(k) for k in ("scales", "offsets", "units", "descriptions") if k in about}
    tags, band_tags = about.pop("tags", {}), about.pop("band_tags", {})
    mask, colours = about.pop("mask", None), about.pop("colormap", None)
    count, height, width = bands.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {} if crs is None and transform is NORTH else {"crs": crs, "transform": transform}
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver=about.pop("driver", "GTiff"), height=height, width=width, count=count,
            dtype=bands.dtype, **place, **about,
        ) as file:  # fmt: skip
            file.write(bands)
            for name, value in known.items():
                setattr(file, name, value)
            file.update_tags(**tags)
            file.update_tags(1, **band_tags)
            if mask is not None:
                file.write_mask(mask)
            if colours is not None:
                file.write_colormap(1, colours)
    return path
