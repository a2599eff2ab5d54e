"""Velocity files as users of ITS_LIVE know them, and velocity without a network, by the real command."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from affine import Affine
from terminal import terminal

from icectl.raster import Grid
from icectl.raster.cf_write import cf_dataset, cf_layer, save_netcdf
from icectl.report import charts
from icectl.report.layers import Reader
from icectl.report.panels import unpack
from icectl.tasks.flow.figures import fastest, streamline
from icectl.tasks.flow.shown import shown
from icectl.tasks.flow.velocity.averaging import (
    AGREEMENT,
    YEAR,
    Months,
    agreeing,
    by_month,
    speed_by_month,
)
from icectl.tasks.flow.velocity.confirm import believed, speed_bias, supporters
from icectl.tasks.flow.velocity.quality import peak

from .conftest import OPTIONS, RESOLUTION, SPEED, make_run, moving, write_scenes


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The velocity of two frames by the command alone, without a network; its folder and what was said."""
    root = tmp_path_factory.mktemp("two")
    (root / "scenes").mkdir()
    frames = moving(bands=1)[[0, 4]]
    write_scenes(root / "scenes", frames, (0, 64), names=("red",))
    (root / "scenes" / "items.json").unlink(missing_ok=True)
    words = ["predict", "svg", "--scenes", str(root / "scenes"), "--workspace", str(root / "space")]
    words += ["--no-forecast", "--velocity-chip", "32", "--spacing", "16"]
    command = [sys.executable, "-m", "icectl", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root / "space", done.stderr


def test_two_frames_are_enough_and_nothing_is_trained(two):
    space, said = two
    assert not list(space.rglob("weights.safetensors"))
    assert said.count("velocity from one pair") == 1
    assert "longest pair" not in said  # there is but one, and its speed has been said
    assert "0 sequences" not in said
    found = next(space.rglob("velocity.nc"))
    with xr.open_dataset(found, engine="h5netcdf") as data:
        assert np.nanmedian(data["vx"]) == pytest.approx(SPEED[1] * 365 * RESOLUTION, rel=0.05)
        assert np.nanmedian(data["vy"]) == pytest.approx(-SPEED[0] * 365 * RESOLUTION, rel=0.05)
    with xr.open_zarr(found.with_name("velocity_pairs.zarr"), consolidated=True) as pairs:
        assert pairs.sizes["mid_date"] == 1
        assert str(pairs["mid_date"].values[0])[:10] == "2020-02-02"
        assert pairs["date_dt"].values[0] == 64


def test_a_cloudy_frame_s_few_matches_are_said_to_be_chance_perhaps(tmp_path, monkeypatch, capfd):
    frames = moving(bands=1, shape=(320, 320))[[0, 4]]
    frames[1] = 9800 + np.rint(10 * np.random.default_rng(3).standard_normal(frames[1].shape))
    (tmp_path / "in").mkdir()
    write_scenes(tmp_path / "in", frames, (0, 64), names=("red",))
    (tmp_path / "in" / "items.json").unlink()
    words = ["predict", "svg", "--scenes", str(tmp_path / "in"), "--workspace", str(tmp_path / "space")]
    done = terminal(monkeypatch, capfd)(*words, "--no-forecast")
    with xr.open_dataset(next(tmp_path.rglob("velocity.nc")), engine="h5netcdf") as data:
        share = float(np.isfinite(data["v"]).mean())
    assert 0 < share < 0.1
    assert f"warning: {share:.1%} of the cells have a velocity: so few may be matches by chance" in done.err


def test_web_mercator_gives_metres_on_the_ground_and_cloud_by_a_quality_layer_gives_none(
    tmp_path, monkeypatch, capfd
):
    """EPSG:3857 at 58° N: a metre of the map is 0.53 m on the ground. The right half is cloud."""
    scenes, shape = tmp_path / "scenes", (128, 192)
    scenes.mkdir()
    frames = np.repeat(moving(bands=1, shape=shape, days=(0, 64)), 2, axis=1)
    frames[:, 1] = 1 << 6
    frames[:, 1, :, 96:] = 1 << 3
    write_scenes(scenes, frames, (0, 64), "EPSG:3857", ("red", "qa_pixel"))
    (scenes / "items.json").unlink()
    words = ["predict", "svg", "--scenes", str(scenes), "--workspace", str(tmp_path / "space")]
    words += ["--no-forecast", "--velocity-chip", "32", "--spacing", "24", "--bands", "red"]
    terminal(monkeypatch, capfd)(*words)
    proj = pyproj.Proj("EPSG:3857")
    scale = proj.get_factors(*proj(500_000, 8_000_000 - 64 * RESOLUTION, inverse=True)).meridional_scale
    assert scale == pytest.approx(1.89, abs=0.02)
    with xr.open_dataset(next((tmp_path / "space").rglob("velocity.nc")), engine="h5netcdf") as data:
        speed = np.hypot(data["vx"], data["vy"]).values
        column = (data["x"].values - 500_000) / RESOLUTION
        found = np.nanmedian(speed[:, column < 80])
        assert found == pytest.approx(np.hypot(*SPEED) * 365 * RESOLUTION / scale, rel=0.05)
        hidden = speed[:, column > 150]
        assert hidden.size
        assert np.isnan(hidden).all()


def test_the_line_starts_on_the_glacier_and_not_on_a_faster_speck():
    speed = np.full((30, 40), np.nan)
    speed[5:25, 5:30] = np.linspace(10, 90, 25)
    speed[28, 38] = 660.0
    assert fastest(speed) == (5, 29)


def test_a_streamline_runs_with_the_flow_through_its_cell_and_ends_where_none_is_known():
    down, right = np.full((41, 41), 3.0), np.full((41, 41), 4.0)
    down[:, 35:] = np.nan
    line = streamline(down, right, (15, 20))
    assert [15, 20] in line.tolist()
    assert line[0].tolist() == [0, 0]
    assert line[-1, 1] == 34
    assert np.abs(line[:, 0] - 0.75 * line[:, 1]).max() <= 1


def test_the_peak_of_a_density_is_that_of_a_normal_distribution_and_outliers_do_not_count():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 40_000)) * [[3.0], [1.0]] + [[5.0], [0.0]]
    told = peak(x, y)
    assert told.x == pytest.approx(6, rel=0.1)  # two deviations
    assert told.y == pytest.approx(2, rel=0.25)  # one kernel for both axes widens the narrower
    assert told.at[0] == pytest.approx(5, abs=0.7)
    x[:400] += 40
    assert peak(x, y).x == pytest.approx(told.x, rel=0.15)


