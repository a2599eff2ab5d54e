"""Terrain: radiation against closed forms, the snowline by brute force, elevation models as they come."""

from __future__ import annotations

import csv
from datetime import date
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod
from shapely import box
from worlds import world
from writing import tif

from icectl.errors import DataError
from icectl.raster import grid_of, ground_areas, write_cog
from icectl.tasks.snow import products
from icectl.tasks.snow.dataset import STORE, Cube, CubeWriter, ground, open_dataset
from icectl.tasks.snow.masks.terrain import cover, daily_radiation, snowline, static
from icectl.training import load_weights

TILT = np.deg2rad(23.44)


def level(latitude, declination):
    one = np.ones(1)
    return float(daily_radiation(one, 0 * one, 0 * one, latitude, declination)[0])


@pytest.mark.parametrize("latitude", [-40.0, 0.0, 46.5, 62.0])
@pytest.mark.parametrize("declination", [-TILT, 0.0, TILT])
def test_radiation_on_level_ground_is_the_textbooks(latitude, declination):
    """H0 = sin φ sin δ · h + cos φ cos δ sin h, h the hour angle of sunset (Iqbal 1983), as a share of 1."""
    phi = np.deg2rad(latitude)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1, 1))
    expected = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    assert level(latitude, declination) == pytest.approx(expected, abs=0.012)


def test_a_slope_to_the_south_is_level_ground_further_south():
    """A slope of β facing south at φ sees the sun as level ground at φ − β does, at equinox."""
    tilt = np.deg2rad(20.0)
    up, north, east = np.array([np.cos(tilt)]), np.array([-np.sin(tilt)]), np.zeros(1)
    got = float(daily_radiation(up, north, east, 46.0, 0.0)[0])
    assert got == pytest.approx(level(26.0, 0.0), abs=1e-6)
    assert float(daily_radiation(up, -north, east, 46.0, 0.0)[0]) == pytest.approx(level(66.0, 0.0), abs=1e-6)


def test_channels_of_a_plane():
    """A plane that rises to the north by 0.5 faces south; slope, aspect and height are exact."""
    height = (1000 - 0.5 * 30 * np.arange(20.0)[:, None] + np.zeros((1, 16))).astype("f4")  # row 0 is north
    got = static(height, 30.0, 46.0)
    inner = got[:, 5, 5]
    assert inner[1] == pytest.approx(0.5 / 1.25**0.5, abs=1e-5)
    assert inner[2] == pytest.approx(-0.5 / 1.25**0.5, abs=1e-5)
    assert inner[3] == pytest.approx(0.0, abs=1e-6)
    assert inner[0] == pytest.approx((height[5, 5] - np.median(height)) / 1000, abs=1e-6)
    assert inner[4] > inner[5]  # more sun in June than in December


def test_the_snowline_leaves_the_fewest_pixels_on_the_wrong_side():
    rng = np.random.default_rng(0)
    for _ in range(20):
        height = rng.integers(0, 30, 60).astype("f4")
        snow = height + rng.normal(0, 6, 60) > 15
        line = snowline(snow, height)
        errors = [(snow & (height < z)).sum() + (~snow & (height > z)).sum() for z in np.arange(-0.5, 30.5)]
        assert (snow & (height < line)).sum() + (~snow & (height > line)).sum() == min(errors)
    assert np.isnan(snowline(np.ones(3, bool), np.arange(3.0)))


def test_area_and_line_of_a_mask():
    height = np.arange(100.0, dtype="f4").reshape(10, 10)
    mask = np.where(height >= 40, np.float32(0.5), 0)
    mask[9, 9] = np.nan
    found = cover(mask, height, 0.0009, None, "observed")
    assert (found.snow, found.known) == (pytest.approx(59 * 0.0009), pytest.approx(99 * 0.0009))
    assert found.line == 39.5


@pytest.fixture
def prepared(tmp_path, make_run):
    """Return ``prepared(heights, crs, …)``: a cube of two frames made with an elevation model."""
    grid = GeoBox((60, 50), Affine(30, 0, 700_005, 0, -30, 3_500_025), "EPSG:32643")
    folder = tmp_path / "mine"
    for k, day in enumerate(("2019-01-01", "2019-04-01")):
        write_cog(folder / f"ndsi_{day}.tif", np.full((60, 50), 0.5 + 0.1 * k, "f4"), grid)

    def work(dem):
        plugin = import_module("icectl_unet").plugin
        from icectl_unet.network import UNetModel

        for verb in ("fetch", "prepare"):
            run = make_run(plugin, verb, {"cadence": "scenes", "dem": dem}, scenes=folder)
            getattr(UNetModel(), verb)(run, run.options[verb])
        return open_dataset(run.out), grid

    return work


