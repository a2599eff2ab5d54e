"""From a STAC service on loopback to scores beside baselines, through the command line alone."""

from __future__ import annotations

import json
from calendar import monthrange
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from pyproj import Transformer
from servers import FileServer, landsat_item, stac_api

from icectl.sources.catalogue import read_catalogue
from icectl.sources.scene import Scene
from icectl.sources.synthetic import World, write_snow_scenes
from icectl.tasks.snow.baselines import NAMES

SIDE, YEARS = 96, range(2014, 2019)
EMPTY = date(2016, 7, 1)
"""A quarter without a scene inside the series: it has to be interpolated."""

TINY = [
    *("--patch=16", "--stride=8", "--encoder=4", "--decoder=4", "--batch-size=8", "--seed=3"),
    *("--updates=4", "--epochs=2", "--validate-every=2", "--bootstrap=20"),
    *("--align=none", "--max-cloud=60", "--max-missing=60"),
]


class Service:
    """One scene a quarter of a synthetic glacier on a file server, and their items."""

    def __init__(self, root: Path, url: str) -> None:
        self.world = World(seed=1, shape=(SIDE, SIDE))
        self.items, self.quarters = [], [date(y, m, 1) for y in YEARS for m in (1, 4, 7, 10)]
        for first in self.quarters:
            if first != EMPTY:
                middle = date(first.year, first.month + 1, 1)
                self._add(root, url, middle, cloud=0.1)
        self._add(root, url, EMPTY, cloud=0.0, platform="landsat-9")  # left out by --platform

    def _add(self, root: Path, url: str, month: date, cloud: float, platform: str = "") -> None:
        folder = root / month.isoformat()
        end = month + timedelta(days=monthrange(month.year, month.month)[1])
        write_snow_scenes(self.world, folder, month, end, cloud=cloud, truth=False)
        (scene,) = read_catalogue(folder)
        grid = self.world.grid
        item = landsat_item(
            scene.id, scene.time, url, platform=platform or scene.properties["platform"],
            epsg=grid.crs.to_epsg(), transform=grid.affine, shape=grid.shape,
        )  # fmt: skip
        item["assets"] = {
            name: {**item["assets"][name], "href": f"{url}/{path.relative_to(root)}"}
            for name, path in scene.assets.items()
        }
        self.items.append(item)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    with FileServer(root) as server:
        made = Service(root, server.url)
        with stac_api(made.items, tmp_path_factory.mktemp("stac")) as url:
            yield made, server, url


@pytest.fixture
def typed(service, icectl, tmp_path):
    """Return what a person would type for this place, whose file lies in ``./configs/glaciers``."""
    world = service[0].world
    west, south, east, north = world.grid.boundingbox.bbox
    to_degrees = Transformer.from_crs(world.grid.crs, 4326, always_xy=True)
    box = to_degrees.transform_bounds(west + 240, south + 240, east - 240, north - 240)
    file = tmp_path / "configs" / "glaciers" / "loop.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f"bbox = {list(box)}\n")
    first, last = YEARS[0], YEARS[-1] + 1
    place = f"--glacier loop --api {service[2]} --start {first}-01-01 --end {last}-01-01".split()
    return [*place, "--platform=landsat-8", "--platform=landsat-7", *TINY]


def test_a_dry_run_says_scenes_and_bytes_and_touches_nothing(service, icectl, typed, tmp_path):
    _, server, _ = service
    server.seen.clear()
    fetch = [a for a in typed if a not in TINY] + ["--max-cloud=60"]
    plan = icectl("fetch", "convlstm", *fetch, "--dry-run", "--json").json
    (step,) = plan["steps"]
    scenes = len(service[0].items) - 1
    assert (
        f"{scenes} scenes of landsat-c2-l2 ({scenes + 1} found, of which 1 of other platforms)"
        in step["note"]
    )
    pixels = (SIDE - 16) ** 2
    assert step["downloads"] == pytest.approx(scenes * 3 * 2 * pixels, rel=0.1)
    shown = icectl("fetch", "convlstm", *fetch, "--dry-run").out
    assert f"{scenes} scenes" in " ".join(shown.split())
    assert server.seen == []
    assert not (tmp_path / "icectl-workspace").exists()


