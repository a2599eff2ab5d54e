"""The chain from a cube to scores with tiny networks, and what users get wrong."""

from __future__ import annotations

import shutil
from importlib import import_module

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr

from icectl.errors import DataError
from icectl.raster import write_cog
from icectl.raster.chunks import gather
from icectl.tasks.snow.baselines import NAMES
from icectl.tasks.snow.dataset import open_dataset
from icectl.training import load_weights

TINY = {
    "patch": 16,
    "stride": 8,
    "updates": 6,
    "epochs": 3,
    "batch_size": 4,
    "validate_every": 3,
    "bootstrap": 50,
}
SMALL = {
    "unet": {"widths": (4, 8)},
    "convlstm": {"encoder": (4,), "decoder": (4,)},
    "lstm": {"hidden": 8},
    "salstm": {"hidden": 8},
}
PLUGINS = {name: import_module(f"icectl_{name}").plugin for name in SMALL}


def model_of(plugin):
    module, kind = plugin.model.split(":")
    return getattr(import_module(module), kind)()


def season_cube(frames, rows, cols, seed=0):
    rng = np.random.default_rng(seed)
    height = np.linspace(0, 1, rows)[:, None] + 0.1 * rng.standard_normal((rows, cols))
    lines = [(0.1, 0.3, 0.8, 0.5)[k % 4] + 0.05 * rng.standard_normal() for k in range(frames)]
    return (
        np.stack([np.where(height > line, 0.4 + 0.2 * height, 0) for line in lines]).clip(0, 1).astype("f4")
    )


@pytest.fixture
def trained(make_cube, make_run):
    """Return ``trained(name, values, **options)``: a model trained on a cube, with a maker of later runs."""

    def work(name, values, flags=None, **options):
        plugin = PLUGINS[name]
        given = {**TINY, **SMALL[name], **options}
        make_cube(values, flags)
        model = model_of(plugin)
        run = make_run(plugin, "train", given)
        model.train(run, run.options["train"])

        def later(verb, **more):
            again = make_run(plugin, verb, {**given, **more})
            return again, getattr(model, verb)(again, again.options[verb])

        return model, run, later

    return work


@pytest.mark.parametrize("name", SMALL)
def test_train_predict_evaluate(trained, name):
    _, run, later = trained(name, season_cube(8, 96, 80))
    assert run.notes["audit"]["shared with training"] == 0
    predicted, _ = later("predict")
    names = sorted(p.name for p in predicted.out.glob("*[0-9].tif"))
    assert names == ["forecast_2015-01-01.tif", "hindcast_2014-01-01.tif"]
    with rasterio.open(predicted.out / names[1]) as stack:
        assert (stack.count, stack.crs.to_epsg(), stack.transform.c) == (4, 32643, 700_005)
        assert stack.descriptions[2] == "2014-07-01 (lead 3)"
        forecast = stack.read()
    assert forecast.min() >= 0
    assert np.isfinite(forecast).all()
    _, metrics = later("evaluate")
    table = metrics.tables[0]
    assert [row.kind for row in table.rows].count("baseline") == 4
    rows = {row.name: row.values for row in table.rows}
    assert rows[name]["mse"] > 0
    for key, label in NAMES.items():
        expected = 1 - rows[name]["mse"] / rows[label]["mse"]
        assert rows[name][f"skill_{key}"] == pytest.approx(expected)
    assert rows["MA-LSTM-H (published)"] == {"mse": 0.047, "mae": 0.136}
    assert metrics.details["audit"]["share seen in training"] == 0
    assert metrics.details["panels"][0]["kind"] == "time-maps"
    low, high = metrics.details["gain"]
    assert low <= 100 * (1 - rows[name]["mse"] / table.bar().values["mse"]) <= high


