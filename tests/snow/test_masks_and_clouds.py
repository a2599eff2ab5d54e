"""Masks and classes that are scaled as something else, cloud layers of other names, gaps in the table."""

from __future__ import annotations

import csv
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from writing import tif

from icectl.sources.names import by_name, compile_pattern
from icectl.tasks.snow import products
from icectl.tasks.snow.dataset import open_dataset

DAYS = ("20220701", "20220717", "20220802")
SNOW = np.add.outer(np.arange(32), np.arange(32)) > 40
FLAGS = ("--cadence", "scenes", "--align", "none", "--no-fill")


@pytest.fixture
def prepare(icectl, tmp_path):
    """Prepare the folder ``in`` through the command line; return the call and the cube, if there is one."""

    def call(*flags, ok=True):
        shutil.rmtree(tmp_path / "ws", ignore_errors=True)
        where = ("--scenes", str(tmp_path / "in"), "--workspace", str(tmp_path / "ws"))
        made = icectl("prepare", "convlstm", *where, *FLAGS, *flags, ok=ok)
        made.err = " ".join(made.err.split())
        return made, open_dataset(next((tmp_path / "ws").glob("glaciers/*/prepared/*"))) if ok else None

    return call


@pytest.mark.parametrize(("bare", "snow", "said"), [(0, 255, "0"), (0, 1, "0, 0.01"), (25, 200, "0.25")])
def test_masks_and_classes_are_no_index_in_percent(prepare, tmp_path, bare, snow, said):
    """Above 100 lie codes, and no snow was left."""
    for day in DAYS:
        tif(tmp_path / "in" / f"snow_{day}.tif", np.where(SNOW, snow, bare).astype(np.uint8))
    refused, _ = prepare("--scale", "0.01", ok=False)
    assert f"hold an index of {said} and nothing else" in refused.err
    if bare == 0:
        _, cube = prepare("--scale", "1" if snow == 1 else "0.00392157")
        np.testing.assert_array_equal(cube.read(slice(None))[0] >= 0.3, SNOW)


SHARES = np.where(SNOW, np.linspace(0.31, 1, 32 * 32).reshape(32, 32), 0)


@pytest.mark.parametrize(
    ("stored", "declared", "flags", "said", "mended"),
    [
        (SNOW * np.float32(255), None, (), "hold an index of 0 and nothing", ("--scale", "0.00392157")),
        (SNOW * np.uint8(100), None, ("--scale", "1"), "hold an index of 0 and nothing", ("--scale", "0.01")),
        (SNOW * np.uint8(1), 0, ("--scale", "1"), "hold an index of 1 and nothing", "0 is not declared"),
        (SNOW * np.uint8(1) + 1, None, ("--scale", "1"), "holds classes (2 beside 0 or 1)", "snow as 1"),
        (np.where(SNOW, 1, -1).astype(np.int16), None, ("--scale", "1"), "classes (-1 beside", "snow as 1"),
        (100 * SHARES.astype(np.float32), None, (), "which cannot be a share", ("--scale", "0.01")),
    ],
)  # fmt: skip
def test_little_snow_in_another_scale_is_refused_and_the_hint_works(
    prepare, tmp_path, stored, declared, flags, said, mended
):
    """Where less than half was snow it was taken for nodata, and no snow, or nothing else, was left."""
    for day in DAYS:
        tif(tmp_path / "in" / f"snow_{day}.tif", stored, nodata=declared)
    refused, _ = prepare(*flags, ok=False)
    assert said in refused.err
    if isinstance(mended, str):
        assert mended in refused.err
    else:
        assert " ".join(mended) in refused.err
        _, cube = prepare(*mended)
        np.testing.assert_array_equal(cube.read(slice(None))[0] >= 0.3, SNOW)


