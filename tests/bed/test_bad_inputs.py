"""What is wrong with the inputs of a thickness, and that it is said or done without."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from shapely.geometry import box
from writing import NORTH, tif

from icectl.errors import DataError
from icectl.raster import Grid
from icectl.tasks.bed.options import PredictOptions
from icectl.tasks.bed.products import row_of
from icectl.tasks.bed.readers.dem import open_dem
from icectl.tasks.bed.readers.outlines import gap, read_outlines, year_of
from icectl.tasks.bed.readers.scene import Place, _speed, scene_of
from icectl.tasks.bed.thickness.features import MARGIN
from icectl.tasks.bed.thickness.law import PHYSICS
from icectl.tasks.bed.thickness.physics import YEAR
from icectl.tasks.bed.thickness.solve import FAR_OFF, TOO_SLOW, Scene, solve


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A valley glacier of 3 km² on 50 m pixels that falls to the south, with no velocity."""
    y, x = np.mgrid[:80, :60].astype(float)
    heights = 3500.0 - 8.0 * y + 0.3 * (x - 30) ** 2
    ice = np.zeros(heights.shape, dtype=bool)
    ice[8:72, 20:40] = True
    return Scene(heights, ice, ice, 50.0)


def moving(scene: Scene) -> np.ndarray:
    """The surface speed (m/a) of the thickness that the scene has without a velocity."""
    depth = solve(scene, PHYSICS).thickness
    stress = 0.8 * 917 * 9.81 * np.sin(np.arctan(8 / 50))
    return np.where(scene.ice, 2 * 2 * 2.4e-24 / 4 * (stress * depth) ** 3 * depth * YEAR, np.nan)


def test_a_velocity_is_used_and_its_inversion_is_a_product(scene: Scene) -> None:
    made = solve(replace(scene, speed=16 * moving(scene)), PHYSICS)
    assert made.notes == ()
    without = solve(scene, PHYSICS).thickness[scene.ice].mean()
    inverted = made.others["velocity inversion"][scene.ice].mean()
    assert (
        without < made.thickness[scene.ice].mean() < inverted
    )  # sixteen times the speed, twice the thickness
    assert inverted == pytest.approx(2 * without, rel=0.25)
    np.testing.assert_allclose(made.others["law alone"], solve(scene, PHYSICS).thickness)


@pytest.mark.parametrize("hole", [0.0, np.nan])
def test_a_velocity_that_is_zero_or_missing_over_half_of_the_ice_is_not_used(
    scene: Scene, hole: float
) -> None:
    speed = moving(scene)
    speed[:45] = hole
    made = solve(replace(scene, speed=speed), PHYSICS)
    assert "zero or missing on 58 % of the ice and is not used" in made.notes[0]
    np.testing.assert_array_equal(made.thickness, solve(scene, PHYSICS).thickness)


@pytest.mark.parametrize(("factor", "words"), [(1 / 365.25, TOO_SLOW), (2000.0, FAR_OFF)])
def test_a_velocity_in_another_unit_is_not_used(scene: Scene, factor: float, words: str) -> None:
    made = solve(replace(scene, speed=factor * moving(scene)), PHYSICS)
    assert made.notes[0].endswith(words)
    np.testing.assert_array_equal(made.thickness, solve(scene, PHYSICS).thickness)


def test_a_void_below_the_ice_changes_the_volume_little_and_is_no_ice_below_the_sea(scene: Scene) -> None:
    """15 % of the glacier has no height; its bed lies 2,400 m above the sea everywhere."""
    whole, grid = solve(scene, PHYSICS), Grid(scene.ice.shape, NORTH * Affine.scale(50 / 30), "EPSG:32643")
    heights = scene.heights.copy()
    heights[30:44, 22:36] = np.nan
    holed = replace(scene, heights=heights)
    made = solve(holed, PHYSICS)
    assert made.thickness.sum() == pytest.approx(whole.thickness.sum(), rel=0.01)
    row, wanted = row_of(made, holed, grid), row_of(whole, scene, grid)
    assert row["below_sea_km3"] == 0
    assert row["sle_mm"] == pytest.approx(wanted["sle_mm"], rel=0.01)