def test_scores_are_those_of_the_files_at_guarded_test_pixels(trained):
    """The table's MSE is the plain mean over the scored pixels, computed from the files alone."""
    from icectl.tasks.snow.split import split

    values = season_cube(8, 96, 80)
    _, run, later = trained("unet", values)
    predicted, _ = later("predict")
    _, metrics = later("evaluate")
    scored = split(open_dataset(run.inputs["prepare"]), run.options["train"], 0).scored
    with rasterio.open(predicted.out / "hindcast_2014-01-01.tif") as stack:
        error = stack.read() - values[4:]
    expected = float((error[:, scored].astype("f8") ** 2).mean())
    assert metrics.tables[0].rows[0].values["mse"] == pytest.approx(expected, rel=1e-4)
    last = values[3] - values[4:]
    row = next(r for r in metrics.tables[0].rows if r.name == NAMES["last"])
    assert row.values["mse"] == pytest.approx(float((last[:, scored] ** 2).mean()), rel=1e-4)


@pytest.mark.parametrize("frames", [8, 20])
def test_a_training_that_does_not_validate_learns_from_all_but_the_test(trained, frames):
    """It keeps its last weights. The linear model beside it is fitted on that ground, whatever validates."""
    fits = []
    for every in (3, 0):
        _, run, later = trained("unet", season_cube(frames, 96, 80), validate_every=every)
        _, facts = load_weights(run.out / "weights.safetensors")
        fits.append((facts["linear"], facts["rival"]))
        audit = run.notes["audit"]
        assert (audit["validation windows"] > 0) == (every > 0)
        assert audit["shared with training"] == 0
        assert facts["training"]["step"] == (6 if not every else facts["training"]["step"])
        later("predict")
        _, metrics = later("evaluate")
        assert metrics.details["audit"] == audit
        for verb in ("prepare", "train", "predict", "evaluate"):
            shutil.rmtree(run.out.parent / verb)
    (part, rival), (whole, same) = fits
    assert rival == same == whole
    assert part != whole


def test_the_tile_changes_nothing(trained, monkeypatch):
    _, _, later = trained("unet", season_cube(8, 96, 80))
    found = []
    for tile in (16, 40, 512):
        monkeypatch.setattr("icectl.tasks.snow.predict.TILE", tile)
        run, _ = later("predict", moments="last")
        with rasterio.open(run.out / "forecast_2015-01-01.tif") as stack:
            found.append(stack.read())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_the_stack_is_a_cf_store_too(trained):
    _, _, later = trained("unet", season_cube(8, 96, 80))
    run, _ = later("predict", moments="last")
    with rasterio.open(run.out / "forecast_2015-01-01.tif") as stack:
        values, tags = stack.read(), stack.tags()
    assert tags["title"].startswith("Forecast of snow masks, ")
    assert len(tags["past"].split()) == 4
    gather(run.out)
    with xr.open_zarr(run.out / "forecast_2015-01-01.zarr") as store:  # a warning would be an error here
        np.testing.assert_array_equal(store["snow"].values, values)
        assert str(store["time"].values[3])[:10] == "2015-10-01"


def test_four_frames_are_enough_to_predict_and_not_to_evaluate(trained, make_cube, make_run, tmp_path):
    model, run, _ = trained("unet", season_cube(8, 96, 80))
    make_cube(season_cube(4, 40, 33), folder=tmp_path / "other" / "prepare")
    inputs = {"train": run.out, "prepare": tmp_path / "other" / "prepare"}
    there = make_run(PLUGINS["unet"], "predict", root=tmp_path / "other").at(inputs=inputs)
    model.predict(there, there.options["predict"])
    with rasterio.open(there.out / "forecast_2014-01-01.tif") as stack:
        assert stack.shape == (40, 33)
    asked = make_run(PLUGINS["unet"], "evaluate", root=tmp_path / "other")
    asked = asked.at(inputs={**inputs, "predict": there.out})
    with pytest.raises(DataError, match="no truth"):
        model.evaluate(asked, asked.options["evaluate"])
    make_cube(season_cube(3, 40, 33), folder=tmp_path / "three" / "prepare")
    with pytest.raises(DataError, match="4 past frames are needed"):
        model.predict(
            there.at(inputs={**inputs, "prepare": tmp_path / "three" / "prepare"}), there.options["predict"]
        )