def test_an_elevation_model_of_another_crs_lies_on_the_scenes_grid(prepared, tmp_path):
    """Heights that are a plane in the scene's own metres come back from degrees to within a metre."""
    from pyproj import Transformer

    degrees = GeoBox((220, 220), Affine(0.0003, 0, 77.07, 0, -0.0003, 31.65), "EPSG:4326")
    lon, lat = np.meshgrid(
        77.07 + 0.0003 * (np.arange(220) + 0.5), 31.65 - 0.0003 * (np.arange(220) + 0.5)
    )  # fmt: skip
    x, y = Transformer.from_crs(4326, 32643, always_xy=True).transform(lon, lat)
    heights = 3000 + 0.3 * (x - 700_005) + 0.2 * (y - 3_500_025)
    cube, _ = prepared(write_cog(tmp_path / "dem.tif", heights.astype("f4"), degrees))
    rows, cols = np.mgrid[:60, :50]
    expected = 3000 + 0.3 * 30 * (cols + 0.5) - 0.2 * 30 * (rows + 0.5)
    assert np.abs(cube.height() - expected).max() < 1.0
    assert ground(cube).shape == (6, 60, 50)


def test_half_an_elevation_model_and_one_in_feet_are_refused(prepared, tmp_path):
    grid = GeoBox((60, 25), Affine(30, 0, 700_005, 0, -30, 3_500_025), "EPSG:32643")
    half = write_cog(tmp_path / "half.tif", np.full((60, 25), 4000, "f4"), grid)
    with pytest.raises(DataError, match="has no height on 50% of the scene"):
        prepared(half)
    whole = GeoBox((60, 50), Affine(30, 0, 700_005, 0, -30, 3_500_025), "EPSG:32643")
    feet = write_cog(tmp_path / "heights.tif", np.full((60, 50), 15_000, "f4"), whole)
    with pytest.raises(DataError, match="cannot be metres"):
        prepared(feet)


def test_an_elevation_model_that_does_not_fit_is_refused_before_the_scenes_are_read(icectl, tmp_path):
    made = ("--glacier=demo", *world("unet", years=3, size=64))
    icectl("fetch", "unet", *made)
    (whole,) = tmp_path.glob("icectl-workspace/glaciers/demo/scenes/*/dem.tif")
    grid, half = grid_of(whole), tmp_path / "half.tif"
    write_cog(half, np.full((64, 32), 4000, "f4"), GeoBox((64, 32), grid.affine, grid.crs))
    refused = icectl("prepare", "unet", *made, f"--dem={half}", ok=False)
    assert "half.tif has no height on 50% of the scene" in refused.err
    assert "aligned" not in refused.err


def test_a_network_learns_from_the_ground_and_predicts_with_it(make_cube, make_run, tmp_path):
    """The guide reaches training and prediction: other heights give another forecast."""
    from icectl_unet.network import UNetModel

    plugin = import_module("icectl_unet").plugin
    height = np.linspace(2000, 4000, 96, dtype="f4")[:, None] + np.zeros((96, 80), "f4")
    masks = [np.where(height > line, np.float32(0.6), 0) for line in (2400, 2800, 3500, 3000) * 2]
    make_cube(np.stack(masks), height=height)
    given = {
        "patch": 16, "stride": 8, "updates": 4, "epochs": 4, "batch_size": 4, "validate_every": 2,
        "widths": (4, 8), "guides": ("flags", "season", "linear", "calendar", "terrain"), "bootstrap": 20,
    }  # fmt: skip
    model, run = UNetModel(), make_run(plugin, "train", given)
    model.train(run, run.options["train"])
    state, _ = load_weights(run.out / "weights.safetensors")
    assert state["network.first.0.weight"].shape[1] == 4 * 2 + 4 * (1 + 1 + 2 + 6)
    network, _ = model.load(run.at(inputs={"train": run.out}))
    past, season, phase = torch.rand(1, 4, 16, 16), torch.tensor([[0, 1, 2, 3]]), torch.rand(1, 4)
    low, high = (network(past, season, phase, torch.full((1, 6, 16, 16), z)) for z in (0.0, 1.0))
    assert (low - high).abs().max() > 1e-4
    later = make_run(plugin, "predict", given)
    model.predict(later, later.options["predict"])
    rows = list(csv.DictReader((later.out / "snow_cover.csv").read_text().splitlines()))
    observed = [row for row in rows if row["kind"] == "observed"]
    assert [row["date"] for row in observed][:2] == ["2013-01-01", "2013-04-01"]
    pixel = (30 / 1000) ** 2
    assert float(observed[0]["snow_area_km2"]) == pytest.approx((height > 2400).sum() * pixel, rel=2e-3)
    assert abs(float(observed[0]["snowline_m"]) - 2400) < 25
    assert {row["kind"] for row in rows} == {"observed", "hindcast", "forecast"}
    scored = make_run(plugin, "evaluate", given)
    titles = [
        panel["title"] for panel in model.evaluate(scored, scored.options["evaluate"]).details["panels"]
    ]
    assert "Snowline altitude of the scored pixels" in titles
    assert "Reliability of the chance of snow" in titles


