"""Elevation models: what is mended, what is refused, and tiles that make one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer
from rasterio.transform import from_origin
from scipy import ndimage

from icectl.errors import DataError, UsageError
from icectl.tasks.bed.fill import ice
from icectl.tasks.bed.products import row_of
from icectl.tasks.bed.readers.dem import check_slopes, open_dem
from icectl.tasks.bed.thickness.solve import Scene, Thickness


def relief(size: int = 80) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (2500 + 6000 * ndimage.gaussian_filter(rng.normal(size=(size, size)), 8)).astype("float32")


def write(
    path: Path,
    values: np.ndarray,
    *,
    crs: str | None = "EPSG:32632",
    size: float = 30.0,
    nodata=None,
    at=(4e5, 5.1e6),
) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
        crs=crs, transform=from_origin(*at, size, size), nodata=nodata,
    ) as made:  # fmt: skip
        made.write(values, 1)
    return path


def test_a_metric_elevation_model_is_kept_as_it_is(tmp_path: Path) -> None:
    heights = relief()
    terrain = open_dem(write(tmp_path / "a.tif", heights)).whole(30.0)
    assert np.array_equal(terrain.heights, heights)
    assert terrain.grid == terrain.native
    assert terrain.resolution == 30.0
    assert terrain.notes == ()


def test_a_coarser_model_keeps_its_pixels_and_a_finer_one_is_averaged(tmp_path: Path) -> None:
    coarse = open_dem(write(tmp_path / "a.tif", relief(), size=90.0)).whole(30.0)
    assert coarse.resolution == 90.0
    fine = open_dem(write(tmp_path / "b.tif", relief(), size=10.0)).whole(30.0)
    assert fine.resolution == 30.0
    middle = relief()[30:33, 30:33].mean()
    assert fine.heights[10, 10] == pytest.approx(middle, abs=1.0)


def test_degrees_become_metres_of_the_utm_zone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", relief(), crs="EPSG:4326", size=1 / 3600, at=(7.9, 46.6))
    terrain = open_dem(path).whole(None)
    assert terrain.grid.crs.to_epsg() == 32632
    assert terrain.resolution == 21.0  # the finer side of a pixel
    assert terrain.native.crs.to_epsg() == 4326


def test_voids_that_the_file_does_not_declare_are_masked_with_their_rim(tmp_path: Path) -> None:
    heights = relief()
    heights[10:14, 10:14] = -32767
    heights[14, 10:14] = -9000  # resampling once mixed the void with the ground
    terrain = open_dem(write(tmp_path / "a.tif", heights)).whole(None)
    missing = ~np.isfinite(terrain.heights)
    assert missing[9:15, 9:15].all()
    assert missing.sum() < 100
    assert "undeclared nodata (-32767" in terrain.notes[0]


@pytest.mark.parametrize(("factor", "unit"), [(3.2808, "feet"), (10.0, "decimetres")])
def test_heights_in_other_units_are_refused(tmp_path: Path, factor: float, unit: str) -> None:
    dem = open_dem(write(tmp_path / "a.tif", (relief() + 1500) * np.float32(factor)))
    with pytest.raises(DataError, match=f"cannot be metres .perhaps {unit}"):
        dem.whole(None)


def test_low_mountains_in_feet_are_too_steep() -> None:
    _y, x = np.indices((60, 60))
    metres = 500 + 0.6 * 30.0 * np.abs((x % 20) - 10)
    check_slopes(metres.astype("float32"), 30.0, "hills")
    with pytest.raises(DataError, match="hardly metres"):
        check_slopes((metres * 3.2808).astype("float32"), 30.0, "hills")
    with pytest.raises(DataError, match=r"hardly metres \(perhaps kilometres"):
        check_slopes((metres / 1000).astype("float32"), 30.0, "hills")


def test_a_model_without_crs_needs_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", relief(), crs=None)
    with pytest.raises(DataError, match="has no CRS") as caught:
        open_dem(path)
    assert "--dem-crs" in caught.value.hint
    assert open_dem(path, "EPSG:32632").whole(None).resolution == 30.0
    with pytest.raises(UsageError, match="no CRS that PROJ knows"):
        open_dem(path, "EPSG:nonsense")


def test_missing_empty_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_dem(tmp_path / "none.tif")
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    with pytest.raises(DataError, match="cannot be read"):
        open_dem(tmp_path / "broken.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no raster"):
        open_dem(tmp_path / "empty")
    void = write(tmp_path / "void.tif", np.full((20, 20), -9999, dtype="float32"), nodata=-9999)
    with pytest.raises(DataError, match="no valid height"):
        open_dem(void).whole(None)


def test_tiles_make_one_model_wherever_it_is_read(tmp_path: Path) -> None:
    heights = relief()
    write(tmp_path / "w.tif", heights[:, :50], at=(4e5, 5.1e6))
    write(tmp_path / "e.tif", heights[:, 40:], at=(4e5 + 40 * 30, 5.1e6))
    dem = open_dem(tmp_path)
    assert np.array_equal(dem.whole(None).heights, heights)
    part, grid, _ = dem.read(slice(5, 25), slice(30, 60))
    assert np.array_equal(part, heights[5:25, 30:60])
    assert grid.affine.c == 4e5 + 30 * 30
    box = (4e5 + 35 * 30, 5.1e6 - 30 * 30, 4e5 + 45 * 30, 5.1e6 - 20 * 30)
    around = dem.around(box, "EPSG:32632", 150.0)
    assert np.array_equal(around.heights, heights[15:35, 30:50])
    write(tmp_path / "odd.tif", heights, size=20.0, at=(5e5, 5.1e6))
    with pytest.raises(DataError, match="differ in CRS or pixel size"):
        open_dem(tmp_path)


def test_ground_away_from_the_model_is_refused(tmp_path: Path) -> None:
    dem = open_dem(write(tmp_path / "a.tif", relief()))
    with pytest.raises(DataError, match="lies outside"):
        dem.around((9e5, 5.0e6, 9.01e5, 5.01e6), "EPSG:32632", 100.0)


def test_flat_high_ground_is_suspected_and_steep_or_low_ground_is_not() -> None:
    _y, x = np.indices((120, 120)).astype(float)
    heights = 1000 + 25.0 * x  # 40° at 30 m: rock
    heights[:, 80:] = 3000.0 + 3 * (x[:, 80:] - 80)  # a high plateau
    heights[:, :20] = 1000.0  # a low plain
    rule = ice.Rule(high=2800.0, low=2500.0)
    found = ice.suspected(heights, 30.0, rule)
    assert found[20:100, 90:110].all()
    assert not found[:, :60].any()
    assert "2800 m" in rule.sentence()


def test_the_rule_comes_from_listed_ice_and_needs_some() -> None:
    heights = np.linspace(2000, 3000, 100)[:, None] * np.ones((1, 10))
    listed = heights > 2500
    rule = ice.rule_from_listed(heights, listed)
    assert rule.high == pytest.approx(np.percentile(heights[listed], 25))
    assert rule.low < 2500
    with pytest.raises(DataError, match="no outline lies on"):
        ice.rule_from_listed(heights, np.zeros_like(listed))


def test_listed_ice_stays_listed() -> None:
    heights = np.full((2, 2), 3000.0)
    heights[1, 1] = np.nan
    yes = np.array([[True, True], [False, True]])
    made = ice.cover(heights, np.array([[True, False], [False, False]]), yes, np.ones((2, 2), dtype=bool))
    assert made.tolist() == [[ice.Cover.LISTED, ice.Cover.EXCLUDED], [ice.Cover.SUSPECTED, ice.Cover.UNKNOWN]]


def test_areas_and_volumes_are_those_on_the_ground():
    """At the edge of a zone a square of UTM's is 0.2 % smaller, on its meridian 0.08 % larger."""
    for east in (500_000, 830_000):
        grid = GeoBox((60, 60), from_origin(east, 60_000, 50, 50), "EPSG:32632")
        flat, ice = np.zeros((60, 60)), np.ones((60, 60), bool)
        made = Thickness(flat + 100, flat, flat, 1.0, {"no ice": flat})
        found = row_of(made, Scene(flat, ice, ice, 50.0), grid)
        corners = grid.extent.geom.segmentize(100)
        lon, lat = Transformer.from_crs(32632, 4326, always_xy=True).transform(*corners.exterior.xy)
        area = abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]) / 1e6
        assert found["area_km2"] == pytest.approx(area, rel=2e-5)
        assert found["volume_km3"] == pytest.approx(0.1 * area, rel=2e-5)
