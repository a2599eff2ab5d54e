from __future__ import annotations

import time

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio.features
import shapely
from shapely.geometry import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box
from writing import tif

from icectl.errors import DataError, UsageError, WorkError
from icectl.raster import Info, grid_of, rasterize, read_vectors, write_vectors
from icectl.raster.vectors import beside_180

SQUARE = box(500_107, 3_998_507, 500_707, 3_999_507)  # no edge runs through a pixel's centre
BOW_TIE = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])


def frame(*shapes, crs="EPSG:32643", **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson"])
def test_what_is_written_comes_back(tmp_path, suffix):
    crs = "EPSG:4326" if suffix == ".geojson" else "EPSG:32643"
    shapes = frame(
        box(1, 2, 3, 4), MultiPolygon([box(5, 5, 6, 6)]), crs=crs, name=["a", "b"], area_km2=[1.5, 2.5]
    )
    path = write_vectors(tmp_path / f"out{suffix}", shapes)
    back = gpd.read_file(path)
    assert back.crs == shapes.crs
    assert back["name"].tolist() == ["a", "b"]
    assert back["area_km2"].tolist() == [1.5, 2.5]
    assert shapely.area(back.geometry.array).tolist() == pytest.approx([4, 1])
    bytes_of = {part.name: part.read_bytes() for part in tmp_path.iterdir()}
    time.sleep(0.002)
    write_vectors(path, shapes)  # no date in it: the same work gives the same bytes
    assert {part.name: part.read_bytes() for part in tmp_path.iterdir()} == bytes_of
    assert "out.dbf" not in bytes_of or bytes_of["out.dbf"][1:4] == bytes([70, 1, 1])
    again = write_vectors(path, shapes.iloc[:1])
    assert len(read_vectors(again)) == 1
    assert all(f.name.startswith("out.") for f in tmp_path.iterdir())


def test_three_dimensions_become_two_on_reading(tmp_path):
    solid = Polygon([(0, 0, 5), (1, 0, 5), (1, 1, 5), (0, 1, 5)])
    frame(solid).to_file(tmp_path / "z.gpkg")
    back = read_vectors(tmp_path / "z.gpkg")
    assert not back.has_z.any()
    assert back.area.tolist() == [1]


def test_crossing_rings_are_mended_and_empty_shapes_left_out(tmp_path):
    spike = Polygon([(20, 0), (30, 0), (30, 10), (30, 0), (40, 0), (40, 0)])  # no area: only crumbs remain
    frame(BOW_TIE, Polygon(), spike, None).to_file(tmp_path / "a.gpkg")
    back = read_vectors(tmp_path / "a.gpkg")
    assert len(back) == 1
    assert back.is_valid.all()
    assert back.area.iloc[0] == pytest.approx(50)
    assert back.geom_type.isin(["Polygon", "MultiPolygon"]).all()


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (Polygon([(0, 0), (40, 0), (40, 80), (0, 80)], [[(30, 10), (60, 10), (60, 20), (30, 20)]]), 3100),
        (Polygon([(0, 0), (40, 0), (40, 80), (0, 80)], [[(60, 10), (90, 10), (90, 20), (60, 20)]]), 3200),
        (MultiPolygon([box(0, 0, 40, 80), box(10, 10, 20, 20)]), 3200),
        (MultiPolygon([box(0, 0, 40, 80), box(20, 0, 60, 80)]), 4800),
        (GeometryCollection([box(0, 0, 40, 80), LineString([(0, 0), (99, 9)])]), 3200),
    ],
    ids=[
        "a hole over the border",
        "a hole outside",
        "a shell in a shell",
        "shells that overlap",
        "a collection",
    ],
)
def test_areas_of_shapes_as_people_have_them(tmp_path, shape, area):
    gpd.GeoDataFrame(geometry=[shape], crs="EPSG:32643").to_file(tmp_path / "a.gpkg")
    (found,) = read_vectors(tmp_path / "a.gpkg").geometry
    assert found.is_valid
    assert found.geom_type in ("Polygon", "MultiPolygon")
    assert found.area == pytest.approx(area)


@pytest.mark.parametrize("lost", [".shx", ""])
def test_a_shapefile_that_is_not_whole_says_what_is_needed(tmp_path, lost):
    gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs="EPSG:32643").to_file(tmp_path / "a.shp")
    (tmp_path / f"a{lost}").unlink() if lost else (tmp_path / "a.shp").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as vectors") as refused:
        read_vectors(tmp_path / "a.shp")
    assert refused.value.hint.startswith("all its files are needed")
    assert "prefixing" not in refused.value.message


