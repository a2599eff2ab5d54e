"""Small rasters that tests of this room share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox


@pytest.fixture
def grid() -> GeoBox:
    """Landsat-like: 30 m, pixel edges at 15 mod 30."""
    return GeoBox((60, 40), Affine(30, 0, 500_025, 0, -30, 3_999_975), "EPSG:32643")


@pytest.fixture
def plain_tif(tmp_path: Path, grid: GeoBox):
    """Write a GeoTIFF with rasterio alone: an input that no code of ours has touched."""

    def write(array, name="in.tif", crs="EPSG:32643", transform=grid.affine, **profile):
        array = np.atleast_3d(np.asarray(array).T).T
        path = tmp_path / name
        with rasterio.open(
            path, "w", driver="GTiff", count=array.shape[0], height=array.shape[1], width=array.shape[2],
            dtype=array.dtype.name, crs=crs, transform=transform, **profile,
        ) as out:  # fmt: skip
            out.write(array)
        return path

    return write