def test_the_guide_terrain_needs_heights(make_cube):
    cube = make_cube(np.ones((2, 12, 10), "f4"))
    with pytest.raises(DataError, match="needs heights") as error:
        ground(cube)
    assert "--dem" in error.value.hint


def test_snow_covered_area_in_degrees_is_that_on_the_ground():
    """A scene of two degrees of latitude, its northern half snow, against geodesic areas."""
    grid = GeoBox((200, 50), Affine(0.01, 0, 10, 0, -0.01, 62), "EPSG:4326")
    mask = np.zeros((200, 50), np.float32)
    mask[:100] = 1
    found = cover(mask, None, ground_areas(grid) / 1e6, None, "observed")
    whole = [Geod(ellps="WGS84").geometry_area_perimeter(box(10, low, 10.5, 62))[0] for low in (61, 60)]
    assert found.snow == pytest.approx(abs(whole[0]) / 1e6, rel=0.001)
    assert found.known == pytest.approx(abs(whole[1]) / 1e6, rel=0.001)


def test_days_and_heights_of_a_run_are_not_those_of_other_scenes(icectl, tmp_path):
    """They were: a series of elsewhere was cut at the training's last day, and its heights were missed."""
    height = np.add.outer(np.arange(64.0), np.arange(64.0)).astype("f4") * 10 + 2000
    for place, crs, first in (("here", "EPSG:32643", 2013), ("there", "EPSG:32718", 2018)):
        for k in range(9):
            index = np.where(height > 2200 + 100 * (k % 4), np.float32(0.6), np.float32(0))
            tif(tmp_path / place / f"{first + k // 4}{3 * (k % 4) + 1:02}01_ndsi.tif", index, crs=crs)
    dem = tif(tmp_path / "dem.tif", height)
    space = ("--workspace", str(tmp_path / "ws"))
    small = ("--cadence", "scenes", "--patch", "16", "--stride", "8", "--updates", "2")
    dated = ("--end", "2014-12-01", "--dem", str(dem))
    made = icectl("train", "snow-mlp", "--scenes", str(tmp_path / "here"), *small, *dated, *space, "--json")
    there = ("--run", made.json["run"], "--scenes", str(tmp_path / "there"), "--moments", "last")
    found = icectl("predict", "snow-mlp", *there, *space, "--json")
    rows = list(csv.DictReader((Path(found.json["folder"]) / "snow_cover.csv").read_text().splitlines()))
    observed = [row for row in rows if row["kind"] == "observed"]
    assert [row["date"] for row in observed][-1] == "2020-01-01"
    assert {row["snowline_m"] for row in rows} == {""}


def test_strips_of_a_series_show_what_its_whole_masks_show(tmp_path, monkeypatch):
    """Each frame was read whole, and with it the chunks of all others: the time grew with their square."""
    rng, grid = np.random.default_rng(0), GeoBox((64, 37), Affine(30, 0, 4e5, 0, -30, 5.2e6), "EPSG:32632")
    height = (1000 + 10 * rng.random(grid.shape) + 20 * np.arange(64)[:, None]).astype(np.float32)
    snow = np.clip(height / 1500 + rng.normal(0, 0.3, (5, *grid.shape)) - 0.7, 0, 1).astype(np.float32)
    snow[2, 10:30] = np.nan
    flags = np.where(np.isfinite(snow), rng.choice([1, 2], snow.shape), 0).astype(np.uint8)
    times = [date(2019, month, 1) for month in range(1, 6)]
    writer = CubeWriter(tmp_path / STORE, times, grid, {})
    writer.write(slice(0, 64), snow, flags)
    writer.write_height(height)
    writer.close()
    cube, read = open_dataset(tmp_path), []
    whole = [
        cover(m, height, ground_areas(grid) / 1e6, d, "observed", measured=f == 1)
        for m, f, d in zip(snow, flags, times, strict=True)
    ]
    monkeypatch.setattr(products, "_BYTES", 5 * 37 * 4 * 20)
    monkeypatch.setattr(Cube, "read", lambda self, rows: read.append(rows) or snow[:, rows])
    path = products.write_cover(SimpleNamespace(out=tmp_path), cube, [])
    assert [tuple(row) for row in csv.reader(path.read_text().splitlines())][1:] == [w.row() for w in whole]
    assert [(r.start, r.stop) for r in read] == [(0, 20), (20, 40), (40, 60), (60, 64)]
