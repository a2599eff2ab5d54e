"""The five verbs on a moving texture: counts, truth of the velocity, Table 1, files that open."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import xarray as xr

from icectl.contract import Metrics
from icectl.errors import DataError, UsageError
from icectl.report.panels import unpack
from icectl.sources.catalogue import read_catalogue, write_catalogue
from icectl.tasks.flow.chips.windows import Scaling, Windows, turn
from icectl.tasks.flow.dataset import open_dataset
from icectl.tasks.flow.model import FlowPorts
from icectl.tasks.flow.predict import FUTURES, predict_chips
from icectl.tasks.flow.prepare import prepare, smallest_type
from icectl.tasks.flow.split import TEST, TRAIN, check_past, split

from .conftest import CLOUDY, DAYS, OPTIONS, RESOLUTION, SPEED, make_run, moving, write_scenes


def test_sequences_are_chips_times_bands_along_the_ice(stages):
    data = open_dataset(stages["prepare"])
    position, frames = data.array("position"), moving()
    assert data.chip.shape[1:] == (len(DAYS), 32, 32)
    assert data.chip.shape[0] == 2 * len(np.unique(data.array("sequence_chip")))
    assert data.chip.dtype == np.uint16
    assert data.bands == ["red", "nir08"]
    for sequence in (0, data.chip.shape[0] - 1):
        band = data.array("sequence_band")[sequence]
        for t in (0, 2, 6):
            y, x = position[sequence, t]
            np.testing.assert_array_equal(data.chip[sequence, t], frames[t, band, y : y + 32, x : x + 32])


def test_chips_follow_the_ice_across_the_clouded_frame(stages):
    data = open_dataset(stages["prepare"])
    moved = np.median(data.array("position")[:, -1] - data.array("position")[:, 0], axis=0)
    np.testing.assert_allclose(moved, np.array(SPEED) * DAYS[-1], atol=1.0)
    trusted = data.array("trusted").mean(axis=0)
    assert trusted[CLOUDY] < 0.1
    assert trusted[[1, 2, 4, 5, 6]].min() > 0.9


def test_guessed_clouds_lie_on_the_clouded_frame(stages):
    share = open_dataset(stages["prepare"]).array("cloud_share").mean(axis=0)
    assert share[CLOUDY] > 0.5
    assert np.delete(share, CLOUDY).max() < 0.2


def test_velocity_is_true_within_a_twentieth(stages):
    with xr.open_dataset(stages["predict"] / "velocity.nc", engine="h5netcdf") as data:
        vx, vy, error = data["vx"].values, data["vy"].values, data["v_error"].values
        assert data.attrs["Conventions"] == "CF-1.8"
        assert data["vx"].attrs["standard_name"] == "land_ice_surface_x_velocity"
        assert data["vy"].attrs["standard_name"] == "land_ice_surface_y_velocity"
        assert data["v"].attrs["units"] == "meter/year"
        assert data["vx"].attrs["grid_mapping"] == "mapping"
        assert "utm" in data["mapping"].attrs["crs_wkt"].lower()
        y = data["y"].values
    truth = SPEED[1] * 365 * RESOLUTION, -SPEED[0] * 365 * RESOLUTION  # y up: rows grow downwards
    assert np.nanmedian(vx) == pytest.approx(truth[0], rel=0.05)
    assert np.nanmedian(vy) == pytest.approx(truth[1], rel=0.05)
    assert (y[1:] < y[:-1]).all()
    assert np.isfinite(vx).mean() > 0.5
    assert (error[np.isfinite(vx)] > 0).all()


def test_rasters_and_netcdf_share_one_grid(stages):
    with (
        rasterio.open(stages["predict"] / "vx.tif") as file,
        xr.open_dataset(stages["predict"] / "velocity.nc", engine="h5netcdf") as data,
    ):
        x, y = file.xy(0, 0)
        assert x == pytest.approx(float(data["x"][0]))
        assert y == pytest.approx(float(data["y"][0]))
        np.testing.assert_allclose(file.read(1), data["vx"].values, rtol=1e-6)
        assert file.crs.to_epsg() == 32633
    assert x == pytest.approx(500_000 + 16.5 * RESOLUTION)  # the pixel that the first cell is centred on
    assert y == pytest.approx(8_000_000 - 16.5 * RESOLUTION)


def test_forecast_has_a_picture_for_each_frame_to_come(stages):
    for ahead in (1, 2):
        with rasterio.open(stages["predict"] / f"forecast_{ahead}.tif") as file:
            assert file.count == 2
            values = file.read(masked=True)
        assert 500 < float(values.mean()) < 1500


def test_bands_that_the_network_did_not_learn_are_named(stages, model, tmp_path):
    (tmp_path / "fetch").mkdir()
    write_scenes(tmp_path / "fetch", moving(), names=("red", "hh"))
    inputs = {"fetch": tmp_path / "fetch", "train": stages["train"], "prepare": tmp_path / "prepare"}
    for verb in ("prepare", "predict"):
        run = make_run(verb, tmp_path / verb, inputs, OPTIONS)
        getattr(model, verb)(run, run.options[verb])
    assert any("learnt from the bands red, nir08, not from hh" in said for said in run.notes["warnings"])


def test_table_has_model_baselines_marks_and_the_paper(stages):
    metrics = stages["metrics"]
    assert isinstance(metrics, Metrics)
    first = metrics.tables[0]
    kinds = {
        kind: [r.name for r in first.rows if r.kind == kind]
        for kind in ("model", "baseline", "mark", "published")
    }
    assert [len(kinds[k]) for k in ("model", "baseline", "mark", "published")] == [1, 7, 2, 3]
    paper = {r.name: r.values for r in first.rows if r.kind == "published"}
    assert paper["Machine learning (published)"] == {
        "mean": 0.362,
        "low": 0.393,
        "medium": 0.557,
        "high": 0.0504,
    }
    for row in first.rows:
        if row.kind != "published":
            assert sum(row.values[k] for k in ("low", "medium", "high")) == pytest.approx(1)
    titles = [t.title for t in metrics.tables]
    assert any("cloudy" in t for t in titles)
    assert any("clear" in t for t in titles)
    best = next(r for r in first.rows if "Best past" in r.name)
    assert best.values["mean"] >= next(r for r in first.rows if "Persistence" in r.name).values["mean"]


def test_intervals_hold_the_means_they_belong_to(stages):
    first, details = stages["metrics"].tables[0], stages["metrics"].details
    measured = [row for row in first.rows if row.kind != "published"]
    for row in measured:
        low, high = details["intervals"][first.title][row.name]["mean"]
        assert low <= row.values["mean"] <= high
    low, high = details["gain"]
    assert low <= 100 * (measured[0].values["mean"] / first.bar().values["mean"] - 1) <= high


def test_panels_are_understood_by_the_report(stages):
    packed = stages["metrics"].details["panels"]
    kinds = [unpack(p).kind for p in packed]
    assert kinds.count("map") == 4
    assert kinds.count("samples") == 2
    json.dumps(stages["metrics"].details)
    for name in ("persistence", "high_pass", "model"):
        with rasterio.open(stages["evaluate"] / f"correlation_{name}.tif") as file:
            values = file.read(1, masked=True)
            assert -1 <= values.min() <= values.max() <= 1


def test_training_and_test_share_no_pixel(stages):
    data = open_dataset(stages["prepare"])
    for side in ("east", "west"):
        options = make_run(
            "train", stages["train"], options={"train": {**OPTIONS["train"], "test_side": side}}
        )
        parts = split(data, options.options["train"])
        position = data.array("position")
        train, test = position[parts.of == TRAIN, :, 1], position[parts.of == TEST, :, 1]
        if side == "east":
            assert train.max() + 32 <= test.min()
        else:
            assert test.max() + 32 <= train.min()
        assert parts.shared == 0


def test_windows_give_past_and_two_more(stages):
    data = open_dataset(stages["prepare"])
    options = make_run("train", stages["train"], options=OPTIONS).options["train"]
    windows = Windows(data, np.arange(6), [(k, 3) for k in range(3)], options.normalise)
    assert check_past(data, 3) == 3
    assert len(windows) == 6 * 3
    sample = windows[1]
    assert sample["frames"].shape == (5, 1, 32, 32)
    np.testing.assert_allclose(sample["days"], np.array(DAYS[1:6]) - DAYS[1])
    np.testing.assert_allclose(sample["frames"].mean(axis=(2, 3)), 0, atol=1e-4)
    turned = turn(sample, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(turned["frames"].ravel()), np.sort(sample["frames"].ravel()))


@pytest.mark.parametrize("kind", ["chip", "scene"])
def test_scaling_can_be_undone(kind):
    rng = np.random.default_rng(0)
    chips = rng.uniform(100, 900, (4, 3, 8, 8)).astype(np.float32)
    scale = Scaling(kind, np.array([100.0, 0]), np.array([900.0, 1000]))
    band = np.array([0, 1, 0, 1])
    scaled = scale(chips, band)
    back = scale.undo(scaled[:, -1:], chips[:, -1], band)
    np.testing.assert_allclose(back[:, 0], chips[:, -1], rtol=1e-3)


def test_iceNet_has_10_675_sequences(tmp_path):
    """Seven bands × 1,525 chips, counted on a tiny scene."""
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 1000, (1, 7, 96, 96)), 12, axis=0).astype(np.float32)
    frames += rng.integers(0, 3, frames.shape)
    write_scenes(tmp_path, frames, tuple(range(0, 192, 16)), names=tuple(f"b{i}" for i in range(7)))
    options = {"prepare": {"chip": 16, "chips": 1525}}
    run = make_run("prepare", tmp_path / "out", {"fetch": tmp_path}, options)
    prepare(run, run.options["prepare"])
    assert open_dataset(tmp_path / "out").chip.shape == (10_675, 12, 16, 16)


def test_smallest_type_is_exact():
    assert smallest_type(np.array([0, 255], np.float32)) is np.uint8
    assert smallest_type(np.array([0, 256], np.float32)) is np.uint16
    assert smallest_type(np.array([0, 0.5], np.float32)) is np.float32
    assert smallest_type(np.array([-1, 5], np.float32)) is np.float32


def test_more_past_frames_than_there_are(stages, model, tmp_path):
    options = {**OPTIONS, "train": {**OPTIONS["train"], "past": 6}}
    run = make_run("train", tmp_path, {"prepare": stages["prepare"]}, options)
    with pytest.raises(DataError, match=r"--past 6 needs 8 frames, but only 7") as error:
        model.train(run, run.options["train"])
    assert error.value.hint == "use --past 5 or less, or give more frames"


@pytest.mark.parametrize(
    ("frames", "said"), [(3, "use --past 1 or less"), (2, "use --no-forecast with `icectl predict`")]
)
def test_two_frames_are_not_told_to_take_one_past_frame(frames, said):
    """One past frame and two more are three."""
    with pytest.raises(DataError, match=rf"--past 4 needs 6 frames, but only {frames} are") as error:
        check_past(SimpleNamespace(times=frames), 4)
    assert error.value.hint == f"{said}, or give more frames"


def test_chip_of_no_power_of_two(model):
    with pytest.raises(UsageError, match="power of two"):
        model.network(FlowPorts(size=48, past=3), make_run.__globals__["plugin"].stages["train"]())


def test_folder_without_dataset(model, tmp_path):
    run = make_run("train", tmp_path / "t", {"prepare": tmp_path}, OPTIONS)
    with pytest.raises(DataError, match=r"holds no dataset\.zarr"):
        model.train(run, run.options["train"])


def test_bands_must_agree(tmp_path):
    scenes = write_scenes(tmp_path, moving()[:3, :1, :64, :64], DAYS[:3])
    more = write_scenes(tmp_path, moving()[3:4, :, :64, :64], DAYS[3:4])
    write_catalogue(tmp_path, [*scenes, *more])
    run = make_run("prepare", tmp_path / "out", {"fetch": tmp_path}, OPTIONS)
    with pytest.raises(DataError, match="has red, nir08"):
        prepare(run, run.options["prepare"])


def test_catalogue_is_read_back(stages):
    assert len(read_catalogue(stages["fetch"])) == len(DAYS)


def test_futures_are_drawn_for_the_report_though_the_priors_mean_is_scored(stages, model, tmp_path):
    inputs = {verb: stages[verb] for verb in ("fetch", "prepare", "train")}
    run = make_run("predict", tmp_path, inputs, {**OPTIONS, "predict": {"samples": 1}})
    generate, facts = model.answering(run)
    sequences = open_dataset(stages["prepare"])
    predict_chips(run, sequences, generate, model.trained_options(run, facts), run.options["predict"])
    made = xr.open_zarr(tmp_path / "predictions.zarr", consolidated=False, chunks=None)
    assert made.sizes["sample"] == FUTURES
    shown, opens = made["shown_sequence"].values, made["shown_window"].values
    assert (opens.min(), opens.max()) == (0, made.sizes["window"] - 1)
    chips = made["chip"].sel(sequence=made["shown_sequence"]).values[opens, np.arange(len(shown))]
    futures = made["future"].values
    assert (futures[:, 0] != futures[:, 1]).any()
    spread = np.abs(futures - chips[:, None]).mean()
    assert len(shown) == len(futures)
    assert spread < 0.2 * chips.std()  # of their own windows, and near the mean that is scored


def test_futures_that_are_scored_are_those_shown(stages):
    made = xr.open_zarr(stages["predict"] / "predictions.zarr", consolidated=False, chunks=None)
    chips = made["chip"].sel(sequence=made["shown_sequence"]).values
    kept = chips[made["shown_window"].values, np.arange(chips.shape[1])]
    np.testing.assert_allclose(made["future"].values.mean(axis=1), kept, rtol=1e-5)