def test_an_index_stored_from_zero_keeps_its_snow(prepare, tmp_path):
    """Numbers above 100 are codes of percents alone."""
    for day in DAYS:
        tif(tmp_path / "in" / f"{day}_ndsi.tif", np.rint(SHARES * 100 + 100).astype(np.uint8))
    _, cube = prepare("--scale", "0.01", "--offset", "-1")
    np.testing.assert_allclose(cube.read(slice(None))[0], SHARES, atol=0.006)


@pytest.mark.parametrize("percent", [True, False])
def test_shares_scaled_as_percent_hold_no_snow_and_finely_stored_percents_do(prepare, tmp_path, percent):
    index = np.linspace(0, 0.9, 32 * 32).reshape(32, 32)  # steps below a hundredth of a percent near 0
    index[0] = np.linspace(0, 1e-5, 32)
    for day in DAYS:
        stored = (index * (100 if percent else 1)).astype(np.float32)
        tif(tmp_path / "in" / f"snow_{day}_ndsi.tif", stored)
    if percent:
        _, cube = prepare("--scale", "0.01")
        clear = np.abs(index - 0.3) > 1e-4
        np.testing.assert_array_equal(cube.read(slice(None))[0][clear] > 0, index[clear] > 0.3)
    else:
        refused, _ = prepare("--scale", "0.01", ok=False)
        assert "hold an index of 0 to 0.009 and nothing else" in refused.err


def test_a_mask_in_percent_is_one(prepare, tmp_path):
    for day in DAYS:
        tif(tmp_path / "in" / f"snow_{day}.tif", np.where(SNOW, 100, 0).astype(np.uint8))
    _, cube = prepare("--scale", "0.01")
    np.testing.assert_array_equal(cube.read(slice(None))[0], SNOW)


@pytest.mark.parametrize("kind", ["s2cloudless", "clouds", "band"])
def test_a_layer_of_clouds_that_is_not_read_is_told_and_the_hint_works(prepare, tmp_path, kind):
    cloud = np.zeros((32, 32), np.float32)
    cloud[:, 20:] = 1
    for day in DAYS:
        bands = np.stack([np.where(SNOW, 0.8, 0.2), np.full((32, 32), 0.2), cloud * 90]).astype(np.float32)
        if kind == "band":
            tif(tmp_path / "in" / f"{day}.tif", bands, descriptions=("green", "swir16", "probability"))
        else:
            for name, band in zip(("green", "swir16", kind), bands, strict=True):
                tif(tmp_path / "in" / f"{day}_{name}.tif", band)
    made, cube = prepare()
    said = "probability" if kind == "band" else f"{DAYS[0]}_{kind}.tif"
    assert f"{said} seems to tell clouds and is not read" in made.err
    assert np.isfinite(cube.read(slice(None))).all()
    for day in DAYS:
        tif(tmp_path / "in" / f"{day}_fmask.tif", (cloud * 4).astype(np.uint8))
    made, cube = prepare()
    assert "seems to tell clouds" not in made.err
    assert np.isnan(cube.read(slice(None))[0]).mean() == pytest.approx(12 / 32)


def test_the_table_says_how_much_of_an_observation_was_seen(prepare, tmp_path):
    for day in DAYS:
        index = np.where(SNOW, 0.8, 0.0).astype(np.float32)
        index[:, 24:] = np.nan
        tif(tmp_path / "in" / f"{day}_ndsi.tif", index)
    _, cube = prepare("--fill")
    path = products.write_cover(SimpleNamespace(out=tmp_path), cube, [])
    row = next(csv.DictReader(path.read_text().splitlines()))
    assert float(row["known_area_km2"]) == pytest.approx(32 * 32 * 9e-4, rel=0.01)
    assert float(row["measured_area_km2"]) == pytest.approx(32 * 24 * 9e-4, rel=0.01)


@pytest.mark.parametrize(("name", "year"), [("ndsi_210704", 2021), ("ndsi_980704", 1998)])
def test_years_of_two_digits_are_of_this_century_or_the_last(name, year):
    pattern = compile_pattern(r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)")
    assert by_name(name, pattern).period.start.year == year
