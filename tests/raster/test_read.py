from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import reproject

from icectl.errors import DataError, UsageError
from icectl.raster import Info, Window, read, read_on, require_valid
from icectl.raster.read import filled


def test_nodata_and_nan_are_masked(plain_tif):
    values = np.arange(12, dtype="float32").reshape(3, 4)
    values[0, 0], values[1, 1], values[2, 2] = -9999, np.nan, np.inf
    got = read(plain_tif(values, nodata=-9999))
    assert np.argwhere(got.mask).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert got[2, 3] == 11
    assert np.isnan(filled(got)).sum() == 3
    assert filled(got, -1.0)[0, 0] == -1


def test_a_window_is_that_part_of_the_whole(plain_tif):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 9, (2, 30, 20)).astype("uint16")
    path = plain_tif(values, nodata=0)
    window = Window(5, 7, 11, 6)
    part = read(path, window, band=2)
    np.testing.assert_array_equal(part.data, values[1, 5:16, 7:13])
    np.testing.assert_array_equal(part.mask, values[1, 5:16, 7:13] == 0)
    assert read(path, window, band=None).shape == (2, 11, 6)


@pytest.mark.parametrize("window", [Window(25, 0, 10, 5), Window(-1, 0, 5, 5)])
def test_a_window_outside_is_refused(plain_tif, window):
    with pytest.raises(DataError, match="no window"):
        read(plain_tif(np.zeros((30, 20), "uint8")), window)


def test_a_missing_band_is_refused(plain_tif):
    with pytest.raises(DataError, match="no band 3"):
        read(plain_tif(np.zeros((30, 20), "uint8")), band=3)


def test_a_truncated_file_is_refused_in_words(plain_tif):
    path = plain_tif(np.random.default_rng(0).random((300, 300)).astype("float32"))
    path.write_bytes(path.read_bytes()[:90_000])
    with pytest.raises(DataError, match=r"in\.tif cannot be read") as refused:
        read(path)
    assert "fetch it again" in refused.value.hint


def test_what_is_no_raster_or_missing_is_refused(tmp_path):
    (tmp_path / "a.tif").write_text("no raster")
    with pytest.raises(DataError, match=r"a\.tif cannot be read"):
        read(tmp_path / "a.tif")
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "b.tif")


def test_all_nodata_is_refused(plain_tif):
    with pytest.raises(DataError, match="no valid pixel"):
        require_valid(read(plain_tif(np.zeros((4, 4), "uint16"), nodata=0)), "in.tif")
    assert require_valid(read(plain_tif(np.eye(4, dtype="uint16"), nodata=0)), "in.tif").count() == 4


def test_reading_on_its_own_grid_changes_nothing(plain_tif, grid):
    values = np.random.default_rng(1).integers(0, 5, (60, 40)).astype("int16")
    got = read_on(plain_tif(values, nodata=0), grid)
    np.testing.assert_array_equal(got.filled(0), values)
    np.testing.assert_array_equal(got.mask, values == 0)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "average"])
def test_reprojection_is_gdals(plain_tif, grid, method):
    values = np.random.default_rng(2).random((60, 40)).astype("float32")
    values[10:14, 20:24] = -1
    target = GeoBox((50, 45), Affine(0.0003, 0, 75.0025, 0, -0.0003, 36.1385), "EPSG:4326")
    want = np.full(target.shape, -1, "float32")
    reproject(
        values, want, src_transform=grid.affine, src_crs="EPSG:32643", src_nodata=-1,
        dst_transform=target.affine, dst_crs="EPSG:4326", dst_nodata=-1,
        resampling=rasterio.enums.Resampling[method], tolerance=0,
    )  # fmt: skip
    got = read_on(plain_tif(values, nodata=-1), target, method)
    assert 0.2 < got.mask.mean() < 0.8  # the target reaches past the raster on purpose
    inside = (want != -1) & ~got.mask
    # GDAL approximates transforms along a row; a pixel at the rim of the data may fall either way.
    assert ((want != -1) != ~got.mask).sum() <= 4
    close = np.isclose(got.data[inside], want[inside], atol=2e-2)
    assert close.mean() > 0.99


def test_outside_is_masked_also_where_the_file_knows_no_nodata(plain_tif, grid):
    path = plain_tif(np.ones((60, 40), "uint8"))
    shifted = GeoBox((60, 40), grid.affine * Affine.translation(-10, 0), grid.crs)
    got = read_on(path, shifted)
    assert got.mask[:, :10].all()
    assert not got.mask[:, 10:].any()
    assert read_on(path, shifted, band=None).shape == (1, 60, 40)


def test_far_away_is_all_masked(plain_tif, grid):
    far = GeoBox((5, 5), Affine(30, 0, 900_015, 0, -30, 1_000_005), "EPSG:32643")
    assert read_on(plain_tif(np.ones((60, 40), "float32")), far).mask.all()


def test_an_unknown_resampling_is_refused(plain_tif, grid):
    with pytest.raises(UsageError, match="biliner"):
        read_on(plain_tif(np.ones((4, 4), "uint8")), grid, "biliner")


def test_info_reads_the_header(plain_tif, grid):
    path = plain_tif(np.zeros((2, 60, 40), "uint16"), nodata=0)
    with rasterio.open(path, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2020:01:02 03:04:05")
        file.scales = (2.75e-05, 2.75e-05)
        file.offsets = (-0.2, -0.2)
    info = Info(path)
    assert (info.crs, info.shape, info.count, info.dtype, info.nodata) == (
        "EPSG:32643",
        (60, 40),
        2,
        "uint16",
        0,
    )
    assert info.grid == grid
    assert info.scales == (2.75e-05, 2.75e-05)
    assert info.tags["TIFFTAG_DATETIME"] == "2020:01:02 03:04:05"
    assert Info(plain_tif(np.zeros((4, 4), "uint8"), name="x.tif", crs=None)).grid is None


@pytest.mark.realdata
def test_real_masks_lie_where_the_paper_says(shared_data):
    path = shared_data / "parvati" / "parvati_2019Q1.tif"
    info = Info(path)
    assert (info.crs, info.shape) == ("EPSG:32643", (800, 400))
    values = require_valid(read(path), path.name)
    assert ((values.compressed() == 0) | (values.compressed() >= 0.3)).all()
