"""From a STAC service to fronts: a loopback API, COGs served by ranges, and the terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial

import geopandas
import numpy as np
import pyogrio
import pytest
from pydantic import ValidationError
from servers import Fault, FileServer, landsat_item, stac_api, write_source
from terminal import terminal
from worlds import world

from icectl.raster import grid_of, read
from icectl.sources.catalogue import Scene, read_catalogue
from icectl.sources.remote import Patience
from icectl.sources.synthetic import World, write_front_scenes
from icectl.tasks.front.dataset import open_dataset
from icectl.tasks.front.fetch import sensor_code
from icectl.tasks.front.options import FetchOptions
from icectl.tasks.front.prepare import decibels, image_of

SIDE = 112
PLATFORMS = {4: "LT04", 5: "LT05", 7: "LE07", 8: "LC08", 9: "LC09"}
YEARS = {4: 1989, 5: 1994, 7: 2005, 8: 2015, 9: 2022}
CLOUDED = 22280
TINY = [
    *("--width", "4", "--crop", "64", "64", "--batch-size", "2", "--updates", "30"),
    *("--validate-every", "15", *world("front-unet", size=96, years=2, count=1)),
]


class Served:
    """Views of one synthetic fjord as an archive holds them, and what describes them."""

    def __init__(self, files: FileServer, world: World, scenes: list[Scene]) -> None:
        self.files, self.world, self.scenes = files, world, scenes
        self.items: list[dict] = []
        grid = world.grid
        self.where = {"epsg": grid.crs.to_epsg(), "transform": grid.affine, "shape": tuple(grid.shape)}
        whole = grid.geographic_extent.boundingbox
        width, height = whole.right - whole.left, whole.top - whole.bottom
        self.box = (
            whole.left + 0.12 * width, whole.bottom + 0.12 * height,
            whole.right - 0.12 * width, whole.top - 0.12 * height,
        )  # fmt: skip

    def landsat(self, number: int, satellite: int, clouded: bool = False) -> str:
        code, scene = PLATFORMS[satellite], self.scenes[number]
        time = datetime(YEARS[satellite], 7, 1 + number, 14, tzinfo=UTC)
        name = f"{code}_L2SP_233013_{time:%Y%m%d}_20200101_02_T1"
        bands = {"nir08": "SR_B5" if satellite >= 8 else "SR_B4", "green": "SR_B3", "qa_pixel": "QA_PIXEL"}
        for band, layer in bands.items():
            array = read(scene.asset(band)).data
            if band == "qa_pixel" and clouded:
                array = np.full_like(array, CLOUDED)
            self._write(f"{name}_{layer}", array, nodata=1 if band == "qa_pixel" else 0)
        platform = f"landsat-{satellite}"
        self.items.append(
            landsat_item(name, time, self.files.url, bands=bands, platform=platform, **self.where)
        )
        return name

    def radar(self, number: int) -> str:
        """Backscatter: linear, with a few very bright pixels, as Sentinel-1's is."""
        name, time = f"S1A_IW_{number}", datetime(2018, 7, 1 + number, 14, tzinfo=UTC)
        light = read(self.scenes[number].asset("nir08")).data.astype("float32")
        back = (light / light.max()) ** 2 + 1e-3
        back[::9, ::9] *= 300
        back[:4] = -32768
        for layer in ("hh", "hv"):
            self._write(f"{name}_{layer}", back, nodata=-32768)
        bands = {"hh": "hh", "hv": "hv"}
        item = landsat_item(name, time, self.files.url, bands=bands, platform="SENTINEL-1A", **self.where)
        item["collection"] = "sentinel-1-rtc"
        for asset in item["assets"].values():
            asset.pop("raster:bands")
        self.items.append(item)
        return name

    def _write(self, stem: str, array: np.ndarray, nodata: float) -> None:
        epsg, transform = self.where["epsg"], self.where["transform"]
        write_source(self.files.root / f"{stem}.TIF", array, nodata=nodata, epsg=epsg, transform=transform)


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """A fjord without clouds on five dates."""
    world = World(seed=1, shape=(SIDE, SIDE), setting="fjord")
    folder = tmp_path_factory.mktemp("views")
    write_front_scenes(world, folder, date(2015, 4, 1), date(2015, 10, 1), every=1, cloud=0.0)
    return world, read_catalogue(folder)


@pytest.fixture
def served(views, tmp_path):
    with FileServer(tmp_path / "archive") as files:
        files.root.mkdir()
        yield Served(files, *views)


@pytest.fixture
def call(monkeypatch, capfd, tmp_path, served):
    """The terminal, in a folder that knows the glacier's box."""
    monkeypatch.setattr("icectl.sources.stac.Patience", partial(Patience, attempts=2, backoff=0.01))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "glaciers").mkdir(parents=True)
    text = f'bbox = {list(served.box)}\nmodel = "front-unet"\n'
    (tmp_path / "configs" / "glaciers" / "here.toml").write_text(text)
    return terminal(monkeypatch, capfd)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def trained(call, home):
    """The record of a tiny network's training, made once."""
    if not (home / "icectl").exists():
        call("train", "front-unet", "--glacier", "demo", *TINY, "--workspace", str(home / "icectl"))
    (record,) = (home / "icectl" / "runs").rglob("run.json")
    return record.parent


def newest(*folders):
    """The product that was written last: predictions of a run lie beside it."""
    found = [path for folder in folders for path in folder.rglob("fronts.gpkg")]
    return max(found, key=lambda path: path.stat().st_mtime)


