"""Frames in the forms that people's files have: the same grey levels on the same ground."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
from affine import Affine
from scipy import ndimage
from writing import NORTH, tif

from icectl.errors import DataError, UsageError
from icectl.raster import Grid, read_quantity
from icectl.sources.folder import scan_folder
from icectl.tasks.flow.chips.frames import read_series
from icectl.tasks.flow.fetch import fetch
from icectl.tasks.flow.options import BANDS, PrepareOptions
from icectl.tasks.flow.prepare import glacier_mask

from .conftest import make_run

SHAPE = (40, 48)
GREY = np.floor(np.random.default_rng(0).random(SHAPE) * 200 + 30)
HOLE = np.full(SHAPE, 255, np.uint8)
HOLE[:, :5] = 0
DAYS = ("20190101", "20190202")


def series(folder, **options):
    scenes = scan_folder(folder, georeferenced=False, minimum=2, wanted=BANDS, **options)
    return read_series(make_run("prepare", folder / "out"), scenes, PrepareOptions())


def frames(folder, *, second=None, names="{}_nir08.tif", **about):
    """Write GREY twice; `second` changes what is written for the later day."""
    for day, more in zip(DAYS, ({}, second or {}), strict=True):
        given = {"values": GREY, **about, **more}
        tif(folder / names.format(day), given.pop("values"), **given)
    return series(folder)


SOUTH = {
    "values": GREY[::-1].astype(np.float32),
    "transform": Affine(30, 0, 500_000, 0, 30, 4_000_000 - 30 * 40),
}
TENTHS = {"values": (GREY * 10).astype(np.float32), "scales": (0.1,)}
TURNED = {"transform": Affine(0.0003, 0, 280, 0, -0.0003, 70), "crs": "EPSG:4326"}
FORMS = {
    "south up": ({}, SOUTH, False),
    "another scale": ({}, TENTHS, False),
    "a mask": ({"values": GREY.astype(np.float32), "mask": HOLE}, {}, True),
    "undeclared voids": ({"values": np.where(HOLE == 0, -9999, GREY).astype(np.float32)}, {}, True),
    "zeros undeclared": ({"values": np.where(HOLE == 0, 0, GREY).astype(np.uint16)}, {}, True),
    "paper": ({"values": np.where(HOLE == 0, 255, GREY).astype(np.uint8)}, {}, True),
    "longitudes to 360": (TURNED, {}, False),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_frames_in_many_forms(tmp_path, form):
    about, second, holed = FORMS[form]
    got = frames(tmp_path, second=second, **about)
    assert got.bands == ("nir08",)
    for values, valid in zip(got.values[:, 0], got.valid, strict=True):
        assert valid.tolist() == (HOLE > 0 if holed else HOLE >= 0).tolist()
        np.testing.assert_allclose(values[valid], GREY[valid], rtol=1e-5)


def test_polarisations_are_bands_and_the_angle_of_a_radar_is_none(tmp_path):
    stack = np.stack([GREY, GREY / 2, 30 + 0 * GREY]).astype(np.float32)
    got = frames(tmp_path / "a", names="S1A_{}.tif", values=stack, descriptions=("VV", "VH", "angle"))
    assert got.bands == ("vv", "vh")
    for name in ("VV", "VH"):
        frames(tmp_path / "b", names=f"S1A_{{}}_{name}.tif", values=GREY.astype(np.float32))
    assert series(tmp_path / "b").bands == ("vh", "vv")


def cube(path, values, days=(), unit="m", x=None, names=("red",)):
    import pandas as pd
    import xarray as xr
    from pyproj import CRS

    step = {"m": 1.0, "km": 1e-3}[unit]
    at = {"x": 500_015.0 + 30 * np.arange(48) if x is None else x, "y": 3_999_985.0 - 30 * np.arange(40)}
    axes = {axis: (axis, value * step, {"units": unit}) for axis, value in at.items()}
    dims = ("time", "y", "x") if days else ("y", "x")
    data = xr.Dataset(
        {
            **{name: (dims, values.astype(np.float32), {"grid_mapping": "crs"}) for name in names},
            "crs": ((), 0, CRS(32643).to_cf()),
        },
        axes | ({"time": pd.to_datetime(list(days))} if days else {}),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    data.to_netcdf(path, engine="h5netcdf")


def test_cubes_in_kilometres_with_points_in_their_names_and_dated_by_these(tmp_path):
    """Metres of kilometres were a thousandth; two of one beginning were one; a date in a name was none."""
    cube(tmp_path / "a" / "all.nc", np.stack([GREY, GREY]), DAYS, unit="km")
    for day in DAYS:
        cube(tmp_path / "b" / f"S2.{day}.nc", GREY)
    for folder in ("a", "b"):
        got = series(tmp_path / folder, into=tmp_path / folder / "out")
        np.testing.assert_allclose(tuple(got.grid.affine), tuple(NORTH))
        assert [f"{time:%Y%m%d}" for time in got.times] == list(DAYS)
    cube(tmp_path / "d" / "all.nc", np.stack([GREY] * 3), (*DAYS, DAYS[0]))
    with pytest.raises(DataError, match="holds 'red' of 2019-01-01T00:00:00 twice"):
        series(tmp_path / "d", into=tmp_path / "d" / "out")
    cube(
        tmp_path / "c" / "all.nc",
        np.stack([GREY, GREY]),
        DAYS,
        x=500_015.0 + 30 * (np.arange(48) + (np.arange(48) > 20)),
    )
    with pytest.raises(DataError, match="the coordinates of its axis 'x' are not evenly spaced"):
        series(tmp_path / "c", into=tmp_path / "c" / "out")


def test_frames_dated_by_a_month_alone_are_told(tmp_path):
    for day in ("2019-07", "2019-08"):
        tif(tmp_path / "in" / f"{day}.tif", GREY.astype(np.float32))
    run = make_run("fetch", tmp_path / "out", scenes=tmp_path / "in")
    fetch(run, run.options["fetch"])
    assert "2 frames are dated by a month or a year alone (2019-07, 2019-08)" in run.notes["warnings"][0]


def test_frames_below_others_are_said_to_be_left_out(tmp_path, caplog):
    frames(tmp_path, values=GREY.astype(np.float32))
    tif(tmp_path / "2020" / "20200101_nir08.tif", GREY.astype(np.float32))
    tif(tmp_path / "20190301_pan.tif", GREY.astype(np.float32))
    tif(tmp_path / "20190101_quicklook.jpg", GREY.astype(np.uint8), crs=None, driver="JPEG")
    assert len(series(tmp_path).times) == 2
    assert "without a band that other dates have are left out: 20190301_pan.tif" in caplog.text
    assert "are not read, since others lie beside these: 2020" in caplog.text


def test_a_rotated_raster_is_read_between_its_pixels(tmp_path):
    """The nearest pixel's grey moved ice by up to a sixth of a pixel too far: 6 % of a speed."""
    rows, columns = np.mgrid[:40, :48]
    turned = NORTH @ Affine.rotation(20)
    x, y = turned * (columns + 0.5, rows + 0.5)
    path = tif(tmp_path / "a.tif", (x - 500_000 + 2 * (y - 4_000_000)).astype(np.float32), turned)
    field = read_quantity(path, "grey")
    x, y = field.grid.affine * tuple(np.indices(field.values.shape)[::-1] + 0.5)
    inside = ndimage.binary_erosion(field.valid, iterations=2)
    np.testing.assert_allclose(field.values[inside], (x - 500_000 + 2 * (y - 4_000_000))[inside], atol=0.5)


