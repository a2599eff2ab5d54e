"""Points, outlines, known glaciers, errors and volumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.transform import from_origin
from shapely.geometry import Point, Polygon, box
from writing import tif

from icectl.errors import DataError, UsageError
from icectl.raster import Grid
from icectl.tasks.bed.metrics import doubts, sample, score
from icectl.tasks.bed.products import NUMBERS, by_region, row_of
from icectl.tasks.bed.readers import thickness_samples as known
from icectl.tasks.bed.readers.outlines import read_outlines, region_of, short_id
from icectl.tasks.bed.readers.points import read_points, years
from icectl.tasks.bed.thickness.physics import sea_level
from icectl.tasks.bed.thickness.solve import Scene, Thickness

HEADER = (
    "GlaThiDa_ID,POLITICAL_UNIT,GLACIER_NAME,SURVEY_DATE,PROFILE_ID,POINT_ID,POINT_LAT,POINT_LON,"
    "ELEVATION,THICKNESS,THICKNESS_UNCERTAINTY,DATA_FLAG,REMARKS\n"
)
TTT = """\
1,CH,A,19959999,1,1,46.5,8.0,2500,100,7,,
1,CH,A,19959999,1,2,46.5,8.001,2510,120,,,
2,CH,A,20070415,1,1,46.5,8.002,,30,,3,remark
2,CH,A,20070415,1,2,46.5,8.003,2500,400,,1,wrong
2,CH,A,,1,3,46.5,8.004,2500,,,,
3,CH,A,99999999,1,1,46.5,8.005,2500,-5,,,
"""


@pytest.fixture
def ttt(tmp_path: Path) -> Path:
    path = tmp_path / "TTT.csv"
    path.write_text(HEADER + TTT)
    return path


def test_ttt_is_read_with_dates_flags_and_uncertainties(ttt: Path) -> None:
    points = read_points(ttt)
    assert points.thickness.tolist() == [100, 120, 30]
    assert points.uncertainty.tolist() == [7, 12, 5]
    assert points.year.tolist() == [1995, 1995, 2007]
    assert points.surveys == 2
    assert points.dropped == {
        "no thickness or position": 1, "negative": 1, "over 5500 m": 0, "flagged erroneous": 1,
        "before None": 0,
    }  # fmt: skip
    assert read_points(ttt, since=2000).thickness.tolist() == [30]


@pytest.mark.parametrize(
    ("text", "year"), [("19959999", 1995), ("20070499", 2007), ("", None), ("99999999", None)]
)
def test_unknown_days_leave_the_year(text: str, year: int | None) -> None:
    found = years([text])[0]
    assert np.isnan(found) if year is None else found == year


def test_points_that_cannot_be_used_are_refused(tmp_path: Path, ttt: Path) -> None:
    with pytest.raises(DataError, match="no usable point"):
        read_points(ttt, since=2100)
    with pytest.raises(DataError, match="no column 'thik'"):
        read_points(ttt, "thik")
    with pytest.raises(DataError, match="does not exist"):
        read_points(tmp_path / "none.csv")
    bad = tmp_path / "metres.csv"
    bad.write_text("lon,lat,thickness\n600000,5100000,30\n")
    with pytest.raises(DataError, match="no longitude and latitude"):
        read_points(bad)
    bad.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="POINT_LON"):
        read_points(bad)


def test_vector_points_are_read_in_their_crs(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame(
        {"thick": [10.0, 20.0]}, geometry=[Point(5e5, 5e6), Point(5e5, 5.1e6)], crs=32632
    )
    frame.to_file(tmp_path / "p.gpkg")
    points = read_points(tmp_path / "p.gpkg")
    assert points.thickness.tolist() == [10, 20]
    assert points.x[0] == 5e5


@pytest.mark.parametrize(
    ("column", "ids", "region"),
    [
        ("RGIId", ["RGI60-11.01421", "RGI60-11.01422"], "11"),
        ("rgi_id", ["RGI2000-v7.0-G-11-00005", "RGI2000-v7.0-G-12-00005"], "11"),
        ("glac_id", ["G007026E45991N", "G007027E45992N"], ""),
        ("something", ["x", "y"], ""),
    ],
)
def test_inventories_of_several_kinds(tmp_path: Path, column: str, ids: list[str], region: str) -> None:
    shapes = [box(0, 0, 1, 1), box(2, 0, 3, 1)]
    gpd.GeoDataFrame({column: ids}, geometry=shapes, crs=4326).to_file(tmp_path / "o.gpkg")
    found = read_outlines(tmp_path / "o.gpkg")
    if column == "something":
        assert found.ids == ("o-00001", "o-00002")
    else:
        assert found.ids == tuple(ids)
        assert region_of(found.ids[0]) == region
    assert len(found.choose()) == 2


def test_unknown_ids_and_regions_are_refused_with_a_hint(tmp_path: Path) -> None:
    gpd.GeoDataFrame({"RGIId": ["RGI60-11.01421"]}, geometry=[box(0, 0, 1, 1)], crs=4326).to_file(
        tmp_path / "o.gpkg"
    )
    found = read_outlines(tmp_path / "o.gpkg")
    assert found.choose(("11.01421",)).ids == ("RGI60-11.01421",)
    two = replace(found, ids=("a", "A"), geometries=(box(0, 0, 1, 1), box(0, 0, 2, 1)))
    assert [two.choose((name,)).ids for name in "aA"] == [("a",), ("A",)]
    assert found.choose(region="11").ids == ("RGI60-11.01421",)
    with pytest.raises(UsageError, match=r"no glacier 'RGI60-11\.01422'") as caught:
        found.choose(("RGI60-11.01422",))
    assert "RGI60-11.01421" in caught.value.hint
    with pytest.raises(UsageError, match="no glacier of RGI region 12"):
        found.choose(region="12")


def test_parts_of_one_glacier_are_one_and_crossing_rings_are_mended(tmp_path: Path) -> None:
    bow = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    three_d = Polygon([(5, 0, 100), (6, 0, 110), (6, 1, 120)])
    frame = gpd.GeoDataFrame({"RGIId": ["a", "a", "b"]}, geometry=[bow, box(3, 0, 4, 1), three_d], crs=32632)
    frame.to_file(tmp_path / "o.gpkg")
    found = read_outlines(tmp_path / "o.gpkg")
    assert found.ids == ("a", "b")
    assert found.geometries[0].is_valid
    assert found.geometries[0].area == pytest.approx(2 + 1)
    assert not found.geometries[1].has_z


def test_held_out_ids_count_whatever_their_version() -> None:
    assert short_id("RGI60-01.16195") == short_id("rgi50-01.16195")
    grid = np.zeros((3, 3))
    one = known.Known("RGI60-01.16195", "measured", grid, grid > 0, 10.0, grid)
    assert list(known.without(iter([one]), ("01.16195",))) == []


def test_rasters_of_one_glacier_meet_by_position(tmp_path: Path) -> None:
    _y, x = np.indices((40, 40)).astype("float32")
    heights, depth = 2000 + 10 * x, np.zeros((40, 40), dtype="float32")
    depth[8:32, 8:32] = 50.0
    for name, values, at in (("dem_01421.tif", heights, -12.5), ("RGI60-11.01421_thickness.tif", depth, 0.0)):
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", height=40, width=40, count=1, dtype="float32",
            transform=from_origin(at, 1000, 25, 25), crs="EPSG:32632" if "thick" in name else None,
        ) as made:  # fmt: skip
            made.write(values, 1)
    (found,) = known.read_known(tmp_path)
    assert found.name == "RGI60-11.01421"
    assert found.kind == "modelled"
    assert np.nanmax(found.thickness) == pytest.approx(50.0, abs=0.5)
    assert found.area == pytest.approx(0.36, rel=0.1)
    assert found.resolution == pytest.approx(
        known.working_resolution(0.36), rel=0.01
    )  # of the ground, not of UTM
    # Half a pixel of 25 m at a slope of 0.4 m/m is 5 m: read by index, heights would be that far off.
    centre = found.surface.shape[1] // 2
    metres = (centre + 0.5) * found.resolution
    assert found.surface[found.surface.shape[0] // 2, centre] == pytest.approx(
        2000 + 0.4 * (metres + 12.5) - 5, abs=1.0
    )


def test_a_year_in_the_name_pairs_no_rasters_and_other_ground_is_refused(tmp_path: Path) -> None:
    """Of names that end in a year any elevation was taken for any glacier."""
    depth = np.zeros((40, 40), dtype="float32")
    depth[8:32, 8:32] = 50.0
    for number, left in (("01421", 0), ("01422", 50_000)):
        at = Affine(25, 0, left, 0, -25, 1000)
        tif(tmp_path / f"dem_{number}_2017.tif", depth * 0 + 2000 + left / 100, at, "EPSG:32632")
        tif(tmp_path / f"RGI60-11.{number}_thickness_2017.tif", depth, at, "EPSG:32632")
    assert [one.surface.mean() for one in known.read_known(tmp_path)] == pytest.approx([2000, 2500])
    (tmp_path / "dem_01422_2017.tif").rename(tmp_path / "dem_01421_2017.tif")
    with pytest.raises(DataError, match="taken for one glacier by their names and show other ground"):
        list(known.read_known(tmp_path))


def test_folders_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither CSV grids"):
        list(known.read_known(tmp_path))
    with pytest.raises(DataError, match="not a folder"):
        list(known.read_known(tmp_path / "none"))


def test_errors_are_those_of_the_books() -> None:
    found = score(np.array([1.0, 5.0, 3.0, 8.0, 6.0]), np.full(5, 2.0), np.ones(5))
    assert found["bias"] == pytest.approx(13 / 5)
    assert found["rmse"] == pytest.approx(np.sqrt(63 / 5))
    assert found["mae"] == pytest.approx(15 / 5)
    assert found["median"] == 3.0
    assert found["mad"] == 2.0
    assert found["within"] == pytest.approx(200 / 5)
    assert [len(doubts(np.full(3, x), np.full(3, 30.0))) for x in (4.9, 5.0, 180.0, 181.0)] == [1, 0, 0, 1]


def test_sampling_is_linear_and_ignores_gaps() -> None:
    y, x = np.indices((6, 8)).astype(float)
    plane = 2 * y + 3 * x
    got = sample(plane, np.array([1.25, 4.0, 3.75]), np.array([2.5, 1.0, 4.5]))
    np.testing.assert_allclose(got, [10.0, 11.0, 21.0])
    rows, cols = np.array([-0.5, 0.25, 5.25, 2, 2, 2, 2]), np.array([2, 0, 5, -0.25, 7.5, 7.9, 8.5])
    beyond = [6.0, 0.5, 25.0, 4.0, 25.0, np.nan, np.nan]  # of the pixels that there are, if near enough
    np.testing.assert_allclose(sample(plane, rows, cols), beyond)
    holed = plane.copy()
    holed[1, 2] = np.nan
    np.testing.assert_allclose(sample(holed, np.array([1.5]), np.array([2.5])), (11 + 10 + 13) / 3)
    assert np.isnan(sample(plane, np.array([50.0]), np.array([0.0]))).all()


def test_volume_and_sea_level_are_sums() -> None:
    """36 pixels of a hectare with 100 m of ice, whose bed lies 40 m below the sea."""
    ice = np.zeros((10, 10), dtype=bool)
    ice[2:8, 2:8] = True
    depth = np.where(ice, 100.0, 0.0)
    factor = float(np.exp(1.645 * 0.2))
    scene = Scene(np.full((10, 10), 60.0), ice, ice, 100.0)
    equal_area = "+proj=laea +lat_0=46 +lon_0=8 +datum=WGS84"
    grid = Grid((10, 10), from_origin(0, 0, 100, 100), equal_area)
    row = row_of(Thickness(depth, depth, depth, factor, {"plasticity": 2 * depth}), scene, grid)
    assert row["volume_km3"] == pytest.approx(0.036)
    assert row["area_km2"] == pytest.approx(0.36)
    assert (row["mean_m"], row["max_m"]) == (100.0, 100.0)
    assert row["volume_high_km3"] / row["volume_km3"] == pytest.approx(factor, rel=1e-3)
    assert row["volume_km3"] / row["volume_low_km3"] == pytest.approx(factor, rel=1e-3)
    assert row["plasticity_km3"] == pytest.approx(0.072)
    assert row["below_sea_km3"] == pytest.approx(0.4 * 0.036)
    assert row["sle_mm"] == pytest.approx(sea_level(0.6 * 0.036), rel=1e-5)
    assert sea_level(402.8) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.realdata
def test_pixel_sizes_of_gridded_measurements(shared_data: Path) -> None:
    found = {g.name: g for g in known.read_known(shared_data / "dem" / "glathida_grids")}
    assert len(found) == 24
    south = found["RGI60-01.16195"]
    # RGI states 5.35 km²; border cells that the mask counts make a little more.
    assert 5.3 < south.area < 6.5
    assert south.resolution == pytest.approx(known.working_resolution(5.35), abs=1.0)
    held = list(known.without(iter(found.values()), ("RGI60-01.16195",)))
    assert len(held) == 23


def test_published_tables_concern_the_regions_of_the_glaciers_alone() -> None:
    from icectl.tasks.bed.scores import published

    sums = {"area_km2": "5.5", "volume_km3": "0.4", "sle_mm": "0.001", "note": ""}
    rows = [{"id": "RGI60-01.16195", **sums}, {"id": "RGI60-11.00001", **sums, "note": "off the map"}]
    inventory, volumes = published.tables(rows)
    assert [r.name for r in inventory.rows] == ["predicted here, of region 01", "01 Alaska"]
    assert inventory.rows[0].values == {"count": 1, "area": 5.5}
    millan, farinotti = volumes.rows[1:]
    assert millan.values["volume"] == 19.2
    assert farinotti.values["volume"] == pytest.approx(19.2 / 0.96, abs=1e-3)  # "-4 %" less than Farinotti's
    ours, theirs = volumes.rows[0].values, volumes.rows[-1].values
    assert ours["mean"] == pytest.approx(1e3 * float(sums["volume_km3"]) / float(sums["area_km2"]))
    assert theirs["mean"] == pytest.approx(1e3 * theirs["volume"] / theirs["area"])
    assert published.tables([{"id": "mine", **sums}]) == []
    assert published.tables([{"id": "RGI2000-v7.0-G-99-00001", **sums}]) == []


def test_sums_by_region_add_up_and_the_mean_is_that_of_all_ice() -> None:
    def row(name: str, area: float, mean: float) -> dict[str, str]:
        numbers = dict.fromkeys(NUMBERS, 1.0) | {
            "area_km2": area,
            "volume_km3": area * mean / 1e3,
            "max_m": mean,
        }
        return {"id": name, "note": "", **{k: str(v) for k, v in numbers.items()}}

    rows = [row("RGI60-11.00001", 4.0, 50.0), row("RGI60-11.00002", 1.0, 100.0), row("mine", 5.0, 80.0)]
    found = by_region(rows)
    assert list(found) == ["11", ""]
    assert (found["11"]["glaciers"], found["11"]["mean_m"], found["11"]["max_m"]) == (2, 60.0, 100.0)
    assert (found[""]["region"], found[""]["area_km2"], found[""]["mean_m"]) == ("all", 10.0, 70.0)
    assert found[""]["sle_mm"] == 3.0