def test_pairs_stack_along_mid_date_without_a_function(two, stages):
    pairs = stages["predict"] / "velocity_pairs.nc"
    other = next(two[0].rglob("velocity_pairs.nc"))
    with xr.open_dataset(pairs) as one, xr.open_dataset(other) as two_frames:
        assert {"v", "vx", "vy", "v_error", "vx_error", "vy_error"} <= set(one.data_vars)
        assert one["v"].dims == ("mid_date", "y", "x")
        assert one.indexes["mid_date"].is_monotonic_increasing
        spans = (one["acquisition_date_img2"] - one["acquisition_date_img1"]) / np.timedelta64(1, "D")
        np.testing.assert_allclose(spans, one["date_dt"])
        np.testing.assert_allclose(one["v"], np.hypot(one["vx"], one["vy"]), rtol=1e-5)
        total = one.sizes["mid_date"] + two_frames.sizes["mid_date"]
    with xr.open_mfdataset([pairs, other], combine="nested", concat_dim="mid_date", data_vars="all") as both:
        assert both.sizes["mid_date"] == total


def clean(path):
    """Say what the compliance checker has against a file, in a process of its own; nothing if it is clean."""
    pytest.importorskip("compliance_checker")
    code = "import sys; from compliance_checker.runner import ComplianceChecker as C, CheckSuite as S;"
    code += "S.load_all_available_checkers(); ok, bad = C.run_checker(sys.argv[1], ['cf:1.8'], 0, 'lenient');"
    code += "sys.exit(0 if ok and not bad else 1)"
    command = [sys.executable, "-W", "ignore", "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("name", ["velocity.nc", "velocity_pairs.nc", "velocity_months.nc"])
def test_files_are_clean_by_the_compliance_checker(stages, name):
    assert not clean(stages["predict"] / name)


@pytest.mark.parametrize(
    ("crs", "step", "corner", "name"),
    [
        ("EPSG:32718", 30, (6e5, 4.4e6), "transverse_mercator"),
        ("EPSG:3413", 120, (-2e5, -1e6), "polar_stereographic"),
        ("EPSG:3031", 120, (-2e5, -1e6), "polar_stereographic"),
        ("EPSG:3857", 30, (5e5, 8e6), "mercator"),
        ("EPSG:4326", 3e-4, (-73, -50), "latitude_longitude"),
        (None, 10, (0, 100), None),
    ],
)
def test_every_grid_follows_cf_and_leads_back_to_its_crs(tmp_path, crs, step, corner, name):
    grid = Grid((4, 5), Affine(step, 0, corner[0], 0, -step, corner[1]), crs)
    data = cf_dataset(grid, "Still ice", references="none", comment="none")
    data["v"] = (("y", "x"), np.zeros((4, 5), np.float32), cf_layer(grid, "meter/year", "speed"))
    path = save_netcdf(data, tmp_path / "v.nc")
    mapping = data["mapping"].attrs if crs else {}
    assert mapping.get("grid_mapping_name") == name
    if crs:
        assert pyproj.CRS.from_cf(mapping).to_epsg() == int(crs[5:])
    else:
        assert "axis" not in data["x"].attrs  # an axis X would have to lead to a longitude
    if name == "polar_stereographic":
        assert mapping["latitude_of_projection_origin"] == (90 if crs == "EPSG:3413" else -90)
    if name != "mercator":  # version 6.1 of the checker takes the letters of its attribute for names
        assert not clean(path)


@pytest.mark.parametrize("name", ["velocity.nc", "velocity_pairs.nc", "velocity_months.nc"])
def test_no_integers_of_64_bits_which_cf_does_not_know(stages, name):
    with h5py.File(stages["predict"] / name) as file:
        kinds = {key: file[key].dtype for key in file}
    assert not [key for key, kind in kinds.items() if kind == np.int64]


def test_tags_of_the_geotiffs(stages):
    with rasterio.open(stages["predict"] / "v_error.tif") as file:
        tags = file.tags()
    assert tags["units"] == "meter/year"
    assert tags["long_name"] == "standard error of the speed"
    assert (tags["date_first"], tags["pairs"]) == ("2020-01-01", "4")


def test_pairs_that_say_so_are_counted_to_the_edge_of_their_slack():
    """A pair supports the mean within half a pixel over its span and a quarter of the speed, not beyond."""
    spans = np.array([100.0, 100.0, 100.0])
    slack = AGREEMENT * YEAR / 100 + 0.25 * 40
    layers = 40 + np.array([0.0, slack - 0.01, slack + 0.01])
    stacked = np.stack([layers, np.zeros(3)], -1)[:, None, None, :]
    assert supporters(stacked, np.array([[[40.0, 0.0]]]), spans)[0, 0] == 2


def test_what_one_pair_tells_is_kept_only_if_it_is_like_its_neighbours():
    velocity = np.zeros((7, 7, 2))
    velocity[..., 0] = 100
    support = np.full((7, 7), 2)
    support[2, 2] = support[4, 4] = 1
    velocity[4, 4, 0] = 3500
    keep = believed(velocity, support, 10.0, None)
    assert keep[2, 2]
    assert not keep[4, 4]
    support[4, 4] = 2
    assert believed(velocity, support, 10.0, None)[4, 4]  # two pairs say so
    assert not believed(velocity, support, 10.0, 3000.0)[4, 4]
    assert believed(velocity, np.ones_like(support), 10.0, None).all()  # a single pair: nothing confirms it


def test_noise_raises_a_speed_by_what_is_said():
    rng = np.random.default_rng(0)
    noise = 20 * rng.standard_normal((2, 200_000))
    seen = np.hypot(100 + noise[0], noise[1])
    assert speed_bias(np.array(seen.mean()), np.array(20.0)) == pytest.approx(seen.mean() - 100, rel=0.05)


def test_months_are_averaged_by_error():
    times = np.array(["2020-01-01", "2020-01-21", "2020-02-10", "2020-02-20"], "datetime64[ns]")
    pairs = [(0, 1), (2, 3), (1, 3), (0, 3)]
    layers = np.array([10.0, 20, 30, 40])[:, None, None, None] * np.ones((4, 1, 1, 2))
    found = by_month(layers, np.reshape([1.0, 1, 2, 1], (-1, 1, 1)), pairs, times)
    assert found.months.astype(str).tolist() == ["2020-01", "2020-02"]
    weights = np.array([1, 1.0])  # the pair of 50 days lies in January by its middle, 26 January
    assert found.vx[0, 0, 0] == pytest.approx((weights * [10, 40]).sum() / 2)
    assert found.vx[1, 0, 0] == pytest.approx((20 + 30 / 4) / (1 + 1 / 4))
    assert found.count.tolist() == [2, 2]
    assert found.error[1, 0, 0] == pytest.approx(1 / np.sqrt(1.25))


def test_speeds_by_month_are_of_the_cells_that_all_months_know():
    vx = np.array([[[3.0, 6.0, 9.0, 100.0]], [[6.0, 12.0, 18.0, np.nan]]])
    months = np.array(["2020-01", "2020-02"], "datetime64[M]")
    series = Months(months, vx, np.zeros_like(vx), np.ones_like(vx), np.array([2, 5]))
    first, second = speed_by_month(series)
    assert first == {"month": "2020-01", "speed": 6, "low": 4.5, "high": 7.5, "cells": 3, "pairs": 2}
    assert second == {"month": "2020-02", "speed": 12, "low": 9, "high": 15, "cells": 3, "pairs": 5}
    vx[0] = np.nan
    assert speed_by_month(series) == []


def test_the_page_draws_the_speed_by_month(stages):
    with (stages["predict"] / "velocity_months.csv").open() as file:
        rows = list(csv.DictReader(file))
    with xr.open_dataset(stages["predict"] / "velocity_months.nc", engine="h5netcdf") as data:
        known = data["v"].where(data["v"].notnull().all("time"))
        medians = known.median(("y", "x")).values
    assert [float(row["speed"]) for row in rows] == pytest.approx(medians, abs=2e-3, rel=1e-4)
    run = make_run("predict", stages["predict"], {"prepare": stages["prepare"]}, OPTIONS)
    _, _, image, line, curve, *_ = shown(run)  # forecasts follow
    grid = Reader([Path()]).read(image.layer).grid
    assert (grid.crs.epsg, grid.affine.a) == (32633, RESOLUTION)
    assert line.title == "Speed along the flow line"
    assert "<svg" in charts.curve(line)
    assert curve.title == "Speed by month"
    assert curve.series[0].y == tuple(float(row["speed"]) for row in rows)
    assert "<svg" in charts.curve(curve)


@pytest.mark.filterwarnings("ignore:Failed to parse CRS")  # of odc-geo, for what has none
@pytest.mark.parametrize(
    ("said", "unit", "bar"),
    [((), "pixel/year", "50 px"), (("--resolution", "25"), "meter/year", "1 km")],
)
def test_pictures_have_a_scale_in_metres_where_their_resolution_was_said(
    monkeypatch, capfd, tmp_path, said, unit, bar
):
    (tmp_path / "scenes").mkdir()
    for frame, day in zip(moving(bands=1)[[0, 4]], ("20200101", "20200305"), strict=True):
        grey = np.interp(frame[0], (700, 1300), (0, 255)).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / "scenes" / f"{day}.png"), grey)
    words = (
        "--no-forecast",
        "--velocity-chip",
        "32",
        "--spacing",
        "16",
        "--workspace",
        str(tmp_path / "space"),
    )
    terminal(monkeypatch, capfd)("predict", "svg", "--scenes", str(tmp_path / "scenes"), *said, *words)
    folder = next(tmp_path.rglob("velocity.nc")).parent
    with rasterio.open(folder / "v.tif") as file:
        tags = file.tags()
    assert (tags["units"], tags.get("pixel_size_m")) == (unit, "400" if said else None)
    known = pytest.importorskip("cf_units").Unit  # what the compliance checker asks
    with xr.open_dataset(folder / "velocity.nc", engine="h5netcdf") as data:
        for name in ("v", "vx", "vy", "v_error", "v_bias"):
            assert known(data[name].units) == known("m year-1" if said else "year-1")
            assert ("standard_name" in data[name].attrs) == (bool(said) and name in ("vx", "vy"))
    panels = [unpack(one) for one in json.loads((folder / "panels.json").read_text())["panels"]]
    speed, error, image, line = panels
    assert {speed.unit, error.unit, image.arrow_unit} == {"m a⁻¹" if said else "px a⁻¹"}
    sides = [panel.layer.metres for panel in (speed, error, image)]
    assert sides == ([400.0, 400.0, 25.0] if said else [None] * 3)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count(f">{bar}<") == 3  # of the image and of cells alike
    assert "cannot be drawn" not in page
    assert line.x_label == f"distance downstream ({'km' if said else 'px'})"
    step = 16 * (0.025 if said else 1)  # from cell to cell
    assert set(np.round(np.diff(line.series[0].x) / step, 6)) <= {1.0, round(2**0.5, 6)}


def test_a_short_pair_that_none_agrees_with_is_outvoted_by_three_that_move():
    """Pixels a year: the shortest pair was taken whatever the others said."""
    spans = np.array([2.0, 10.0, 20.0, 40.0])
    layers = np.zeros((4, 1, 2, 2))
    layers[:, 0, 0, 1] = -190, 74, 72, 75
    layers[1:, 0, 1, 1] = 0.5, 0.2, 0.1  # the light on slopes stands still
    layers[0, 0, 1, 1] = -190
    assert agreeing(layers, spans)[:, 0].T.tolist() == [
        [False, True, True, True],
        [True, False, False, False],
    ]
