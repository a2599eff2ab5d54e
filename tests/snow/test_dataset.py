"""The cube on disk: CF names, CRS, size, and refusals."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import xarray as xr

from icectl.errors import DataError
from icectl.tasks.snow.dataset import CubeWriter, open_dataset
from icectl.tasks.snow.predict import pixels_differ


def test_a_cube_reads_back(make_cube):
    rng = np.random.default_rng(0)
    values = rng.random((6, 23, 17), dtype="f4")
    values[2, 3:5] = np.nan
    flags = np.where(np.isnan(values), 0, 1).astype("u1")
    cube = make_cube(values, flags)
    np.testing.assert_array_equal(cube.read(slice(2, 9), slice(1, 4), slice(5, 8)), values[1:4, 2:9, 5:8])
    np.testing.assert_array_equal(cube.flags(slice(None)), flags)
    assert cube.shape == values.shape
    assert not cube.complete
    assert cube.facts == {"frames": 6}


def test_xarray_finds_names_times_and_crs(make_cube):
    cube = make_cube(np.ones((3, 12, 10), "f4"))
    with xr.open_zarr(cube.path, consolidated=False) as found:
        assert found["snow"].dims == ("time", "y", "x")
        assert [str(day)[:10] for day in found["time"].values] == [day.isoformat() for day in cube.times]
        assert found["x"].attrs["standard_name"] == "projection_x_coordinate"
        assert found["snow"].attrs["grid_mapping"] == "spatial_ref"
        assert float(found["x"][0]) == 700_020
        assert float(found["y"][0]) == 3_500_010
        assert "UTM zone 43N" in found["spatial_ref"].attrs["crs_wkt"]
    assert cube.grid.crs.epsg == 32643


def test_masks_are_stored_uncompressed_and_flags_cost_little(make_cube):
    cube = make_cube(np.random.default_rng(0).random((8, 100, 100), dtype="f4"))
    size = sum(f.stat().st_size for f in cube.path.rglob("*") if f.is_file())
    assert 320_000 <= size < 1.05 * 320_000


def test_an_unfinished_or_damaged_cube_is_refused(make_cube, tmp_path):
    cube = make_cube(np.ones((3, 12, 10), "f4"))
    CubeWriter(tmp_path / "half" / "dataset.zarr", cube.times, cube.grid, {})
    with pytest.raises(DataError, match="no finished cube"):
        open_dataset(tmp_path / "half")
    shutil.rmtree(cube.path / "time")
    with pytest.raises(DataError, match="no finished cube"):
        open_dataset(cube.path.parent)
    with pytest.raises(DataError, match="no finished cube"):
        open_dataset(tmp_path / "nowhere")


def test_pixels_of_another_size_than_the_trainings_are_said(make_cube):
    cube = make_cube(np.zeros((2, 12, 10), "f4"))
    assert pixels_differ(cube.grid, cube.identity) == ""
    said = pixels_differ(cube.grid.zoom_out(10), cube.identity)
    assert said.startswith("pixels are 300 m wide, those of the training 30:")
    degrees = cube.grid.to_crs("EPSG:4326")
    assert pixels_differ(degrees, cube.identity) == ""
