"""Baselines against plain numpy and lstsq, scores against plain means."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import numpy as np
import pytest

from icectl.errors import DataError
from icectl.intervals import gain_interval, mean_interval
from icectl.raster import write_cog
from icectl.splits import TRAIN, WindowGrid, make_split
from icectl.tasks.snow.baselines import NAMES, baselines, features, fit_linear
from icectl.tasks.snow.masks.moments import hindcasts, season
from icectl.tasks.snow.metrics import MEASURES, Scores, score, skill, thresholded, typical_snow

DAYS = [date(2013 + k // 4, 3 * (k % 4) + 1, 1) for k in range(40)]


def test_simple_baselines():
    past = np.random.default_rng(0).random((4, 3, 5), dtype="f4")
    found = baselines(past, DAYS[:4], DAYS[4:8], np.zeros((4, 10)))
    for lead in range(4):
        np.testing.assert_array_equal(found["last"][lead], past[3])
        np.testing.assert_array_equal(found["season"][lead], past[lead])
        np.testing.assert_allclose(found["climatology"][lead], past.mean(0), rtol=1e-6)
    assert list(found) == list(NAMES)


def test_features_are_values_flags_product_one():
    past = np.array([0.2, 0.5, 0.3, 0.9], "f4")[:, None]
    assert features(past)[:, 0] == pytest.approx([0.2, 0.5, 0.3, 0.9, 0, 1, 1, 1, 0, 1])


def test_linear_model_equals_lstsq_on_the_training_part_only(make_cube, tmp_path):
    rng = np.random.default_rng(1)
    values = np.where(rng.random((8, 96, 64)) < 0.5, 0, rng.random((8, 96, 64))).astype("f4")
    flags = rng.choice([1, 1, 1, 2], values.shape).astype("u1")
    split = make_split("blocks", WindowGrid(8, 96, 64, patch=12, stride=4), 0)
    found = fit_linear(make_cube(values, flags), split)
    pixels = split.grid.coverage(split.windows[:, :, 0] == TRAIN) > 0
    past = values[:4][:, pixels]
    x = np.vstack([past, past >= 0.3, (past >= 0.3).all(axis=0), np.ones(past.shape[1])]).T
    for lead in range(4):
        known = flags[4 + lead][pixels] == 1
        expected, *_ = np.linalg.lstsq(x[known], values[4 + lead][pixels][known], rcond=None)
        np.testing.assert_allclose(found[lead], expected, atol=2e-3)
    values[:, ~pixels] = 0.9  # whatever lies outside the training part changes nothing
    again = fit_linear(make_cube(values, flags, folder=tmp_path / "again"), split)
    np.testing.assert_allclose(again, found, rtol=1e-9)


def test_a_lead_without_one_observed_frame_is_fitted_on_filled_ones(make_cube, tmp_path):
    values = np.random.default_rng(1).random((8, 96, 64), dtype="f4")
    flags = np.ones(values.shape, "u1")
    flags[5] = 2
    split = make_split("blocks", WindowGrid(8, 96, 64, patch=12, stride=4), 0)
    found = fit_linear(make_cube(values, flags), split)
    as_if_observed = fit_linear(make_cube(values, folder=tmp_path / "all"), split)
    np.testing.assert_allclose(found, as_if_observed, rtol=1e-6)
    flags[4:] = 0
    with pytest.raises(DataError, match="no training pixel has a value"):
        fit_linear(make_cube(values, flags, folder=tmp_path / "none"), split)


def test_scores_are_plain_weighted_means():
    rng = np.random.default_rng(2)
    truth, forecast = rng.random((2, 30, 20), dtype="f4"), rng.random((2, 30, 20), dtype="f4")
    weight = rng.choice([0, 1, 3], truth.shape).astype("f4")
    scores = Scores(7, (30, 20), 2)
    for top in range(0, 30, 11):
        rows = slice(top, top + 11)
        scores.add(top, truth[:, rows], weight[:, rows], {"m": forecast[:, rows]})
    error, cut = forecast - truth, np.where(forecast < 0.3, 0, forecast) - truth
    brier = np.clip(forecast / 0.6, 0, 1) - (truth >= 0.3)
    errors = (error**2, abs(error), cut**2, abs(cut), brier**2)
    expected = [np.average(e, weights=weight) for e in errors]
    assert [scores.overall("m")[m] for m in MEASURES] == pytest.approx(expected, rel=1e-5)
    leads = [np.average(error[k] ** 2, weights=weight[k]) for k in range(2)]
    assert scores.per_lead("m", "mse") == pytest.approx(leads, rel=1e-5)
    tiles = [(slice(r, r + 7), slice(c, c + 7)) for r in range(0, 30, 7) for c in range(0, 20, 7)]
    expected = [[(weight * error**2)[:, r, c].sum(), weight[:, r, c].sum()] for r, c in tiles]
    np.testing.assert_allclose(scores.by_tile("m", "mse"), expected, rtol=1e-5)


def test_bootstrap_interval_holds_the_score_and_narrows_with_more_tiles():
    rng = np.random.default_rng(3)
    widths = []
    for side in (40, 160):
        scores = Scores(8, (side, side), 1)
        truth = rng.random((1, side, side), dtype="f4")
        scores.add(0, truth, np.ones_like(truth), {"m": truth + rng.normal(0, 0.1, truth.shape).astype("f4")})
        low, high = mean_interval(scores.by_tile("m", "mse"), draws=500)
        assert low < scores.overall("m")["mse"] < high
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]
    assert mean_interval(scores.by_tile("m", "mse"), draws=0) is None


def test_the_interval_is_one_of_95_per_cent():
    """Of independent tiles the bootstrap's interval is that of the mean: ± 1.96 standard errors."""
    rng = np.random.default_rng(5)
    scores = Scores(4, (160, 160), 1)
    truth = np.zeros((1, 160, 160), "f4")
    tiles = rng.uniform(0.1, 0.3, (40, 40)).astype("f4")
    scores.add(0, truth, np.ones_like(truth), {"m": truth + np.kron(tiles, np.ones((4, 4), "f4"))})
    low, high = mean_interval(scores.by_tile("m", "mse"), draws=4000)
    of_tiles = tiles.astype("f8") ** 2
    half = 1.96 * of_tiles.std() / np.sqrt(tiles.size)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)
    assert (high + low) / 2 == pytest.approx(of_tiles.mean(), rel=0.01)