def test_small_holes_of_a_velocity_leave_the_law_there(scene: Scene) -> None:
    speed = 16 * moving(scene)
    speed[30:34, 24:30] = np.nan
    made = solve(replace(scene, speed=speed), PHYSICS)
    assert made.notes == ()
    assert np.isfinite(made.thickness).all()
    assert made.thickness[31, 26] > 0


def test_an_ice_divide_is_no_margin_and_ice_ends_at_its_margin(scene: Scene) -> None:
    neighbour = scene.ice.copy()
    neighbour[8:72, 40:56] = True  # another glacier joins along the eastern side
    alone, joined = (
        solve(scene, PHYSICS).thickness,
        solve(replace(scene, all_ice=neighbour), PHYSICS).thickness,
    )
    assert joined[40, 39] > 2 * alone[40, 39]
    np.testing.assert_allclose(joined[40, 20], alone[40, 20], rtol=0.15)
    full = solve(scene, PHYSICS).thickness[40, 30]
    assert alone[40, 20] < full * (1.3 - np.exp(-25 / MARGIN))


def test_ice_that_fills_the_whole_map_has_a_thickness(scene: Scene) -> None:
    ice = np.ones(scene.ice.shape, dtype=bool)
    made = solve(replace(scene, ice=ice, all_ice=ice), PHYSICS)
    assert np.isfinite(made.thickness).all()
    assert (made.thickness >= 0).all()


def test_epochs_are_read_and_a_gap_is_said(tmp_path: Path) -> None:
    columns = {"RGIId": ["RGI60-11.00001", "RGI60-11.00002"], "BgnDate": ["20030815", "-9999999"]}
    frame = gpd.GeoDataFrame(columns, geometry=[box(0, 0, 1, 1), box(2, 0, 3, 1)], crs=32632)
    frame.to_file(tmp_path / "o.gpkg")
    outlines = read_outlines(tmp_path / "o.gpkg")
    assert outlines.year == 2003.0
    assert year_of(tmp_path / "dem_20180702.tif") == 2018.0
    words = gap({"the elevation model": 2018.0, "the outlines": outlines.year, "the velocity": None})
    assert words.startswith("the outlines: 2003, the elevation model: 2018, 15 years apart")
    assert gap({"the elevation model": 2005.0, "the outlines": outlines.year}) == ""
    assert gap({"the elevation model": None}) == ""


def test_a_velocity_of_metres_a_day_is_not_used_where_its_inversion_looks_usual(scene: Scene) -> None:
    made = solve(replace(scene, speed=16 * moving(scene) / 365), PHYSICS)
    assert made.notes == (TOO_SLOW,)
    np.testing.assert_array_equal(made.thickness, solve(scene, PHYSICS).thickness)


def test_speed_of_one_file_or_two_and_one_component_alone_is_refused(tmp_path: Path) -> None:
    grid = Grid((6, 8), NORTH, "EPSG:32643")
    east, north = np.full((6, 8), 30, np.float32), np.full((6, 8), 40, np.float32)
    files = [tif(tmp_path / f"{name}.tif", values) for name, values in (("vx", east), ("vy", north))]
    both = tif(tmp_path / "field.tif", np.stack([east, north]), descriptions=("vx 2018", "vy 2018"))
    for paths in (files, [both], [tif(tmp_path / "v.tif", np.hypot(east, north))]):
        np.testing.assert_allclose(_speed(paths, grid), 50)
    for alone in (files[0], tif(tmp_path / "east.tif", -east)):
        with pytest.raises(DataError, match="holds one component of a velocity") as refused:
            _speed([alone], grid)
        assert "--velocity vx.tif --velocity vy.tif" in refused.value.hint


