"""What was read wrong in silence of other people's masks, directions, dates and sets of fronts."""

from __future__ import annotations

from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.transform import from_origin
from writing import tif

from icectl.errors import DataError, UsageError
from icectl.raster import Info
from icectl.sources.catalogue import Scene
from icectl.tasks.front.dataset import Entry, Place
from icectl.tasks.front.files.compare import compare_fronts
from icectl.tasks.front.files.fjord import fjord_mask
from icectl.tasks.front.files.images import read_image
from icectl.tasks.front.files.labels import read_label
from icectl.tasks.front.files.lengths import lengths_of
from icectl.tasks.front.files.pairs import find_pairs
from icectl.tasks.front.options import PrepareOptions
from icectl.tasks.front.pose.direction import ROUGHLY, flow_from
from icectl.tasks.front.prepare import _stated_place

SHAPE = (60, 80)
PLACE = from_origin(500_000, 7_400_000, 30, 30)
CRS = "EPSG:32622"
DAY = datetime(2019, 7, 10, tzinfo=UTC)
ROW, COLUMN = np.mgrid[: SHAPE[0], : SHAPE[1]]
ENTRY = Entry("a", DAY, SHAPE, place=Place(CRS, (30.0, 0.0, 500_000.0, 0.0, -30.0, 7_400_000.0)))
FJORD = (COLUMN >= 20) & (COLUMN < 50)


@pytest.mark.parametrize(
    ("transform", "crs", "fits"),
    [
        (PLACE, CRS, True),
        (PLACE, "+proj=utm +zone=22 +datum=WGS84", True),
        (PLACE, "EPSG:32623", False),
        (from_origin(500_000, 7_400_000, 60, 60), CRS, False),
    ],
)
def test_a_label_of_the_image_s_size_lies_on_it_in_all_corners(tmp_path, transform, crs, fits):
    """Another CRS, or pixels of another size from the same corner, made a front elsewhere."""
    _, place = read_image(tif(tmp_path / "i.tif", np.uint8(ROW * 3), PLACE, CRS))
    label = tif(tmp_path / "l.tif", np.uint8(ROW < 30), transform, crs)
    if fits:
        assert len(read_label(label, SHAPE, place).lines) == 1
    else:
        with pytest.raises(DataError, match="has the size of its image but lies elsewhere"):
            read_label(label, SHAPE, place)


def test_of_days_in_three_columns_that_of_the_image_counts(tmp_path):
    lines = [shapely.LineString([(500_000, y), (502_400, y)]) for y in (7_399_700, 7_399_100)]
    columns = {"Year": [2018, 2019], "Month": [7, 7], "Day": [10, 10]}
    gpd.GeoDataFrame(columns, geometry=lines, crs=CRS).to_file(tmp_path / "l.gpkg")
    (line,) = read_label(tmp_path / "l.gpkg", SHAPE, ENTRY.place, day=DAY).lines
    assert line[:, 0] == pytest.approx(29.5)


def doubled(mask):
    return np.kron(mask, np.ones((2, 2), np.uint8))


MASKS = {
    "of 0 and 255": (np.uint8(FJORD) * 255, PLACE, CRS, {}),
    "without a CRS": (np.uint8(FJORD), None, None, {}),
    "of nodata and 1": (np.uint8(FJORD), PLACE, CRS, {"nodata": 0}),
    "from the south": (np.uint8(FJORD)[::-1], from_origin(500_000, 7_398_200, 30, -30), CRS, {}),
    "of finer pixels": (doubled(np.uint8(FJORD)), from_origin(500_000, 7_400_000, 15, 15), CRS, {}),
    "of more ground": (np.pad(np.uint8(FJORD), 9), from_origin(499_730, 7_400_270, 30, 30), CRS, {}),
    "to the border of the image": (np.uint8(COLUMN < 50), PLACE, CRS, {}),
}


@pytest.mark.parametrize("form", MASKS)
def test_a_fjord_of_every_form_of_mask_is_the_same(tmp_path, form):
    """One that reached the border was taken for paper around the image, and one of finer pixels refused."""
    values, transform, crs, about = MASKS[form]
    path = tif(tmp_path / "f.tif", values, *([transform, crs] if crs else [Affine.identity(), None]), **about)
    wanted = COLUMN < 50 if "border" in form else FJORD
    np.testing.assert_array_equal(fjord_mask(path, ENTRY), wanted)


def test_a_fjord_mask_of_another_place_is_refused(tmp_path):
    """It had the size of the image and was laid over it."""
    path = tif(tmp_path / "f.tif", np.uint8(FJORD), from_origin(600_000, 7_400_000, 30, 30), CRS)
    with pytest.raises(DataError, match="misses image a"):
        fjord_mask(path, ENTRY)
    bare = tif(tmp_path / "b.tif", np.uint8(FJORD)[:30], Affine.identity(), None)
    with pytest.raises(DataError, match="differ in size"):
        fjord_mask(bare, ENTRY)


def test_a_crs_without_bounds_takes_the_world_file_of_the_image(tmp_path):
    """The CRS was left out without a word: fronts were in pixels."""
    tif(tmp_path / "i.png", np.uint8(ROW * 3), Affine.identity(), None, driver="PNG")
    scene, options = Scene("a", DAY, {}, {}), PrepareOptions(crs=CRS)
    with pytest.raises(UsageError, match="alone does not say where the images lie"):
        _stated_place(scene, SHAPE, options, Info(tmp_path / "i.png").world)
    (tmp_path / "i.pgw").write_text("30\n0\n0\n-30\n500015\n7399985\n")
    assert _stated_place(scene, SHAPE, options, Info(tmp_path / "i.png").world) == ENTRY.place