def test_landsat_4_to_9_are_fetched_cut_and_predicted(served, call, trained, tmp_path, views):
    names = [served.landsat(number, satellite) for number, satellite in enumerate(PLATFORMS)]
    served.landsat(0, 8, clouded=True)
    space = tmp_path / "space"
    with stac_api(served.items, tmp_path / "stac") as url:
        call(
            "predict", "front-unet", "--glacier", "here", "--run", str(trained), "--api", url,
            "--dates", "1985-01-01/2022-12-31", "--workspace", str(space), "--least-confidence", "0",
        )  # fmt: skip
    (catalogue,) = space.rglob("items.json")
    scenes = read_catalogue(catalogue.parent)
    assert [scene.id for scene in scenes] == names  # the clouded one is left out
    for scene in scenes:
        assert set(scene.assets) == {"nir08", "qa_pixel"}
        grid = grid_of(scene.asset("nir08"))
        assert max(grid.shape) < 0.9 * SIDE  # cut to the glacier's box
        assert grid.affine.a == 30
    assert [s.properties["icectl:facts"]["sensor"] for s in scenes] == list(PLATFORMS.values())
    assert [s.properties["icectl:facts"]["slc_off"] for s in scenes] == ["no", "no", "yes", "no", "no"]
    assert served.files.bytes_of("SR_B3") == 0  # a band nobody asked for
    assert all(seen.status == 206 for seen in served.files.seen if seen.length > 20_000)

    product = newest(space, trained)
    images = pyogrio.read_dataframe(product, layer="images")
    assert sorted(images.ImageID) == sorted(names)
    fronts = geopandas.read_file(product, layer="fronts")
    assert len(fronts) >= 1
    assert fronts.crs.to_epsg() == 3413
    assert set(fronts.Satellite) <= set(PLATFORMS.values())
    assert set(fronts.GlacierID) == {1}
    assert set(fronts.RefName) == {"here"}
    west, south, east, north = served.box
    assert fronts.Longitude.between(west, east).all()
    assert fronts.Latitude.between(south, north).all()


def test_sentinel_1_is_fetched_as_one_band_and_read_in_decibels(served, call, trained, tmp_path):
    names = [served.radar(number) for number in range(2)]
    space = tmp_path / "space"
    with stac_api(served.items, tmp_path / "stac", "sentinel-1-rtc") as url:
        call(
            "predict", "front-unet", "--glacier", "here", "--run", str(trained), "--api", url,
            "--collection", "sentinel-1-rtc", "--asset", "hh", "--start", "2018-01-01",
            "--workspace", str(space),
        )  # fmt: skip
    (catalogue,) = space.rglob("items.json")
    scenes = read_catalogue(catalogue.parent)
    assert [set(scene.assets) for scene in scenes] == [{"hh"}, {"hh"}]
    assert {scene.properties["icectl:facts"]["sensor"] for scene in scenes} == {"S1A"}
    (index,) = space.rglob("index.json")
    data = open_dataset(index.parent)
    assert [entry.id for entry in data.entries] == names
    image = data.image(data.entries[0])
    assert -31 < np.nanmin(image) < np.nanmax(image) < 26
    linear = read(scenes[0].asset("hh"))
    assert np.isnan(image).sum() == np.ma.getmaskarray(linear).sum()
    product = newest(space, trained)
    assert sorted(pyogrio.read_dataframe(product, layer="images").ImageID) == names


def test_a_service_that_fails_half_way_goes_on_where_it_stopped(served, call, tmp_path):
    for number, satellite in enumerate((5, 8)):
        served.landsat(number, satellite)
    arguments = ["fetch", "deeplab", "--glacier", "here", "--workspace", str(tmp_path / "space")]
    served.files.faults.append(Fault(404, match="LC08.*SR_B5"))
    with stac_api(served.items, tmp_path / "stac") as url:
        failed = call(*arguments, "--api", url, ok=False)
        assert failed.code == 1
        assert failed.err.count("error:") == 1
        assert "LC08" in failed.err
        assert "hint:" in failed.err
        assert not list((tmp_path / "space").rglob("items.json"))
        served.files.faults.clear()
        before = served.files.bytes_of("LT05")
        call(*arguments, "--api", url)
    assert served.files.bytes_of("LT05") == before  # what was whole is not fetched again
    (catalogue,) = (tmp_path / "space").rglob("items.json")
    assert len(read_catalogue(catalogue.parent)) == 2


def test_any_band_that_was_fetched_is_the_image(views):
    _, scenes = views
    files = scenes[0].assets
    assert (
        image_of(replace(scenes[0], assets={"swir16": files["green"], "qa_pixel": files["qa_pixel"]}))
        == "swir16"
    )
    assert image_of(scenes[0]) == "nir08"


def test_backscatter_in_decibels():
    values = decibels(np.array([[1.0, 0.1], [0.0, np.nan]], np.float32))
    np.testing.assert_allclose(values, [[0, -10], [np.nan, np.nan]], atol=1e-5)


@pytest.mark.parametrize(
    ("platform", "code"),
    [
        ("landsat-4", "LT04"),
        ("Landsat-9", "LC09"),
        ("SENTINEL-1A", "S1A"),
        ("sentinel-2b", "S2B"),
        ("x", "x"),
    ],
)
def test_codes_of_platforms(platform, code):
    assert sensor_code(platform) == code


def test_an_interval_of_days_stands_for_start_and_end():
    options = FetchOptions(dates="2013-06-01/2013-06-30")
    assert (options.start, options.end) == (date(2013, 6, 1), date(2013, 7, 1))
    assert FetchOptions(dates="../2013-06-30").start is None
    assert FetchOptions(**options.model_dump(mode="json")) == options
    for bad in ({"dates": "2013"}, {"dates": "2013-06-01/2013-07-01", "start": date(2012, 1, 1)}):
        with pytest.raises(ValidationError):
            FetchOptions(**bad)
