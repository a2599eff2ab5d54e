"""Elevation models as other people's files have them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from writing import tif

from icectl.errors import DataError
from icectl.tasks.bed.readers.dem import open_dem

DEGREES = Affine(1e-3, 0, 0, 0, -1e-3, 66.55)


@pytest.mark.parametrize("west", [[179.95], [-180.05], [179.95, -180.0]])
def test_an_elevation_model_across_180_degrees(tmp_path, west):
    """One file counted either way, or a tile on each side."""
    columns = 100 // len(west)
    for number, left in enumerate(west):
        heights = np.full((100, columns), 1000 + 100 * number, np.float32)
        tif(tmp_path / "dem" / f"{number}.tif", heights, Affine.translation(left, 0) @ DEGREES, "EPSG:4326")
    for box in ((179.98, 66.48, 180.02, 66.52), (-180.02, 66.48, -179.98, 66.52)):
        ground = open_dem(tmp_path / "dem").around(box, "EPSG:4326", 100.0)
        assert np.isfinite(ground.heights).mean() > 0.8  # the corners of what was warped have none
        assert float(np.nanmean(ground.heights)) == pytest.approx(1000 + 50 * (len(west) - 1), abs=15)


@pytest.mark.parametrize("crs", [None, "EPSG:4326"])
def test_tiles_of_wider_pixels_to_the_north_without_a_crs(tmp_path, crs):
    for number, (top, wide) in enumerate([(50.1, 2e-3), (50.0, 1e-3)]):
        heights = np.full((100, round(0.1 / wide)), 1000 + 100 * number, np.float32)
        tif(tmp_path / "dem" / f"{number}.tif", heights, Affine(wide, 0, 8.0, 0, -1e-3, top), crs)
    ground = open_dem(tmp_path / "dem", "EPSG:4326").around((8.04, 49.98, 8.06, 50.02), "EPSG:4326", 0.0)
    assert float(np.nanmean(ground.heights)) == pytest.approx(1050, abs=2)


def test_an_elevation_model_of_control_points_is_to_be_warped(tmp_path):
    points = [GroundControlPoint(r, c, 30 * c, -30 * r) for r in (0, 9) for c in (0, 9)]
    about = {"driver": "GTiff", "height": 9, "width": 9, "count": 1, "dtype": "float32"}
    with rasterio.open(tmp_path / "dem.tif", "w", gcps=points, crs="EPSG:32633", **about) as file:
        file.write(np.ones((9, 9), np.float32), 1)
    with pytest.raises(DataError, match=r"dem\.tif has no CRS") as error:
        open_dem(tmp_path / "dem.tif")
    assert "warp it first" in error.value.hint


def test_tiles_of_differing_width_scale_unit_and_order_make_one_model(tmp_path):
    rows, columns = 12, 18
    heights = 500 + 4.0 * np.arange(columns) + 3.0 * np.arange(rows)[:, None]
    fine, top = Affine(1 / 3600, 0, 10, 0, -1 / 3600, 60), 60 * 1.0
    south = np.rint(heights * 10).astype(np.int16)
    tif(tmp_path / "s.tif", south, fine, "EPSG:4326", scales=(0.1,))
    wide = Affine(1.5 / 3600, 0, 10, 0, 1 / 3600, top)  # the northern one is wider, south up, and in feet
    east = (np.arange(columns * 2 // 3) + 0.5) * 1.5 - 0.5
    north = 500 + 4.0 * east + 3.0 * -(1.0 + np.arange(rows))[:, None]
    tif(tmp_path / "n.tif", (north / 0.3048).astype(np.float32), wide, "EPSG:4326", units=("ft",))
    got, grid, _ = open_dem(tmp_path).read(slice(0, 2 * rows), slice(0, columns))
    assert (grid.affine.f, grid.affine.a) == pytest.approx((60 + rows / 3600, 1 / 3600))
    wanted = 500 + 4.0 * np.arange(columns) + 3.0 * (np.arange(2 * rows) - rows)[:, None]
    inside = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(got[inside], wanted[inside], atol=0.06)


def test_layers_beside_the_heights_are_no_tiles_of_them(tmp_path):
    """As global models are delivered: error, mask and count lie beside the heights or above them."""
    heights = np.full((20, 20), 2500, np.float32)
    for name, value in (("AUX/T_HEM", 0.5), ("T_DEM", 2500), ("T_MSK", 4), ("7_count", 9), ("b_aspect", 90)):
        tif(tmp_path / f"{name}.tif", heights * 0 + value)
    (tmp_path / "all.vrt").write_text("<VRTDataset/>")
    dem = open_dem(tmp_path)
    assert [file.name for file in dem.files] == ["T_DEM.tif"]
    tif(tmp_path / "relief.tif", heights * 0 + 7)  # of no known name: that of the heights decides
    assert open_dem(tmp_path).whole().heights.tolist() == heights.tolist()
    tif(tmp_path / "dem_2.tif", heights)
    with pytest.raises(DataError, match=r"T_DEM\.tif and dem_2\.tif in .* show the same ground") as error:
        open_dem(tmp_path)
    assert f"--dem {tmp_path}" in error.value.hint


def test_a_zarr_store_is_an_elevation_model(tmp_path):
    import xarray as xr
    from pyproj import CRS

    axes = {"x": 500_015.0 + 30 * np.arange(5), "y": 4_999_985.0 - 30 * np.arange(4)}
    about = {"units": "m", "grid_mapping": "crs"}
    data = xr.Dataset({"elevation": (("y", "x"), np.full((4, 5), 2500.0), about)}, coords=axes)
    for axis in axes:
        data[axis].attrs["standard_name"] = f"projection_{axis}_coordinate"
    data["crs"] = ((), 0, CRS.from_epsg(32632).to_cf())
    data.to_zarr(tmp_path / "dem.zarr", zarr_format=2)
    assert open_dem(tmp_path / "dem.zarr").whole().heights.mean() == 2500


@pytest.mark.parametrize("crs", ["EPSG:2231", "+proj=utm +zone=32 +datum=WGS84 +units=us-ft"])
def test_heights_on_a_grid_of_feet_are_to_state_their_unit(tmp_path, crs):
    """State plane models have both in feet: glaciers were three times as high, without a word."""
    place, heights = Affine(98.4, 0, 1_500_000, 0, -98.4, 1_500_000), np.full((40, 40), 8200, np.float32)
    bare = tif(tmp_path / "dem.tif", heights, place, crs)
    with pytest.raises(DataError, match="in feet by its CRS, and whether its heights") as refused:
        open_dem(bare).whole()
    assert "gdal_edit.py -units ft" in refused.value.hint
    for unit, metres in (("ft", 2499.4), ("m", 8200)):
        stated = tif(tmp_path / "stated.tif", heights, place, crs, units=(unit,))
        assert np.nanmedian(open_dem(stated).whole().heights) == pytest.approx(metres, abs=0.1)
