"""Small rasters to scan, and a Landsat archive to fetch from."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from landsat_archive import BANDS, HASTY, Archive, run_in
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from servers import FileServer, stac_api

from icectl.run import Run
from icectl.sources.options import SceneQuery
from icectl.sources.remote import Patience
from icectl.sources.stac import fetch_scenes
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


@pytest.fixture
def files(tmp_path: Path):
    with FileServer(tmp_path / "archive") as server:
        server.root.mkdir()
        yield server


@pytest.fixture
def archive(files: FileServer) -> Archive:
    return Archive(files)


@pytest.fixture
def fetch(archive: Archive, tmp_path: Path):
    """Start the STAC server over the archive and fetch from it."""

    def call(
        run: Run | None = None, bands=BANDS, patience: Patience = HASTY, kind=SceneQuery, **query: Any
    ) -> Path:
        with stac_api(archive.items, tmp_path / "stac") as url:
            return fetch_scenes(
                run or run_in(tmp_path / "out"), kind(api=url, **query), bands, patience=patience
            )

    return call
