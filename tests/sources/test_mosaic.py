"""Tiles of one date become one image; what is no tile stays apart, and is refused as before."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from writing import NORTH, tif

from icectl.errors import DataError
from icectl.raster import read_quantity
from icectl.sources.folder import scan_folder

EAST = Affine(30, 0, 799_980, 0, -30, 4_000_000)
"""Corner of a tile at the eastern border of UTM zone 43."""


def ground(transform, crs, shape=(40, 50)):
    """Heights that tell their place: degrees of longitude times 1e5, from 78.3."""
    rows, columns = np.indices(shape)
    x, y = transform * (columns + 0.5, rows + 0.5)
    longitude, _ = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    return ((longitude - 78.3) * 1e5).astype(np.int32)


def scan(tmp_path):
    return scan_folder(tmp_path / "in", scale=1.0, offset=0.0, into=tmp_path / "own")


def test_tiles_of_neighbouring_zones_lie_where_they_are(tmp_path, caplog):
    caplog.set_level("INFO", "icectl")
    x, y = Transformer.from_crs("EPSG:32643", "EPSG:32644", always_xy=True).transform(*(EAST * (45, -3)))
    next_zone = Affine(30, 0, round(x / 30) * 30, 0, -30, round(y / 30) * 30)
    for day in ("20200101", "20200201"):
        tif(tmp_path / "in" / f"T43_{day}_image.tif", ground(EAST, "EPSG:32643"), EAST)
        tif(
            tmp_path / "in" / f"T44_{day}_image.tif", ground(next_zone, "EPSG:32644"), next_zone, "EPSG:32644"
        )
    scenes = scan(tmp_path)
    assert caplog.messages == ["4 tiles that lie side by side are joined: 2 images in EPSG:32643"]
    assert [f"{scene.time:%Y%m%d}" for scene in scenes] == ["20200101", "20200201"]
    with rasterio.open(scenes[0].asset("image")) as file:
        assert file.crs == "EPSG:32643"
        assert file.shape[1] > 80
        values, transform = file.read(1, masked=True), file.transform
    wanted = ground(transform, "EPSG:32643", values.shape)
    assert 0.6 < values.count() / values.size < 1  # a box around turned tiles has corners of nothing
    assert np.abs(values - wanted).max() <= 35  # a pixel is 33 of these: nowhere more than one off
    assert np.ma.median(np.abs(values - wanted)) < 12
    top = round((transform.f - EAST.f) / 30)
    assert transform.c == EAST.c
    np.testing.assert_array_equal(values[top : top + 40, :40], ground(EAST, "EPSG:32643")[:, :40])
    field = read_quantity(scenes[0].asset("image"), "grey")
    np.testing.assert_array_equal(field.valid, ~np.ma.getmaskarray(values))


@pytest.mark.parametrize("columns", [5, 5000])
def test_the_same_ground_twice_and_two_places_are_no_tiles(tmp_path, columns):
    for name, first in (("a", 0), ("b", columns)):
        tif(
            tmp_path / "in" / f"{name}_20200101.tif",
            np.ones((40, 50), np.uint8),
            NORTH * Affine.translation(first, 0),
        )
    with pytest.raises(DataError, match="are both 'image' of 2020-01-01"):
        scan(tmp_path)