def test_reliability_counts_snow_among_what_was_forecast_at_a_chance():
    scores = Scores(8, (1, 150), 1, typical=0.5)
    forecast = np.repeat(np.array([0.1, 0.4, 0.6], "f4"), 50)[None, None]  # chances 0.2, 0.8 and 1
    truth = np.zeros((1, 1, 150), "f4")
    truth[0, 0, :10], truth[0, 0, 50:90], truth[0, 0, 100:145] = 0.7, 0.7, 0.7  # 10, 40 and 45 of 50
    scores.add(0, truth, np.ones_like(truth), {"m": forecast})
    assert np.flatnonzero(scores.bins["m"][0]).tolist() == [2, 8, 9]
    weight, chances, snow = scores.bins["m"][:, scores.bins["m"][0] > 0]
    assert (chances / weight).tolist() == pytest.approx([0.2, 0.8, 1.0], abs=1e-6)
    assert (snow / weight).tolist() == pytest.approx([0.2, 0.8, 0.9])


def test_scores_by_season_and_year():
    scores = Scores(8, (8, 8), 2)
    for year, error in ((2015, 0.1), (2016, 0.3)):
        truth = np.full((2, 8, 8), 0.5, "f4")
        wrong = truth + np.array([error, 2 * error], "f4")[:, None, None]
        scores.add(0, truth, np.ones_like(truth), {"m": wrong}, [date(year, 1, 1), date(year, 7, 1)])
    assert scores.grouped("m", season) == pytest.approx(
        {"December to February": (0.01 + 0.09) / 2, "June to August": (0.04 + 0.36) / 2}, rel=1e-5
    )
    assert scores.grouped("m", lambda day: str(day.year)) == pytest.approx(
        {"2015": 0.025, "2016": 0.225}, rel=1e-5
    )