def test_scenes_of_a_service_become_scores_beside_baselines(service, icectl, typed):
    made, server, _ = service
    result = icectl("run", "convlstm", *typed, "--json").json
    run = json.loads((Path(result["run"]) / "run.json").read_text())
    folders = {verb: (Path(result["run"]) / path).resolve() for verb, path in run["inputs"].items()}
    left_out = json.loads((folders["fetch"] / "stage.json").read_text())["notes"]["fetch"]["left_out"]
    assert left_out.pop("of other platforms") == 1
    scenes = read_catalogue(folders["fetch"])
    assert len(scenes) == len(made.items) - 1 - sum(left_out.values()) >= 16
    check_cube(made, scenes, folders["prepare"])
    (predicted,) = (Path(result["run"]) / "predictions").iterdir()
    check_maps(made, predicted)
    check_scores(result)
    server.seen.clear()
    again = icectl("run", "convlstm", *typed, "--json").json
    assert again["skipped"]
    assert server.seen == []


def check_cube(made: Service, scenes: list[Scene], prepared: Path) -> None:
    """One frame a quarter; clear pixels hold (green − swir16) / (green + swir16) of their scene's numbers."""
    with xr.open_zarr(prepared / "dataset.zarr", consolidated=False) as cube:
        days = [str(day)[:10] for day in cube["time"].values]
        snow, flags = cube["snow"].values, cube["flags"].values
    assert days == [day.isoformat() for day in made.quarters]
    assert (flags[made.quarters.index(EMPTY)] == 4).all()
    looked = 0
    for scene in scenes:
        frame = made.quarters.index(date(scene.time.year, 3 * ((scene.time.month - 1) // 3) + 1, 1))
        layers = {}
        for band in ("green", "swir16", "qa_pixel"):
            with rasterio.open(scene.asset(band)) as raster:
                assert raster.crs.to_epsg() == made.world.grid.crs.to_epsg()
                assert raster.transform.c % 30 == raster.transform.f % 30 == 15  # Landsat's half pixel
                layers[band] = raster.read(1)
        green, swir = (layers[band] * 2.75e-05 - 0.2 for band in ("green", "swir16"))
        seen = (layers["qa_pixel"] & 0b11111 == 0) & (flags[frame] == 1) & (green > 0.02) & (swir > 0.02)
        index = (green - swir) / np.where(seen, green + swir, 1)
        wanted = np.where(index >= 0.3, index, 0)[seen]
        near = np.abs(index[seen] - 0.3) < 1e-4  # rounding may put these on either side
        np.testing.assert_allclose(snow[frame][seen][~near], wanted[~near], atol=1e-5)
        looked += int(seen.sum())
    assert looked > 0.4 * snow[0].size * len(scenes)


def check_maps(made: Service, predicted: Path) -> None:
    """Every map lies inside the world, on its pixels, and covers the glacier's box."""
    names = sorted(path.name for path in predicted.glob("*.tif"))
    assert "forecast_2019-01-01.tif" in names
    assert any(name.startswith("hindcast_") for name in names)
    outer = made.world.grid.boundingbox
    for name in names:
        with rasterio.open(predicted / name) as stack:
            assert stack.crs.to_epsg() == made.world.grid.crs.to_epsg()
            assert (stack.count, stack.res) == (4, (30, 30))
            assert (stack.bounds.left - outer.left) % 30 == (stack.bounds.top - outer.top) % 30 == 0
            box = np.array([outer.left + 240, outer.bottom + 240, outer.right - 240, outer.top - 240])
            assert np.abs(np.array(stack.bounds) - box).max() <= 60  # degrees make it a little wider
            values = stack.read()
        assert np.isfinite(values).all()
        assert 0 <= values.min() < values.max() <= 1


def check_scores(result: dict) -> None:
    """The model stands beside all four baselines and the paper; nothing tested was trained on."""
    metrics = result["metrics"]
    assert metrics == json.loads((Path(result["folder"]) / "metrics.json").read_text())
    rows = {row["name"]: row for row in metrics["tables"][0]["rows"]}
    assert [rows[name]["kind"] for name in NAMES.values()] == ["baseline"] * 4
    for name in ("convlstm", *NAMES.values()):
        assert 0 < rows[name]["values"]["mse"] < rows[name]["values"]["mae"] < 1
    assert sum(row["kind"] == "published" for row in rows.values()) == 4
    assert metrics["details"]["audit"]["shared with training"] == 0
    assert metrics["details"]["audit"]["scored pixels"] > 0
    page = Path(result["report"]).read_text(encoding="utf-8")
    assert "loop" in page
    for name in NAMES.values():
        assert name in page
