"""Scenes that are prepared strip by strip: the same cube as whole, in memory that does not grow with them."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from importlib import import_module

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from icectl.errors import DataError
from icectl.raster import read_quantity, row_strips, tiles, write_cog
from icectl.raster.quantity import Reader
from icectl.registry import load_model
from icectl.sources.catalogue import write_catalogue
from icectl.sources.scene import Band, Scene
from icectl.tasks.snow import prepare as recipe
from icectl.tasks.snow.dataset import open_dataset
from icectl.tasks.snow.masks import bands as sampling

PLUGIN = import_module("icectl_snow_mlp").plugin
SHAPE = (150, 40)
DAYS = ("2019-01-10", "2019-04-10")


@pytest.fixture
def thin(monkeypatch):
    """Strips of so many rows, which divide nothing evenly."""

    def cut(rows):
        monkeypatch.setattr(tiles, "TILES", rows)
        monkeypatch.setattr(tiles, "STRIP", 1)
        monkeypatch.setattr(recipe, "_PIXELS", 1)

    return cut


def grid(shape=SHAPE, origin=700_005, size=30):
    return GeoBox(shape, Affine(size, 0, origin, 0, -size, 3_500_025), "EPSG:32643")


def texture(shape, seed):
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 3)
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


def bands(folder, day, shape=SHAPE, origin=700_005, seed=0):
    """A scene of two bands with a border of fill, a deep cloud, stripes and numbers that are none."""
    layers = {"green": 0.2 + 0.7 * texture(shape, seed), "swir16": 0.05 + 0.4 * texture(shape, seed + 1)}
    paths = {}
    for name, values in layers.items():
        numbers = np.round((values + 0.2) / 2.75e-5).astype("u2")
        numbers[:, :3] = numbers[60 + seed : 64] = 0
        numbers[100, 5:9] = 65535
        paths[name] = write_cog(folder / f"{day}-{name}.tif", numbers, grid(shape, origin), nodata=0)
    flags = np.full(shape, 1 << 6, "u2")
    flags[20:75, 8:33] = 1 << 3
    paths["qa_pixel"] = write_cog(folder / f"{day}-qa.tif", flags, grid(shape, origin))
    meaning = Band(scale=2.75e-5, offset=-0.2, nodata=0)
    when = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return Scene(f"s-{day}", when, paths, {}, {"green": meaning, "swir16": meaning})


def fmask(folder, day, **more):
    """The same, its clouds by bits that show in the last rows alone: above, numbers are those of classes."""
    scene = bands(folder, day, **more)
    flags = np.full(SHAPE, 4, "u1")
    flags[:140] = 0
    flags[20:75, 8:33] = 2
    flags[140:] = 64
    path = write_cog(folder / f"{day}-fmask.tif", flags, grid())
    return Scene(scene.id, scene.time, {**scene.assets, "fmask": path} | {}, {}, scene.bands)


def index(folder, day, shape=SHAPE, seed=0):
    """A ready index with gaps."""
    values = np.round(2 * texture(shape, seed) - 1, 2)
    values[30:90, 5:35] = values[:4] = np.nan
    values[96:140, 2:6] = 0  # a patch of fill, over several strips
    values[100:120, 20:24] = 0  # too small a one
    path = write_cog(folder / f"{day}-ndsi.tif", values, grid(shape))
    return Scene(f"s-{day}", datetime.fromisoformat(day).replace(tzinfo=UTC), {"ndsi": path}, {}, {})


def prepare(root, make_run, scenes, **options):
    (root / "fetch").mkdir(parents=True)
    write_catalogue(root / "fetch", scenes)
    run = make_run(PLUGIN, "prepare", {"cadence": "scenes", **options}, root=root)
    load_model(PLUGIN).prepare(run, run.options["prepare"])
    return run


def prepared(root, make_run, scenes, **options):
    run = prepare(root, make_run, scenes, **options)
    cube = open_dataset(run.out)
    everything = slice(None)
    height = cube.height() if cube.has_height else None
    return cube.read(everything), cube.flags(everything), height, cube.facts, run.notes.get("warnings")


@pytest.mark.parametrize("align", ["none", "translation"])
@pytest.mark.parametrize("kind", [bands, fmask, index])
@pytest.mark.parametrize("rows", [4, 37])
def test_a_cube_is_the_same_whatever_the_strips(tmp_path, make_run, thin, kind, rows, align):
    scenes = [kind(tmp_path, day, seed=number) for number, day in enumerate(DAYS)]
    whole = prepared(tmp_path / "whole", make_run, scenes, align=align)
    thin(rows)
    assert len(list(row_strips(SHAPE))) > 3
    cut = prepared(tmp_path / "cut", make_run, scenes, align=align)
    assert np.isfinite(whole[0]).all()
    assert (whole[1] == 2).any()
    for one, other in zip(whole[:2], cut[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole[2:] == cut[2:]


def test_scenes_of_other_grids_are_the_same_too(tmp_path, make_run, thin):
    scenes = [bands(tmp_path, DAYS[0]), bands(tmp_path, DAYS[1], origin=700_065, seed=1)]
    whole = prepared(tmp_path / "whole", make_run, scenes, align="none")
    thin(8)
    cut = prepared(tmp_path / "cut", make_run, scenes, align="none")
    assert whole[0].shape == (2, SHAPE[0], SHAPE[1] - 2)
    np.testing.assert_array_equal(whole[0], cut[0])
    np.testing.assert_array_equal(whole[1], cut[1])


PERCENT = np.where(np.arange(90)[:, None] < 60, 0.0, 40.0) + np.arange(20)
"""Nothing is wrong with its first strips alone."""
CLASSES = np.where(np.arange(90)[:, None] < 60, 0.0, 3.0) + np.zeros(20)
FEW_VOIDS = np.where(np.arange(90)[:, None] < 5, -9999.0, 0.4) + np.zeros(20)


@pytest.mark.parametrize("values", [PERCENT, CLASSES, FEW_VOIDS], ids=["percent", "classes", "voids"])
def test_what_is_judged_by_all_values_is_judged_over_all_strips(tmp_path, thin, values):
    path = write_cog(tmp_path / "ndsi.tif", values.astype(np.float32), grid(values.shape), nodata=None)

    def said(work):
        try:
            return work()
        except DataError as error:
            return error.message, error.hint

    whole = said(lambda: read_quantity(path, "index").notes)
    thin(7)
    reader = Reader(path, "index")
    for part in row_strips(values.shape):
        reader.read(part)
    assert said(reader.notes) == whole
    assert whole


def test_floats_that_are_shares_are_known_from_all_of_the_file(tmp_path, thin):
    """Of a band whose scale was left in its tags the first strip is empty."""
    values = np.where(np.arange(90)[:, None] < 30, np.nan, 0.5) + np.zeros(20)
    path = write_cog(
        tmp_path / "green.tif", values.astype(np.float32), grid(values.shape), scales=[1e-4], offsets=[0.0]
    )
    whole = read_quantity(path, "reflectance")
    thin(7)
    reader = Reader(path, "reflectance")
    parts = [reader.read(part).values for part in row_strips(values.shape)]
    np.testing.assert_array_equal(np.concatenate(parts), whole.values)
    assert reader.notes() == whole.notes
    assert np.nanmax(whole.values) == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", [bands, index])
def test_memory_does_not_grow_with_the_rows(tmp_path, make_run, thin, kind, monkeypatch):
    thin(64)
    monkeypatch.setattr(sampling, "SAMPLE", 1000)
    peaks = []
    for number, rows in enumerate((512, 512, 4096)):  # the first one brings in what is imported
        at = tmp_path / str(number)
        at.mkdir()
        scenes = [kind(at, day, shape=(rows, 64), seed=seed) for seed, day in enumerate(DAYS)]
        tracemalloc.start()
        prepare(at, make_run, scenes, align="none")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 2 * peaks[1]  # two threads may peak together, or not; it was 3.9 times