@pytest.mark.parametrize(
    ("names", "bands", "flow"),
    [
        (("VX_RGI-5", "VY_RGI-5"), None, 135),
        (("greenland_vel_x", "greenland_vel_y"), None, 135),
        (("ITS_LIVE",), ("v", "vx", "vy", "v_error"), 135),
        (("field",), (None, None), 135),
        (("currents",), ("u", "v"), 135),
        (("dem",), (None,), 135),
        (("speed",), (None,), None),
        (("V_RGI-5",), (None,), None),
        (("vx",), (None,), None),
        (("vy_2019",), (None,), None),
    ],
)
def test_a_speed_or_one_component_is_not_taken_for_heights(tmp_path, names, bands, flow):
    """Ice was said to flow to where a speed falls: inland."""
    falls = np.float32(900 - 5 * (ROW + COLUMN))
    layers = {"x": falls * 0 + 70, "y": falls * 0 - 70, "u": falls * 0 + 70, "v": falls / 9}
    if "u" in (bands or ()):
        layers["v"] = layers["y"]
    for name, axis in zip(names, "xy", strict=False):
        given = bands or (axis,)
        if given[0] is None:
            values = [layers[one] for one in ("xy" if len(given) == 2 else "v")]
        else:
            values = [layers[one[-1] if one != "v_error" else "v"] for one in given]
        tif(tmp_path / f"{name}.tif", np.stack(values), PLACE, CRS, descriptions=bands or (None,))
    source = tmp_path / f"{names[0]}.tif"
    if flow is None:
        with pytest.raises(DataError, match="which have no direction") as refused:
            flow_from(source, ENTRY)
        assert "vx.tif and vy.tif" in refused.value.hint
    else:
        bearing, spread = flow_from(source, ENTRY)
        assert bearing == pytest.approx(flow, abs=3)
        assert spread == (ROUGHLY if names == ("dem",) else 0)


DAYS = ("2018-08-01", "2019-08-01", "2020-08-01")


def fronts(path, *places, moved=0, retreats=(400,), **columns):
    """Write fronts of 5 km at some northings, that retreat by so much a year."""
    lines = [
        shapely.LineString([(0, y + moved - back * n), (5000, y + moved - back * n)])
        for y, back in zip(places, retreats, strict=True)
        for n in range(3)
    ]
    dates = {"Date": DAYS * len(places)}
    gpd.GeoDataFrame(dates | columns, geometry=lines, crs="EPSG:3413").to_file(path)
    return path


NORTH = -2_188_000  # 70° N, where a metre of EPSG:3413 is one on the ground


def test_fronts_of_neighbours_that_no_name_tells_apart_do_not_pair(tmp_path):
    """Two glaciers 30 km apart were compared: a mean distance of 30 km."""
    one = fronts(tmp_path / "a.gpkg", NORTH, Name=["A"] * 3)
    for columns in ({}, {"Name": ["B"] * 3}):
        other = fronts(tmp_path / "b.gpkg", NORTH + 30_000, **columns)
        with pytest.raises(DataError, match=r"no two fronts .* within the length of a front"):
            compare_fronts(one, other)
        near = fronts(tmp_path / "c.gpkg", NORTH, moved=150, **columns)
        assert compare_fronts(one, near).rows[0].values["mean_m"] == pytest.approx(150, abs=1)
    other = fronts(tmp_path / "b.gpkg", NORTH, moved=-20_000)
    assert compare_fronts(one, other, within_days=800).rows[0].values["pairs"] == 2


def test_glaciers_that_no_column_names_have_lengths_of_their_own(tmp_path):
    """All lay in one box across all of them."""
    path = fronts(tmp_path / "a.gpkg", NORTH, NORTH + 40_000, retreats=(400, 100))
    changes = {(v.glacier, v.day.year): v.metres for v in lengths_of([path])}
    assert len(changes) == 6
    assert changes["place 1", 2020] == pytest.approx(-800, abs=2)
    assert changes["place 2", 2020] == pytest.approx(-200, abs=2)


@pytest.mark.parametrize("words", [("", "_mask"), ("_Subset", "_Front")])
def test_labels_beside_their_images_are_no_images(tmp_path, words, caplog):
    """Of CALFIN's archive, masks were predicted as images."""
    for day in ("2019-07-10", "2020-07-10"):
        for word in words:
            tif(tmp_path / f"Helheim_{day}{word}.png", np.uint8(ROW), Affine.identity(), None, driver="PNG")
    tif(tmp_path / "other_2018-07-10_front.png", np.uint8(ROW), Affine.identity(), None, driver="PNG")
    found = find_pairs(tmp_path)
    names = [f"Helheim_{day}{words[0]}.png" for day in ("2019-07-10", "2020-07-10")]
    assert [pair.image.name for pair in found] == ["other_2018-07-10_front.png", *names]
    assert "2 files" in caplog.text
    (tmp_path / "other_2018-07-10_front.png").unlink()
    for pair in find_pairs(tmp_path, tmp_path):
        assert pair.label == pair.image.with_name(pair.image.stem.removesuffix(words[0]) + f"{words[1]}.png")
