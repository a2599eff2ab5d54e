"""The split in time, windows drawn at random, and the linear rival, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from icectl.errors import DataError
from icectl.tasks.flow.chips.linear import describe, features, fit, mixed
from icectl.tasks.flow.chips.windows import Drawn
from icectl.tasks.flow.dataset import open_dataset
from icectl.tasks.flow.metrics import correlation
from icectl.tasks.flow.split import TEST, TRAIN, VALIDATE, split

from .conftest import DAYS, OPTIONS

TIME = {**OPTIONS["train"], "split": "time", "test_share": 0.3, "valid_share": 0.15}


def options(**more):
    from icectl_svg import SVGTrain

    return SVGTrain.model_validate({**TIME, **more})


def test_a_date_is_a_target_in_one_part_only(stages):
    parts = split(open_dataset(stages["prepare"]), options())
    assert [parts.targets[p] for p in (TRAIN, VALIDATE, TEST)] == [(0, 1, 2, 3), (4,), (5, 6)]
    assert parts.tested == ((0, 4), (0, 5))  # first frame and past frames: t2 is frame 5 or 6
    assert parts.facts()["dates that are targets of two parts"] == 0
    assert "2020-03-13 to 2020-04-06" in parts.sentence()


def test_nothing_is_tested_with_a_share_of_nought_and_all_windows_are_there(stages):
    data = open_dataset(stages["prepare"])
    parts = split(data, options(test_share=0))
    assert parts.tested == ()
    assert len(parts.every) == 3
    ground = split(data, options(split="ground", test_share=0))
    assert not (ground.of == TEST).any()
    assert (ground.of == TRAIN).any()


def test_too_few_dates_for_a_split_in_time(stages):
    with pytest.raises(DataError, match="7 dates cannot be split in time: 2 would train, 4 would test"):
        split(open_dataset(stages["prepare"]), options(test_share=0.6))


def test_drawn_windows_hold_training_dates_alone_in_many_numbers_and_orders(stages):
    data = open_dataset(stages["prepare"])
    windows = Drawn(data, np.arange(3), (0, 1, 2, 3), 3, "chip")
    assert len(windows) == 3 * 4
    allowed = [f.tobytes() for f in windows.frames(0)[:4]]
    rng, counts, orders = np.random.default_rng(0), set(), set()
    for index in range(4):
        for _ in range(20):
            sample = windows.draw(windows[index], rng)
            assert sample["frames"].shape == (5, 1, 32, 32)
            seen = [allowed.index(f.tobytes()) for f in sample["frames"][:, 0]]
            assert seen[3] == seen[4] == index
            assert index not in seen[:3]
            there = ~np.isnan(sample["cloud"][:3])
            assert there.sum() == len(set(np.array(seen[:3])[there]))  # twice is once
            lags = sample["days"][-1] - sample["days"][:3]
            np.testing.assert_allclose(lags, np.abs(np.array(DAYS)[seen[:3]] - DAYS[index]), atol=1e-3)
            counts.add(int(there.sum()))
            orders.add(tuple(seen[:3]) == tuple(sorted(seen[:3])))
    assert counts == {2, 3}
    assert orders == {True, False}


def chips(n=60, dates=6, bad=(1, 3), seed=0):
    """Chips of one texture with noise each; those numbered `bad` show something else."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n, 1, 16, 16))
    made = 100 + 10 * base + 5 * rng.standard_normal((n, dates, 16, 16))
    made[:, list(bad)] = 100 + 10 * rng.standard_normal((n, len(bad), 16, 16))
    return made.astype(np.float32)


def test_a_mixture_correlates_as_its_picture_does():
    made = chips()
    told = describe(made, np.full(60, 50.0), np.zeros((60, 6)), np.arange(6.0))
    scores = np.random.default_rng(1).standard_normal((60, 4))
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    unit = (made - made.mean((-1, -2), keepdims=True)) / made.std((-1, -2), keepdims=True)
    picture = (weights[..., None, None] * unit[:, :4]).sum(1)
    expected = correlation(picture, made[:, 5])
    np.testing.assert_allclose(mixed(told, np.arange(4), 5, scores), expected, atol=1e-5)


def test_linear_weights_learn_to_leave_out_what_agrees_with_nothing():
    """Fitted where frames 2, 5 and 6 are strange, they help where frames 0, 4 and 7 are."""
    days, nothing = np.arange(10.0), np.zeros((60, 10))
    told = describe(chips(dates=10, bad=(2, 5, 6)), np.full(60, 50.0), nothing, days)
    weights = fit(told, tuple(range(9)))
    other = describe(chips(dates=10, bad=(0, 4, 7), seed=5), np.full(60, 50.0), nothing, days)
    seen = np.arange(9)
    mean = mixed(other, seen, 9, np.zeros((60, 9))).mean()
    fitted = mixed(other, seen, 9, features(other, seen, 9) @ weights).mean()
    good = np.array([1, 2, 3, 5, 6, 8])
    best = mixed(other, good, 9, np.zeros((60, 6))).mean()
    assert mean < best - 0.03
    assert fitted > best - 0.02