def test_crs_is_changed_on_reading(tmp_path):
    frame(SQUARE).to_file(tmp_path / "a.gpkg")
    back = read_vectors(tmp_path / "a.gpkg", crs="EPSG:4326")
    assert back.crs.to_epsg() == 4326
    assert 74.9 < back.total_bounds[0] < 75.1


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_vectors(tmp_path / "none.gpkg")
    (tmp_path / "bad.gpkg").write_bytes(b"SQLite format 3\x00 cut")
    with pytest.raises(DataError, match="cannot be read as vectors"):
        read_vectors(tmp_path / "bad.gpkg")
    mask = tif(tmp_path / "mask.tif", np.ones((4, 4), np.uint8))
    with pytest.raises(DataError, match="cannot be read as vectors") as refused:
        read_vectors(mask)
    assert refused.value.hint.startswith("it is a raster: make polygons")
    (tmp_path / "fronts").mkdir()
    with pytest.raises(DataError, match="cannot be read as vectors") as refused:
        read_vectors(tmp_path / "fronts")
    assert refused.value.hint == "it is a folder: name the file in it"
    frame(Polygon()).to_file(tmp_path / "empty.gpkg")
    with pytest.raises(DataError, match="no usable geometry"):
        read_vectors(tmp_path / "empty.gpkg")
    frame(SQUARE).to_file(tmp_path / "bare.shp")
    (tmp_path / "bare.prj").unlink()
    with pytest.raises(DataError, match="no CRS"):
        read_vectors(tmp_path / "bare.shp")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no geometry"):
        read_vectors(tmp_path / "table.csv")


def test_burning_is_rasterios(grid):
    ring = SQUARE.difference(box(500_301, 3_998_901, 500_501, 3_999_101))
    want = ~rasterio.features.geometry_mask([ring], out_shape=grid.shape, transform=grid.affine)
    np.testing.assert_array_equal(rasterize([ring], grid), want)
    np.testing.assert_array_equal(rasterize(frame(ring).to_crs("EPSG:4326"), grid), want)
    assert abs(want.sum() * 900 - ring.area) < 0.1 * ring.area


def test_a_line_needs_all_touched(grid):
    line = LineString([(500_100, 3_999_800), (500_900, 3_998_800)])
    thin, thick = rasterize([line], grid), rasterize([line], grid, all_touched=True)
    assert thick.sum() > thin.sum() > 0


def test_an_outline_outside_the_raster_is_refused(grid):
    with pytest.raises(DataError, match="lies outside the raster") as refused:
        rasterize([box(0, 0, 1, 1)], grid, what="rgi.gpkg")
    assert "rgi.gpkg" in refused.value.message
    assert "EPSG:32643" in refused.value.message
    with pytest.raises(DataError, match="is empty"):
        rasterize([Polygon()], grid)


@pytest.mark.parametrize(
    ("shape", "reason"), [(BOW_TIE, "Self-intersection"), (Polygon(), "empty"), (None, "empty")]
)
def test_bad_shapes_are_not_written(tmp_path, shape, reason):
    with pytest.raises(DataError, match=reason):
        write_vectors(tmp_path / "a.gpkg", frame(box(0, 0, 1, 1), shape))
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_and_missing_crs_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.kml"):
        write_vectors(tmp_path / "a.kml", frame(SQUARE))
    with pytest.raises(DataError, match="no CRS"):
        write_vectors(tmp_path / "a.gpkg", frame(SQUARE, crs=None))


def test_long_field_names_stay_distinct_in_a_shapefile(tmp_path):
    shapes = frame(Point(0, 0), mean_distance_m=[1.0], mean_distance_px=[2.0])
    back = gpd.read_file(write_vectors(tmp_path / "a.shp", shapes))
    values = back.drop(columns="geometry").iloc[0].tolist()
    assert values == [1.0, 2.0]
    assert all(len(name) <= 10 for name in back.columns if name != "geometry")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_vectors(tmp_path / "a.gpkg", frame(SQUARE))
    before = path.read_bytes()

    def no_room(*_, **__):
        raise pyogrio.errors.FeatureError("No space left on device")

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", no_room)
    with pytest.raises(WorkError, match=r"a\.gpkg could not be written: No space left"):
        write_vectors(path, frame(SQUARE))
    assert path.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["a.gpkg"]


@pytest.mark.realdata
def test_real_outlines_meet_their_dem(shared_data):
    folder = shared_data / "dem" / "south_glacier"
    shapes = read_vectors(folder / "SouthGlacier.shp")
    assert shapes.is_valid.all()
    assert not shapes.has_z.any()
    dem = folder / "dem_SouthGlacier.tif"
    inside = rasterize(shapes, grid_of(dem))
    area = shapes.to_crs(Info(dem).crs).area.sum()
    assert inside.sum() * 400 == pytest.approx(area, rel=0.01)  # 20 m pixels


def test_a_shape_over_180_is_made_one_piece_and_others_stay():
    halves = shapely.MultiPolygon([shapely.box(179, 66, 180, 67), shapely.box(-180, 66, -178, 67)])
    frame = gpd.GeoDataFrame(geometry=[halves, shapely.box(-11, 60, -10, 61)], crs="EPSG:4326")
    joined = beside_180(frame).geometry
    assert joined.bounds.to_numpy().tolist() == [[179, 66, 182, 67], [-11, 60, -10, 61]]
    assert joined[0].geom_type == "Polygon"


@pytest.mark.parametrize(
    ("shapes", "said", "hint"),
    [
        ([], "holds no feature", "name another file: this one is empty"),
        ([Point()], "holds no usable geometry", "all 1 are empty or invalid: draw or export them again"),
    ],
)
def test_a_file_without_a_feature_is_not_called_invalid(tmp_path, shapes, said, hint):
    """`predict` writes an empty file where no front was found, and `compare fronts` read it."""
    path = tmp_path / "fronts.gpkg"
    gpd.GeoDataFrame(geometry=shapes, crs=32643).to_file(path)
    with pytest.raises(DataError, match=said) as raised:
        read_vectors(path)
    assert (raised.value.message, raised.value.hint) == (f"{path} {said}", hint)
