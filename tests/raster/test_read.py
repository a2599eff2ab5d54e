from __future__ import annotations

import sys
from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import reproject

from icectl.errors import DataError, UsageError
from icectl.raster import Info, Window, read, read_on
from icectl.raster.stored import check_end


def test_nodata_and_nan_are_masked(plain_tif):
    values = np.arange(12, dtype="float32").reshape(3, 4)
    values[0, 0], values[1, 1], values[2, 2] = -9999, np.nan, np.inf
    got = read(plain_tif(values, nodata=-9999))
    assert np.argwhere(got.mask).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert got[2, 3] == 11
    assert got.mask.sum() == 3


def test_a_raster_whose_last_block_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    values = np.random.default_rng(3).integers(1, 99, (1, 600, 600)).astype("uint8")
    about = {"count": 1, "height": 600, "width": 600, "tiled": True, "blockxsize": 256, "blockysize": 256}
    about |= {"crs": "EPSG:32643", "transform": Affine(30, 0, 500_000, 0, -30, 4_000_000)}
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", compress="deflate", **about) as file:
        file.write(values)
    check_end(path)
    path.write_bytes(path.read_bytes()[:-500])
    assert read(path, Window(0, 0, 256, 256)).shape == (256, 256)  # the first block is whole
    with pytest.raises(DataError):
        check_end(path)


def test_a_window_is_that_part_of_the_whole(plain_tif):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 9, (2, 30, 20)).astype("uint16")
    path = plain_tif(values, nodata=0)
    window = Window(5, 7, 11, 6)
    part = read(path, window, band=2)
    np.testing.assert_array_equal(part.data, values[1, 5:16, 7:13])
    np.testing.assert_array_equal(part.mask, values[1, 5:16, 7:13] == 0)
    assert read(path, window, band=None).shape == (2, 11, 6)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("float32", -9999.0), ("float32", -3.4028234663852886e38), ("float32", 0.1), ("float64", 0.1),
     ("float32", None), ("float32", float("nan")), ("int16", -32768), ("uint8", 255), ("uint16", None)],
)  # fmt: skip
def test_values_and_mask_are_rasterio_s(plain_tif, dtype, nodata, interleave):
    values = np.random.default_rng(5).integers(0, 9, (5, 40, 30)).astype(dtype)
    if nodata is not None:
        values[:, 3:9, 2:5] = values[4, 20] = nodata
    path = plain_tif(values, nodata=nodata, interleave=interleave, tiled=True, blockxsize=16, blockysize=16)
    for band in (None, 1, 5):
        for window in (None, Window(2, 1, 25, 17)):
            with rasterio.open(path) as file:
                expected = file.read(band, window=window and window.slices, masked=True)
            got = read(path, window, band)
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got.data, expected.data)
            np.testing.assert_array_equal(got.mask, np.ma.getmaskarray(expected) | np.isnan(got.data))


def test_mask_bands_and_alpha_are_heeded(tmp_path):
    values = np.full((2, 16, 16), 7, "uint8")
    hidden = np.zeros((16, 16), bool)
    hidden[:4] = True
    profile = {"driver": "GTiff", "width": 16, "height": 16, "dtype": "uint8", "crs": "EPSG:32643"}
    profile["transform"] = Affine(30, 0, 0, 0, -30, 0)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(tmp_path / "m.tif", "w", count=2, **profile) as file,
    ):
        file.write(values)
        file.write_mask(~hidden)
    for band in (None, 2):
        mask = read(tmp_path / "m.tif", band=band).mask
        np.testing.assert_array_equal(mask, np.broadcast_to(hidden, mask.shape))


class Counting:
    """An open raster that notes how it is read."""

    def __init__(self, source, calls: list[str]) -> None:
        self.source, self.calls = source, calls

    def __getattr__(self, name: str):
        return getattr(self.source, name)

    def read(self, *bands, masked=False, **more):
        self.calls.append("masked" if masked else "values")
        return self.source.read(*bands, masked=masked, **more)


def test_all_bands_are_decoded_once(plain_tif, monkeypatch):
    """One call, and the mask from its values: GDAL would read each band again for a mask."""
    path = plain_tif(np.ones((6, 20, 20), "float32"), nodata=0, interleave="pixel")
    calls: list[str] = []

    @contextmanager
    def opened(path):
        with rasterio.open(path) as source:
            yield Counting(source, calls)

    monkeypatch.setattr(sys.modules["icectl.raster.read"], "opened", opened)
    assert read(path, band=None).shape == (6, 20, 20)
    assert calls == ["values"]


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
    assert "get it again" in refused.value.hint


def test_what_is_no_raster_or_missing_is_refused(tmp_path):
    (tmp_path / "a.tif").write_text("no raster")
    with pytest.raises(DataError, match=r"a\.tif cannot be read"):
        read(tmp_path / "a.tif")
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "b.tif")


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
    values = read(path)
    assert ((values.compressed() == 0) | (values.compressed() >= 0.3)).all()