def test_another_series_of_the_same_place_is_called_so(trained, make_cube, make_run, tmp_path):
    model, run, _ = trained("unet", season_cube(8, 96, 80))
    make_cube(season_cube(9, 96, 80, seed=5), folder=tmp_path / "other" / "prepare")
    inputs = {"train": run.out, "prepare": tmp_path / "other" / "prepare"}
    there = make_run(PLUGINS["unet"], "predict", root=tmp_path / "other").at(inputs=inputs)
    model.predict(there, there.options["predict"])
    asked = make_run(PLUGINS["unet"], "evaluate", {"bootstrap": 0}, root=tmp_path / "other")
    metrics = model.evaluate(asked.at(inputs={**inputs, "predict": there.out}), asked.options["evaluate"])
    assert any("overlaps the place of the training" in note for note in metrics.notes)


def test_missing_pixels_reach_neither_the_loss_nor_the_score(trained):
    """Garbage under pixels without a value, or with a filled one, changes no weight and no score."""
    values = season_cube(8, 96, 80)
    rng = np.random.default_rng(1)
    flags = np.where(rng.random(values.shape) < 0.1, 2, 1).astype("u1")
    flags[:4] = 1
    results = []
    for number in (0.0, 0.97):
        filled = np.where(flags == 2, np.float32(number), values)
        _, run, later = trained("unet", filled, flags)
        later("predict")
        _, metrics = later("evaluate")
        state, _ = load_weights(run.out / "weights.safetensors")
        results.append((state, metrics.tables[0].rows[0].values["mse"]))
        for verb in ("prepare", "train", "predict", "evaluate"):
            shutil.rmtree(run.out.parent / verb)
    for name, tensor in results[0][0].items():
        torch.testing.assert_close(tensor, results[1][0][name])
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-6)


def test_interpolated_pixels_are_scored_apart(trained):
    values = season_cube(8, 96, 80)
    flags = np.ones(values.shape, "u1")
    flags[6] = 4
    _, _, later = trained("unet", values, flags)
    later("predict")
    _, metrics = later("evaluate")
    titles = [table.title for table in metrics.tables]
    assert titles[-1] == "Interpolated pixels, apart"
    by_lead = next(t for t in metrics.tables if t.title == "MSE by lead time")
    assert by_lead.rows[0].values["lead_3"] is None
    assert by_lead.rows[0].values["lead_4"] is not None


def test_weights_of_another_network_are_refused(trained, make_run):
    trained("unet", season_cube(8, 96, 80))
    other = make_run(PLUGINS["convlstm"], "predict")
    with pytest.raises(Exception, match=r"unknown key|not allowed|Extra|extra|do not fit"):
        model_of(PLUGINS["convlstm"]).predict(other, other.options["predict"])


@pytest.mark.realdata
def test_the_real_folder_has_one_window_and_shares_no_pixel(shared_data, make_run, tmp_path):
    plugin = PLUGINS["convlstm"]
    model = model_of(plugin)
    given = {"cadence": "scenes"}
    for verb in ("fetch", "prepare"):
        run = make_run(plugin, verb, given, scenes=shared_data / "parvati")
        getattr(model, verb)(run, run.options[verb])
    cube = open_dataset(run.out)
    assert cube.shape == (8, 800, 400)
    assert [day.year for day in cube.times] == [2019] * 4 + [2021] * 4
    assert cube.complete
    from icectl.splits import WindowGrid, audit, make_split

    found = audit(make_split("blocks", WindowGrid(*cube.shape), 0))
    assert (found.shared, found.space_only) == (0, True)
    with rasterio.open(shared_data / "parvati" / "parvati_2021Q3.tif") as source:
        np.testing.assert_array_equal(cube.read(slice(None), slice(6, 7))[0], source.read(1))


def test_a_raster_that_is_no_index_is_refused(make_run, tmp_path):
    from affine import Affine
    from odc.geo.geobox import GeoBox

    folder = tmp_path / "mine"
    grid = GeoBox((20, 20), Affine(30, 0, 0, 0, -30, 0), "EPSG:32643")
    for day in ("20190101", "20190401"):
        write_cog(folder / f"{day}.tif", np.full((20, 20), 1200.0, "f4"), grid)
    plugin = PLUGINS["unet"]
    fetch = make_run(plugin, "fetch", scenes=folder)
    model_of(plugin).fetch(fetch, fetch.options["fetch"])
    run = make_run(plugin, "prepare")
    with pytest.raises(DataError, match="cannot be a share of one"):
        model_of(plugin).prepare(run, run.options["prepare"])