def test_interval_of_the_gain_shares_the_tiles():
    rng = np.random.default_rng(4)
    scores = Scores(8, (40, 40), 1)
    truth, error = np.full((1, 40, 40), 0.5, "f4"), rng.normal(0, 0.1, (1, 40, 40)).astype("f4")
    scores.add(0, truth, np.ones_like(truth), {"m": truth + error * 0.9**0.5, "bar": truth + error})
    own, other = scores.by_tile("m", "mse"), scores.by_tile("bar", "mse")
    assert gain_interval(own, other, draws=200) == pytest.approx([10, 10], abs=0.01)
    assert gain_interval(own, other, draws=0) is None


def test_hindcasts_and_baselines_are_scored_where_they_count(make_cube, make_run, tmp_path):
    """Two moments of two strips, with gaps in truth and forecast, against plain means over the files."""
    from icectl_unet import plugin

    rng = np.random.default_rng(6)
    values = np.where(rng.random((9, 150, 12)) < 0.3, 0, rng.random((9, 150, 12))).astype("f4")
    flags = rng.choice([1, 1, 2, 4], values.shape).astype("u1")
    values[7, 130:, :5], flags[7, 130:, :5] = np.nan, 0
    cube, folder = make_cube(values, flags), tmp_path / "predict"
    folder.mkdir()
    run, moments = make_run(plugin, "evaluate"), hindcasts(cube.times, 4, 4, [0, 1])
    made, weight = rng.random((2, 4, 150, 12), dtype="f4"), rng.choice([0, 1, 2], (2, 150, 12)).astype("f4")
    made[0, 2, 10], weight[1, 128:] = np.nan, 0
    write_cog(folder / f"{moments[0].stem}.tif", made[0], cube.grid)
    with pytest.raises(DataError, match="is missing"):
        score(run, cube, moments, weight.__getitem__, np.zeros((4, 10)), 16, False)
    write_cog(folder / f"{moments[1].stem}.tif", made[1], cube.grid)
    truth, of = (np.stack([cubes[4:8], cubes[5:9]]) for cubes in (values, flags))
    last = np.stack([values[3:4], values[4:5]])
    for filled, counted in ((False, of == 1), (True, of > 0)):
        found = score(run, cube, moments, weight.__getitem__, np.zeros((4, 10)), 16, filled)
        for scores, where in zip(found, (counted, of == 4), strict=True):
            where = where & np.isfinite(truth) & np.isfinite(made)
            share = (weight[:, None] * where)[where]
            for name, forecast in (("unet", made), ("last", last), ("linear", np.zeros(1))):
                errors = ((forecast - truth) ** 2)[where]
                assert scores.overall(name)["mse"] == pytest.approx(
                    np.average(errors, weights=share), rel=1e-5
                )
            assert scores.weight.sum() == share.sum()
            snow = values[:4][values[:4] >= 0.3]
            assert scores.typical == pytest.approx(snow.mean(), rel=1e-6)
        assert sorted(found[0].days) == list(cube.times[4:9])
    bare = SimpleNamespace(read=lambda _, frames: values[frames] * 0)
    assert typical_snow(bare, moments[0]) == 0.6


def test_what_is_not_counted_gives_no_number():
    scores = Scores(8, (8, 8), 2)
    truth = np.zeros((2, 8, 8), "f4")
    weight = np.zeros_like(truth)
    weight[0] = 1
    scores.add(0, truth, weight, {"m": truth + 1})
    assert scores.per_lead("m", "mae") == [1.0, None]
    assert not scores.empty
    assert Scores(8, (8, 8), 2).empty


def test_threshold_and_skill():
    assert thresholded(np.array([0.29, 0.3], "f4")).tolist() == [0, pytest.approx(0.3)]
    assert skill(0.01, 0.04) == 0.75
    assert skill(0.01, 0.0) is None
