"""Scale, nodata, unit and orientation of files, all at once, through the command line (snow: tests/snow)."""

from __future__ import annotations

import csv

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from terminal import terminal
from writing import tif

from icectl.tasks.front.dataset import open_dataset

SIZE = 96
NORTH = Affine(30, 0, 500_000, 0, -30, 5_150_000)
SOUTH = Affine(30, 0, 500_000, 0, 30, 5_150_000 - 30 * SIZE)
FEET = 3937 / 1200


@pytest.fixture
def icectl(monkeypatch, capfd):
    return terminal(monkeypatch, capfd)


def test_the_bed_of_one_hill_however_it_is_stored(icectl, tmp_path):
    """South up, in tenths of US feet as integers from an offset, with a void that is declared."""
    row, col = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    distance = np.hypot(row, col) * 30
    heights = 2500 - 0.25 * distance + 20 * np.sin(col / 9)
    numbers = np.rint(heights * FEET * 10 - 70_000).astype(np.int32)
    numbers[:3, :3] = -1
    ways = {
        "plain": tif(tmp_path / "plain.tif", heights.astype(np.float32), NORTH, "EPSG:32632"),
        "stored": tif(
            tmp_path / "stored.tif", numbers[::-1], SOUTH, "EPSG:32632", scales=(0.1,), offsets=(7_000.0,),
            units=("US survey foot",), nodata=-1,
        ),
    }  # fmt: skip
    x, y = NORTH * (SIZE / 2, SIZE / 2)
    circle = shapely.Point(x, y).buffer(600, 64)
    gpd.GeoDataFrame({"id": ["a"]}, geometry=[circle], crs=32632).to_file(tmp_path / "o.gpkg")
    found = {}
    for name, path in ways.items():
        words = ("--dem", str(path), "--outlines", str(tmp_path / "o.gpkg"), "--device", "cpu")
        icectl("predict", "inpaint-gan", *words, "--workspace", str(tmp_path / name))
        with next((tmp_path / name).rglob("predictions/*/table.csv")).open() as table:
            (found[name],) = csv.DictReader(table)
    for row_of in found.values():
        # The outline's, not the pixels'; a metre of the zone's meridian is 0.9996 m.
        assert float(row_of["area_km2"]) == pytest.approx(circle.area / 1e6 / 0.9996**2, rel=2e-4)
    volumes = [float(row_of["volume_km3"]) for row_of in found.values()]
    assert volumes[0] > 0
    assert volumes[1] == pytest.approx(volumes[0], rel=0.01)


def test_the_velocity_of_frames_stored_in_two_ways(icectl, tmp_path):
    """One frame is floats north up; the other tenths, south up, with a void. The CRS is in US feet."""
    import xarray as xr

    rng, shape = np.random.default_rng(0), (SIZE, SIZE + 16)
    lengths, turns = rng.uniform(4, 14, 80), rng.uniform(0, 2 * np.pi, (2, 80))
    row, col = np.mgrid[: shape[0], : shape[1]]

    def frame(down, right):
        waves = zip(2 * np.pi / lengths, *turns, strict=True)
        texture = sum(
            np.cos(k * (np.cos(a) * (col - right) + np.sin(a) * (row - down)) + b) for k, a, b in waves
        )
        return 1000 + 30 * texture

    feet = Affine(100, 0, 1_640_000, 0, -100, 1_000_000)
    south = feet * Affine(1, 0, 0, 0, -1, shape[0])
    later = np.rint(frame(-3.0, 1.5) * 10).astype(np.int32)
    later[:4] = -7
    tif(tmp_path / "in" / "20190101_nir08.tif", frame(0, 0).astype(np.float32), feet, "EPSG:2927")
    tif(tmp_path / "in" / "20190202_nir08.tif", later[::-1], south, "EPSG:2927", scales=(0.1,), nodata=-7)
    words = ("--no-forecast", "--velocity-chip", "32", "--spacing", "16", "--chips", "0", "--no-cloud-guess")
    icectl("predict", "svg", "--scenes", str(tmp_path / "in"), *words, "--workspace", str(tmp_path / "space"))
    with xr.open_dataset(next((tmp_path / "space").rglob("velocity.nc")), engine="h5netcdf") as data:
        year = 365 / 32 * 100 / FEET
        assert float(np.nanmedian(data["vx"])) == pytest.approx(1.5 * year, rel=0.01)
        assert float(np.nanmedian(data["vy"])) == pytest.approx(3.0 * year, rel=0.01)


def test_fronts_stored_in_two_ways(icectl, tmp_path):
    """Plain, and south up with a scale and a void; in feet, metres per pixel are those on the ground."""
    rng = np.random.default_rng(0)
    grey = rng.integers(20, 220, (SIZE, SIZE)).astype(np.uint8)
    ice = np.broadcast_to(np.arange(SIZE)[:, None] < 40, grey.shape).astype(np.uint8)
    void = np.where(np.arange(SIZE) < 6, 255, ice).astype(np.uint8)
    feet = Affine(100, 0, 1_640_000, 0, -100, 1_000_000)
    south = feet * Affine(1, 0, 0, 0, -1, SIZE)
    tif(tmp_path / "i" / "20200701.tif", grey, feet, "EPSG:2927")
    tif(tmp_path / "l" / "20200701.tif", ice, feet, "EPSG:2927")
    tif(tmp_path / "i" / "20200801.tif", grey[::-1] * np.int16(10), south, "EPSG:2927", scales=(0.1,))
    tif(tmp_path / "l" / "20200801.tif", void[::-1], south, "EPSG:2927", nodata=255, scales=(0.5,))
    words = ("--scenes", str(tmp_path / "i"), "--labels", str(tmp_path / "l"))
    icectl("prepare", "front-unet", *words, "--workspace", str(tmp_path / "space"))
    data = open_dataset(next((tmp_path / "space").rglob("index.json")).parent)
    first, second = data.entries
    np.testing.assert_allclose(data.image(second), data.image(first), rtol=1e-6)
    for entry in (first, second):
        assert entry.resolution == pytest.approx(100 / FEET, rel=0.01)
        assert entry.place == first.place
        (line,) = entry.lines
        assert line[:, 0] == pytest.approx(39.5, abs=0.75)  # the ice lies to the north


def test_images_without_a_crs_are_given_one(icectl, tmp_path):
    grey = np.random.default_rng(0).integers(20, 220, (64, 80)).astype(np.uint8)
    for day in ("20200701", "20200801"):
        tif(tmp_path / "i" / f"{day}.png", grey, crs=None, driver="PNG")
    words = (
        "prepare",
        "front-unet",
        "--scenes",
        str(tmp_path / "i"),
        "--bounds",
        "500000",
        "7400000",
        "502400",
        "7401920",
    )
    refused = icectl(*words, "--workspace", str(tmp_path / "a"), ok=False)
    assert "--bounds 500000 7.4e+06 502400 7.40192e+06 has no CRS" in refused.err
    icectl(*words, "--crs", "EPSG:32622", "--workspace", str(tmp_path / "b"))
    (entry, _) = open_dataset(next((tmp_path / "b").rglob("index.json")).parent).entries
    assert entry.place.crs == "EPSG:32622"
    assert entry.place.transform == (30, 0, 500_000, 0, -30, 7_401_920)
    assert entry.resolution == pytest.approx(30, rel=1e-3)
