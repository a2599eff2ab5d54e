"""The recipe from scenes to cube, with hand-made scenes whose result is known."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from importlib import import_module

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from icectl.errors import DataError
from icectl.raster import write_cog
from icectl.sources.catalogue import write_catalogue
from icectl.sources.scene import Band, Scene
from icectl.tasks.snow.dataset import open_dataset

PLUGIN = import_module("icectl_unet").plugin
LANDSAT = Band(scale=2.75e-5, offset=-0.2, nodata=0)
CLEAR, CLOUD = 1 << 6, 1 << 3


@pytest.fixture
def prepare(tmp_path, make_run):
    """Return ``prepare(scenes, **options)``: catalogues scenes (`turned`: last first) and makes the cube."""

    def work(scenes, turned=False, **options):
        from icectl_unet.network import UNetModel

        (tmp_path / "fetch").mkdir(exist_ok=True)
        write_catalogue(tmp_path / "fetch", scenes)
        if turned:
            file = tmp_path / "fetch" / "items.json"
            items = json.loads(file.read_text())
            items["features"].reverse()
            file.write_text(json.dumps(items))
        run = make_run(PLUGIN, "prepare", options)
        UNetModel().prepare(run, run.options["prepare"])
        return open_dataset(run.out), run

    return work


@pytest.fixture
def scene(tmp_path):
    """Return ``scene(day, green, swir, qa)``: writes a Landsat-like scene of reflectances."""

    def write(day, green, swir, qa=None, shape=(20, 16), origin=700_005):
        grid = GeoBox(shape, Affine(30, 0, origin, 0, -30, 3_500_025), "EPSG:32643")
        layers = {"green": green, "swir16": swir}
        paths = {}
        for name, value in layers.items():
            numbers = np.round((np.broadcast_to(value, shape) + 0.2) / 2.75e-5)
            numbers = np.where(np.isnan(np.broadcast_to(value, shape)), 0, numbers).astype("u2")
            paths[name] = write_cog(tmp_path / f"{day}-{origin}-{name}.tif", numbers, grid, nodata=0)
        bits = np.broadcast_to(CLEAR if qa is None else qa, shape).astype("u2")
        paths["qa_pixel"] = write_cog(tmp_path / f"{day}-{origin}-qa.tif", bits, grid)
        when = datetime.fromisoformat(day).replace(tzinfo=UTC)
        return Scene(f"s-{day}-{origin}", when, paths, {}, {"green": LANDSAT, "swir16": LANDSAT})

    return write


def ndsi(green, swir):
    return (green - swir) / (green + swir)


def test_means_of_a_quarter_are_true_means(prepare, scene):
    """Three scenes weigh the same, whatever their order, and the threshold comes after the mean."""
    pairs = [(0.6, 0.1), (0.4, 0.3), (0.3, 0.25)]
    scenes = [scene(f"2019-0{k + 1}-10", g, s) for k, (g, s) in enumerate(pairs)]
    cube, _ = prepare(scenes, align="none")
    mean = np.mean([ndsi(*pair) for pair in pairs])
    assert mean > 0.3
    np.testing.assert_allclose(cube.read(slice(None)), mean, atol=1e-3)


def test_threshold_before_the_mean_as_the_paper_words_it(prepare, scene):
    pairs = [(0.6, 0.1), (0.4, 0.3), (0.3, 0.25)]  # only the first is snow
    scenes = [scene(f"2019-0{k + 1}-10", g, s) for k, (g, s) in enumerate(pairs)]
    cube, _ = prepare(scenes, align="none", composite="mean-of-masks")
    assert ndsi(0.6, 0.1) / 3 < 0.3
    np.testing.assert_allclose(cube.read(slice(None)), 0, atol=1e-6)


def test_the_offset_is_applied_before_the_index(prepare, scene):
    cube, _ = prepare([scene("2019-01-10", 0.6, 0.1)], align="none")
    np.testing.assert_allclose(cube.read(slice(None)), ndsi(0.6, 0.1), atol=1e-3)  # 0.455 on raw numbers


def test_clouds_are_filled_from_neighbours_and_marked(prepare, scene):
    qa = np.full((20, 16), CLEAR)
    qa[5:8, 6:9] = CLOUD
    green = np.full((20, 16), 0.6)
    green[5:8, 6:9] = 0.9  # what the cloud shows
    cube, run = prepare([scene("2019-01-10", green, 0.1, qa)], align="none")
    np.testing.assert_allclose(cube.read(slice(None)), ndsi(0.6, 0.1), atol=1e-3)
    expected = np.where(qa == CLOUD, 2, 1)
    np.testing.assert_array_equal(cube.flags(slice(None))[0], expected)
    assert run.notes["dataset"]["share filled"] == pytest.approx(9 / 320, abs=1e-5)
    assert not cube.complete


def test_empty_quarters_inside_are_interpolated_and_at_the_ends_dropped(prepare, scene):
    scenes = [scene("2019-04-10", 0.5, 0.1), scene("2019-11-10", 0.5, 0.2), scene("2020-01-10", 0.5, 0.1)]
    cube, run = prepare(scenes, align="none", start="2018-01-01", end="2021-01-01")
    assert cube.times == (date(2019, 4, 1), date(2019, 7, 1), date(2019, 10, 1), date(2020, 1, 1))
    values = cube.read(slice(0, 1), cols=slice(0, 1))[:, 0, 0]
    assert values[1] == pytest.approx((values[0] + values[2]) / 2, abs=1e-5)
    assert set(np.unique(cube.flags(slice(None))[1])) == {4}
    assert run.notes["dataset"]["interpolated frames"] == ["2019-07-01"]


def test_a_scene_that_is_all_cloud_does_not_count(prepare, scene):
    scenes = [scene("2019-01-10", 0.5, 0.1), scene("2019-02-10", 0.9, 0.8, CLOUD)]
    cube, run = prepare(scenes, align="none")
    np.testing.assert_allclose(cube.read(slice(None)), ndsi(0.5, 0.1), atol=1e-3)
    assert any("no valid pixel" in text for text in run.notes["warnings"])


def test_scenes_of_one_day_become_one_frame(prepare, scene):
    scenes = [scene("2019-01-10", 0.5, 0.1), scene("2019-01-10", 0.5, 0.3, origin=700_065)]
    cube, _ = prepare(scenes, align="none", cadence="scenes")
    assert cube.shape == (1, 20, 14)  # only what both scenes cover
    np.testing.assert_allclose(cube.read(slice(None)), np.mean([ndsi(0.5, 0.1), ndsi(0.5, 0.3)]), atol=1e-3)


def test_a_quarter_that_is_all_cloud_is_interpolated(prepare, scene):
    scenes = [
        scene(day, 0.5, swir, qa)
        for day, swir, qa in (
            ("2019-01-10", 0.1, CLEAR),
            ("2019-05-10", 0.3, CLOUD),
            ("2019-08-10", 0.2, CLEAR),
        )
    ]
    cube, run = prepare(scenes, align="none")
    assert run.notes["dataset"]["interpolated frames"] == ["2019-04-01"]
    assert set(np.unique(cube.flags(slice(None))[1])) == {4}
    between = (ndsi(0.5, 0.1) + ndsi(0.5, 0.2)) / 2
    np.testing.assert_allclose(cube.read(slice(None))[1], between, atol=1e-3)


@pytest.mark.parametrize("cadence", ["scenes", "months"])
def test_dates_out_of_order_become_frames_in_order(prepare, scene, cadence):
    """A catalogue may list its scenes in any order."""
    swirs = {"2019-01-10": 0.1, "2019-05-10": 0.15, "2019-08-10": 0.2}
    scenes = [scene(day, 0.5, swirs[day]) for day in ("2019-05-10", "2019-08-10", "2019-01-10")]
    cube, _ = prepare(scenes, align="none", cadence=cadence, turned=True)
    assert list(cube.times) == sorted(cube.times)
    wanted = [ndsi(0.5, swir) for swir in swirs.values()]
    np.testing.assert_allclose(cube.read(slice(None))[:, 0, 0], wanted, atol=1e-3)


def test_alignment_takes_out_a_shift(prepare, scene):
    rng = np.random.default_rng(0)
    ground = 0.3 + 0.5 * ndimage.gaussian_filter(rng.random((64, 64)), 2).clip(0, 1)
    ground = (ground - ground.min()) / np.ptp(ground) * 0.5 + 0.2
    days = ["2019-01-10", "2019-01-20", "2019-02-03", "2019-02-15"]
    shifts = [(0, 0), (0, 0), (0, 0), (1.5, -2.0)]
    scenes = [
        scene(day, ndimage.shift(ground, shift, order=1, mode="nearest"), 0.1, shape=(64, 64))
        for day, shift in zip(days, shifts, strict=True)
    ]
    errors = {}
    for way in ("none", "translation"):
        cube, _ = prepare(scenes, align=way, cadence="scenes")
        frames = cube.read(slice(10, 54), cols=slice(10, 54))
        errors[way] = np.abs(frames[3] - frames[0]).mean()
        shutil.rmtree(cube.path)
    assert errors["translation"] < 0.3 * errors["none"]


def test_scenes_that_cannot_be_aligned_are_told_of_once(prepare, scene):
    rng = np.random.default_rng(0)
    ground = 0.2 + 0.5 * ndimage.gaussian_filter(rng.random((64, 64)), 3)
    flat = np.full((64, 64), 0.5)
    days = ["2019-01-10", "2019-01-20", "2019-02-03", "2019-02-15", "2019-03-03"]
    scenes = [
        scene(day, green, 0.1, shape=(64, 64))
        for day, green in zip(days, [ground, ground, ground, flat, flat], strict=True)
    ]
    _, run = prepare(scenes, align="translation", cadence="scenes")
    kept = run.notes["scenes kept unaligned"]
    assert list(kept) == [scenes[3].id, scenes[4].id]
    (said,) = run.notes["warnings"]
    assert (
        said == f"scene {scenes[3].id} is kept unaligned: {kept[scenes[3].id]} (and 1 more, see stage.json)"
    )
    assert run.notes["dataset"]["aligned"].startswith("3 of 5 scenes by translation; correlation ")


def test_what_cannot_be_prepared_is_said(prepare, scene):
    with pytest.raises(DataError, match="valid pixel"):
        prepare([scene("2019-01-10", 0.5, 0.1, CLOUD)])
    with pytest.raises(DataError, match="lies between"):
        prepare([scene("2019-01-10", 0.5, 0.1)], start="2020-01-01")
    with pytest.raises(DataError, match="no pixel in common"):
        prepare([scene("2019-01-10", 0.5, 0.1), scene("2019-02-10", 0.5, 0.1, origin=703_005)])
    with pytest.raises(DataError, match="differ"):
        prepare([scene("2019-01-10", 0.5, 0.1), scene("2019-02-10", 0.5, 0.1, origin=700_017)])
