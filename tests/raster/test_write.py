from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from icectl.errors import DataError, WorkError
from icectl.raster import BlockWriter, read, write_cog

BIG = GeoBox((1100, 1300), Affine(30, 0, 500_025, 0, -30, 3_999_975), "EPSG:32643")


@pytest.fixture(scope="module")
def big_values():
    y, x = np.mgrid[:1100, :1300]
    return np.sin(y / 50, dtype="float32") * np.cos(x / 70, dtype="float32")


def ifd_offsets(path):
    """Where each image (the full one, then the overviews) starts its directory and its data."""
    with rasterio.open(path) as src:
        levels: list[int | None] = [None, *range(len(src.overviews(1)))]
        names = ("IFD_OFFSET", "BLOCK_OFFSET_0_0")
        return [
            tuple(int(src.get_tag_item(name, "TIFF", bidx=1, ovr=level)) for name in names)
            for level in levels
        ]


def assert_cog(path):
    """GDAL's own mark, and the layout that it stands for: directories first, small images' data first."""
    with rasterio.open(path) as src:
        assert src.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert src.block_shapes[0] == (512, 512)
        assert src.overviews(1), "no overviews"
    at = ifd_offsets(path)
    directories, data = [i for i, _ in at], [d for _, d in at]
    assert directories == sorted(directories)
    assert max(directories) < min(data)
    assert data == sorted(data, reverse=True)


def test_a_cog_holds_what_was_written(tmp_path, big_values):
    path = write_cog(
        tmp_path / "new" / "a.tif", np.stack([big_values, -big_values]), BIG,
        tags={"note": "x", "units": "m"}, descriptions=["b3", "b6"], scales=[0.5, 0.5], offsets=[1, 2],
    )  # fmt: skip
    assert_cog(path)
    with rasterio.open(path) as src:
        np.testing.assert_array_equal(src.read(2), -big_values)
        assert (src.crs.to_epsg(), src.transform) == (32643, BIG.affine)
        assert (src.descriptions, src.scales, src.offsets) == (("b3", "b6"), (0.5, 0.5), (1, 2))
        assert (src.tags()["note"], src.units) == ("x", ("m", "m"))
        assert np.isnan(src.nodata)
        # The overview is a mean of four, as a quantity's must be.
        small = src.read(1, out_shape=(550, 650))
        mean = big_values.reshape(550, 2, 650, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(small, mean, atol=1e-6)
    assert [f.name for f in path.parent.iterdir()] == ["a.tif"]


def test_masked_pixels_become_nodata(tmp_path, grid):
    values = np.ma.masked_less(np.arange(2400, dtype="int16").reshape(60, 40), 100)
    got = read(write_cog(tmp_path / "a.tif", values, grid, nodata=-32768))
    np.testing.assert_array_equal(got.mask, values.mask)
    np.testing.assert_array_equal(got.compressed(), values.compressed())
    with BlockWriter(tmp_path / "b.tif", grid, bands=1, dtype="float32") as writer:
        writer.write(values)
    np.testing.assert_array_equal(read(tmp_path / "b.tif").mask, values.mask)


def test_masked_pixels_without_nodata_are_refused(tmp_path, grid):
    values = np.ma.masked_equal(np.zeros((60, 40), "uint8"), 0)
    with pytest.raises(DataError, match="no nodata"):
        write_cog(tmp_path / "a.tif", values, grid)
    assert list(tmp_path.iterdir()) == []


def test_flags_are_bytes_and_their_overviews_stay_flags(tmp_path):
    flags = np.random.default_rng(0).random((1100, 1300)) > 0.5
    path = write_cog(tmp_path / "a.tif", flags, BIG)
    with rasterio.open(path) as src:
        assert src.dtypes == ("uint8",)
        assert set(np.unique(src.read(1, out_shape=(550, 650)))) == {0, 1}
        np.testing.assert_array_equal(src.read(1), flags)


def test_a_shape_that_is_not_the_grids_is_refused(tmp_path, grid):
    with pytest.raises(DataError, match="does not fit the grid"):
        write_cog(tmp_path / "a.tif", np.zeros((40, 60)), grid)


def test_blocks_add_up_to_the_whole(tmp_path, big_values):
    path = tmp_path / "a.tif"
    with BlockWriter(path, BIG, bands=1, dtype="float32") as writer:
        for row in range(0, 1100, 700):
            for col in range(0, 1300, 333):
                writer.write(big_values[row : row + 700, col : col + 333], row, col)
        assert not path.exists()  # nothing to be seen before it is whole
    assert_cog(path)
    np.testing.assert_array_equal(read(path).data, big_values)


def test_blocks_that_do_not_fit_are_refused(tmp_path, grid):
    with (
        pytest.raises(DataError, match="does not fit"),
        BlockWriter(tmp_path / "a.tif", grid, 1, "uint8") as out,
    ):
        out.write(np.zeros((10, 10), "uint8"), row=55, col=0)
    with (
        pytest.raises(DataError, match="does not fit"),
        BlockWriter(tmp_path / "a.tif", grid, 1, "uint8") as out,
    ):
        out.write(np.zeros((2, 10, 10), "uint8"))


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path, grid):
    path = write_cog(tmp_path / "a.tif", np.full((60, 40), 7, "uint8"), grid)
    before = path.read_bytes()

    def interrupted():
        with BlockWriter(path, grid, 1, "uint8") as writer:
            writer.write(np.zeros((60, 40), "uint8"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert path.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["a.tif"]


FULL_DISK = """
import resource, signal, sys
import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from icectl.errors import WorkError
from icectl.raster import write_cog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
side = int(sys.argv[2])
grid = GeoBox((side, side), Affine(30, 0, 500_025, 0, -30, 3_999_975), "EPSG:32643")
try:
    write_cog(sys.argv[1] + "/a.tif", np.random.default_rng(0).random((side, side), np.float32), grid)
except WorkError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize(
    ("side", "limit"),
    [(600, 100_000), (2000, 4_000_000), (2000, 17_000_000)],
    ids=["at close", "in a block", "in the COG"],
)
def test_no_room_is_told_and_leaves_nothing(tmp_path, side, limit):
    """A limit on the size of files stands in for a full disk; each step of the writing meets it once."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(side), str(limit)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert f"refused: the disk of {tmp_path} is full" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path, grid):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="cannot be written"):
        write_cog(tmp_path / "file" / "a.tif", np.zeros((60, 40)), grid)