def test_a_velocity_and_a_mass_balance_of_another_place_are_said(tmp_path: Path) -> None:
    heights = 2500 + 5 * np.arange(80, dtype=np.float32)[:, None] + np.zeros((80, 80), np.float32)
    dem = open_dem(tif(tmp_path / "dem.tif", heights))
    shape, away = box(500_900, 3_998_500, 501_500, 3_999_100), NORTH * Affine.translation(500, 0)
    given = {name: tif(tmp_path / f"{name}.tif", heights * 0 + 9, away) for name in ("speed", "smb")}
    options = PredictOptions(velocity=(given["speed"],), mass_balance=given["smb"])
    _, _, notes = scene_of(Place("a", shape.wkb, (), "EPSG:32643"), dem, options)
    assert notes == [f"{n}.tif holds nothing on one glacier or more, computed without it" for n in given]
    for name in (
        "N36E078_2000-2020_dhdt",
        "dh_dt",
        "elevation_change_rate",
    ):  # are no balance
        changes = options.model_copy(update={"mass_balance": tif(tmp_path / f"{name}.tif", heights * 0 - 1)})
        with pytest.raises(DataError, match="changes of elevation by its name, and no mass balance"):
            scene_of(Place("a", shape.wkb, (), "EPSG:32643"), dem, changes)
    swapped = box(36.1, 85.0, 36.11, 85.01)  # latitude before longitude, north of all UTM zones
    with pytest.raises(DataError, match=r"the outline lies outside dem"):
        scene_of(Place("a", swapped.wkb, (), "EPSG:4326"), dem, options)


@pytest.mark.parametrize(
    ("per", "words"),
    [(1, ""), (3.2808, "perhaps feet, to be stated .gdal_edit.py -units ft"), (2.0, "check both")],
)
def test_heights_unlike_those_of_the_inventory_are_said(tmp_path: Path, per: float, words: str) -> None:
    """A model in feet below 2,743 m is steep, and no steeper than mountains can be: it gave a thickness."""
    heights = 800 + 5 * np.arange(80, dtype=np.float32)[:, None] + np.zeros((80, 80), np.float32)
    dem = open_dem(tif(tmp_path / "dem.tif", heights * np.float32(per)))
    shape = box(500_900, 3_998_500, 501_500, 3_999_100)
    frame = gpd.GeoDataFrame({"RGIId": ["RGI60-01.00001"], "Zmed": [1000]}, geometry=[shape], crs=32643)
    frame.to_file(tmp_path / "o.gpkg")
    found = read_outlines(tmp_path / "o.gpkg")
    place = Place(found.ids[0], shape.wkb, (), found.crs, found.heights[found.ids[0]])
    _, _, notes = scene_of(place, dem, PredictOptions())
    assert len(notes) == bool(words)
    assert re.search(words, " ".join(notes))


WAYS = {
    "east and north": (("East velocity", "North velocity"), "xy", True),
    "v_x and v_y": (("v_x", "v_y"), "xy", True),
    "a speed and its direction": (("speed", "azimuth"), "so", True),
    "an error before the speed": (("v_error", "v"), "os", True),
    "components and their speed": (("vx", "vy", "v"), "xys", True),
    "a speed and what else is said of it": (("v_filtered", "v", "v_bias", "vx"), "osox", True),
    "two of which nothing is said": ((None, None), "xy", False),
    "speeds of two dates": (("v 2018-01-01", "v 2019-01-01"), "ss", False),
    "a component twice": (("vx", "vx"), "xx", False),
    "a velocity and its direction": (("surface_velocity", "dir"), "so", True),
    "u and v": (("u", "v"), "xy", True),
    "magnitude": (("U_mag", "v_std"), "so", True),
}


@pytest.mark.parametrize("files", [False, True], ids=["one file", "a file each"])
@pytest.mark.parametrize("way", WAYS)
def test_layers_of_a_velocity_are_told_apart_by_their_names(tmp_path: Path, way: str, files: bool) -> None:
    """The second of two files was added to the first as its other component, whatever it was."""
    names, layers, told = WAYS[way]
    values = {"x": 30.0, "y": -40.0, "s": 50.0, "o": 163.0}
    bands = [np.full((6, 8), values[layer], np.float32) for layer in layers]
    paths = [tif(tmp_path / "f.tif", np.stack(bands), descriptions=names)]
    if files:
        about = zip(names, bands, strict=True)
        paths = [tif(tmp_path / str(i) / f"{name or 'f'}.tif", one) for i, (name, one) in enumerate(about)]
    grid = Grid((6, 8), NORTH, "EPSG:32643")
    if told or (files and names == (None, None)):  # two files of no name are the two components
        np.testing.assert_allclose(_speed(paths, grid), 50)
    else:
        with pytest.raises(DataError, match="names do not say which layer is the speed"):
            _speed(paths, grid)