DARK = np.random.default_rng(1).integers(1, 9, SHAPE).astype(np.uint8)
BOX = np.zeros(SHAPE, bool)
BOX[10:30, 12:40] = True
LEFT = np.zeros(SHAPE, bool)
LEFT[:, :20] = True
ROUND = np.hypot(*(np.indices(SHAPE) - 20)) > 22
STRIPES = np.add.outer(np.arange(40), np.zeros(48, int)) % 13 < 4


@pytest.mark.parametrize("where", [BOX, LEFT, ROUND, STRIPES], ids=["box", "left", "round", "stripes"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_one_value_fills_is_void_and_dark_ground_is_not(tmp_path, where, dtype):
    """Levels up to 8 were no ground in frames of one byte; a fill inside a frame of others was ground."""
    dark, grey = (np.tile(one, (4, 4)).astype(dtype) for one in (DARK, GREY))
    where = np.kron(where, np.ones((4, 4))) > 0
    assert frames(tmp_path / "a", values=np.where(where, dark, grey)).valid.all()
    fill = frames(tmp_path / "b", values=np.where(where, dtype(0), grey))
    assert (fill.valid == ~where).all()


def test_a_fill_that_compression_soiled_is_void(tmp_path):
    dark, filled = np.tile(DARK, (4, 4)), np.tile(GREY, (4, 4)).astype(np.uint8)
    wedge = np.add.outer(np.arange(160), 2 * np.arange(192)) < 150
    for values, void in ((np.where(wedge, 0, filled), wedge), (np.where(wedge, dark, filled), wedge & False)):
        for day in DAYS:
            tif(tmp_path / f"{day}.jpg", values.astype(np.uint8), crs=None, driver="JPEG", quality=85)
        found = ~series(tmp_path).valid[0]
        assert (found != void).mean() < 0.02
        shutil.rmtree(tmp_path)


def test_dates_that_a_processor_wrote_do_not_outweigh_a_name_and_are_told_where_they_alone_count(
    tmp_path, caplog
):
    got = frames(tmp_path / "a", values=GREY.astype(np.uint16), tags={"DATE": "2024-01-01"})
    assert [f"{time:%Y%m%d}" for time in got.times] == list(DAYS)
    for name, year in (("a", 2019), ("b", 2020)):
        told = {"TIFFTAG_DATETIME": f"{year}:01:01 00:00:00"}
        tif(tmp_path / "b" / f"{name}.tif", GREY.astype(np.uint16), tags=told)
    assert [time.year for time in series(tmp_path / "b").times] == [2019, 2020]
    assert "tells no date of files but when they were written" in caplog.text


def test_speeds_are_no_frames(tmp_path):
    with pytest.raises(DataError, match="holds velocities by its name, and no picture"):
        frames(tmp_path / "a", names="ITS_LIVE_{}_vx.tif", values=GREY.astype(np.float32))
    for day in DAYS:
        cube(tmp_path / "b" / f"S1A_{day}.nc", GREY, names=("v", "interp_mask"))
    with pytest.raises(DataError, match="holds velocities by its name, and no picture"):
        series(tmp_path / "b", into=tmp_path / "b" / "out")


def test_a_transparent_band_is_no_band(tmp_path):
    got = frames(
        tmp_path, names="{}.png", driver="PNG", crs=None, values=np.stack([GREY.astype(np.uint8), HOLE])
    )  # fmt: skip
    assert got.bands == ("image",)
    assert (got.valid == (HOLE > 0)).all()


def test_landsat_s_panchromatic_band_is_a_frame_where_no_other_is(tmp_path):
    names = "LC08_L1TP_147038_{}_20200830_02_T1_B8.TIF"
    assert frames(tmp_path, names=names, values=GREY.astype(np.uint16)).bands == ("pan",)
    for day in DAYS:
        tif(tmp_path / names.format(day).replace("B8", "B5"), GREY.astype(np.uint16))
    assert series(tmp_path).bands == ("nir08",)


def test_frames_of_which_some_have_no_crs_are_refused_and_others_places_are_said(tmp_path, caplog):
    said = r"1 of the \d images of .* have no CRS, the others have one: 20190202_nir08\.tif"
    with pytest.raises(DataError, match=said) as error:
        frames(tmp_path / "a", second={"crs": None})
    assert "in folders of their own" in error.value.hint
    got = frames(tmp_path / "b", second={"transform": NORTH * Affine.translation(400, 0)})
    assert not got.valid[1].any()
    assert "20190202 has no valid pixel on the ground of 20190101" in caplog.text


def test_frames_are_dated_by_their_names(tmp_path):
    got = frames(tmp_path, tags={"TIFFTAG_DATETIME": "2024:01:01 00:00:00"})
    assert got.times == (datetime(2019, 1, 1, tzinfo=UTC), datetime(2019, 2, 2, tzinfo=UTC))


def test_six_digits_that_are_a_month_or_a_day_are_refused_unless_others_tell(tmp_path):
    """12 May 2020 was December 2005."""
    for day in ("200512", "200601"):
        tif(tmp_path / f"a_{day}.tif", GREY.astype(np.float32))
    with pytest.raises(DataError, match=r"a_200512\.tif may be of December 2005 or of 12 May 2020") as error:
        series(tmp_path)
    assert r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)" in error.value.hint
    found = series(tmp_path, pattern=r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)").times
    assert [f"{time:%Y-%m-%d}" for time in found] == ["2020-05-12", "2020-06-01"]
    tif(tmp_path / "a_201907.tif", GREY.astype(np.float32))
    assert [f"{time:%Y-%m}" for time in series(tmp_path).times] == ["2005-12", "2006-01", "2019-07"]


def test_frames_are_dated_to_the_second_where_their_names_say_it(tmp_path):
    """Two orbits of a radar are 1.5 days apart, not one: a speed was half too large."""
    for time in ("20200101T053000", "20200102T173000"):
        tif(tmp_path / f"S1A_IW_GRDH_1SDV_{time}_{time}_030639_VV.tif", GREY.astype(np.float32))
    first, second = series(tmp_path).times
    assert (second - first).total_seconds() == 1.5 * 86400


def test_times_of_tags_are_those_of_greenwich(tmp_path):
    for name, time in (("a", "2019-01-01T20:00:00-05:00"), ("b", "2019-01-03T01:00:00Z")):
        tif(tmp_path / f"{name}.tif", GREY.astype(np.float32), tags={"ACQUISITION_DATE": time})
    first, second = series(tmp_path).times
    assert (second - first).total_seconds() == 86400  # was 29 hours


def test_a_crs_for_images_goes_with_their_world_files_or_bounds(tmp_path):
    """A CRS alone made pixels of one metre of them, at its origin."""
    for day in DAYS:
        tif(tmp_path / f"{day}.png", GREY.astype(np.uint8), crs=None, driver="PNG")
    scenes = scan_folder(tmp_path, georeferenced=False, minimum=2, wanted=BANDS)
    run, given = make_run("prepare", tmp_path / "out"), PrepareOptions(crs="EPSG:32643")
    with pytest.raises(UsageError, match="--crs EPSG:32643 alone does not say where the images lie"):
        read_series(run, scenes, given)
    for day in DAYS:
        (tmp_path / f"{day}.pgw").write_text("30\n0\n0\n-30\n500015\n3999985\n")
    assert read_series(run, scenes, given).grid == Grid(SHAPE, NORTH, "EPSG:32643")


def test_a_frame_of_much_wider_pixels_is_said_and_a_picture_beside_bands_is_no_frame_of_them(
    tmp_path, caplog
):
    wide = {"values": GREY[::4, ::4], "transform": NORTH * Affine.scale(4)}
    frames(tmp_path / "a", second=wide)
    assert "20190202 has pixels of 120 m, 4 times those of 20190101" in caplog.text
    tif(tmp_path / "b" / "20190101.tif", np.stack([GREY.astype(np.uint8)] * 3))
    tif(tmp_path / "b" / "20190202.tif", GREY.astype(np.uint8))  # was left out without a word
    with pytest.raises(DataError, match="20190202 has image; 20190101 has red, green, blue"):
        series(tmp_path / "b")


@pytest.mark.parametrize("crs", [None, "EPSG:32643"])
def test_a_mask_lies_where_its_file_says(tmp_path, crs):
    """Of the frames' size or not: what counts is its place, and without one its pixels."""
    ice = np.zeros(SHAPE, np.uint8)
    ice[8:30, 12:40] = 1
    grid, run = Grid(SHAPE, NORTH, "EPSG:32643"), make_run("prepare", tmp_path / "out")
    moved = np.roll(ice, 5, axis=1) if crs else ice
    path = tif(tmp_path / "mask.tif", moved, NORTH * Affine.translation(-5, 0), crs=crs)
    np.testing.assert_array_equal(glacier_mask(run, path, grid), ice > 0)
    if crs:
        wider = tif(tmp_path / "wide.tif", np.pad(ice, 9), NORTH * Affine.translation(-9, -9))
        np.testing.assert_array_equal(glacier_mask(run, wider, grid), ice > 0)
        away = tif(tmp_path / "away.tif", ice, NORTH * Affine.translation(900, 0))
        with pytest.raises(DataError, match="shows no ice on the ground of the frames"):
            glacier_mask(run, away, grid)
