"""Small rasters to scan."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

from icectl.sources.synthetic import World


def write_raster(
    path: Path, array: Any = None, *, crs: str | None = "EPSG:32643", size: float = 30.0, **options: Any
) -> Path:
    """Write a small single-band GeoTIFF and return its path."""
    array = np.ones((64, 48), "uint16") if array is None else np.asarray(array)
    tags = options.pop("tags", {})
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "height": array.shape[-2],
        "width": array.shape[-1],
        "count": 1,
        "dtype": array.dtype,
        **options,
    }
    if crs is not None:
        profile |= {"crs": crs, "transform": from_origin(300_015, 4_000_015, size, size)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as raster:
            for band in range(profile["count"]):
                raster.write(array, band + 1)
            raster.update_tags(**tags)
    return path


@pytest.fixture
def raster():
    """The function that writes a raster."""
    return write_raster


@pytest.fixture(scope="session")
def alpine() -> World:
    """A small world of valley glaciers."""
    return World(seed=0, shape=(144, 144))


@pytest.fixture(scope="session")
def tidewater() -> World:
    """A small world with a calving front."""
    return World(seed=0, shape=(192, 192), setting="fjord")
