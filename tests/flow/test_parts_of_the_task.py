"""Baselines, outlier filter, screening, pair choice and stable ground, against closed forms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from affine import Affine

from icectl.errors import DataError
from icectl.raster import Grid
from icectl.settings import read_toml, shipped
from icectl.tasks.flow.baselines import baselines
from icectl.tasks.flow.chips.frames import Series
from icectl.tasks.flow.chips.screening import guess_clouds, screen
from icectl.tasks.flow.dataset import open_dataset
from icectl.tasks.flow.options import PredictOptions, PrepareOptions
from icectl.tasks.flow.velocity.confirm import coherent
from icectl.tasks.flow.velocity.measure import choose_pairs, measure

from .conftest import moving


def series(frames, days=None, cloud=None):
    n = len(frames)
    days = range(0, 8 * n, 8) if days is None else days
    times = tuple(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=d) for d in days)
    valid = np.isfinite(frames).all(axis=1)
    grid = Grid(frames.shape[2:], Affine(30, 0, 0, 0, -30, 0), "EPSG:32633")
    names = tuple(f"f{i}" for i in range(n))
    bands = tuple(f"b{i}" for i in range(frames.shape[1]))
    return Series(times, names, bands, np.nan_to_num(frames), valid, cloud, np.full(n, np.nan), grid)


def test_published_table_is_the_papers():
    table = {row["model"]: row for row in read_toml(shipped() / "published" / "min2019.toml")["table1"]}
    assert [table[m]["mean"] for m in ("persistence", "high-pass", "svg")] == [0.237, 0.201, 0.362]
    for row in table.values():
        assert row["low"] + row["medium"] + row["high"] == pytest.approx(1, abs=1e-3)


def test_baselines_equal_their_definitions(stages):
    data = open_dataset(stages["prepare"])
    chosen = np.arange(5)
    found = baselines(data, chosen, 1, 3, np.zeros(8))
    chips = data.chips(chosen, slice(1, 6)).astype(float)
    truth = chips[:, -1]

    def r(x):
        return [np.corrcoef(p.ravel(), t.ravel())[0, 1] for p, t in zip(x, truth, strict=True)]

    np.testing.assert_allclose(found["persistence"], r(chips[:, 2]), atol=1e-6)
    np.testing.assert_allclose(found["mean"], r(chips[:, :3].mean(axis=1)), atol=1e-6)
    np.testing.assert_allclose(found["median"], r(np.median(chips[:, :3], axis=1)), atol=1e-6)
    np.testing.assert_allclose(found["t1"], r(chips[:, 3]), atol=1e-6)
    np.testing.assert_allclose(found["best"], np.max([r(chips[:, k]) for k in range(3)], axis=0), atol=1e-6)


def test_carried_displacement_finds_steady_ice(stages):
    """Where motion is steady, carrying it on is as good as tracking t2."""
    data = open_dataset(stages["prepare"])
    found = baselines(data, np.arange(10), 2, 3, np.zeros(8))  # t0 = frame 4, t2 = frame 6, both clear
    assert np.median(found["persistence"]) > 0.85
    assert np.median(found["carried"]) > 0.7  # whole pixels, from a velocity over few days


def test_outliers_are_rejected_and_a_smooth_field_is_kept():
    rows, cols = np.mgrid[:20, :20]
    dy, dx = 0.1 * rows, 2 + 0.05 * cols
    assert coherent(dy, dx, 20).all()
    rng = np.random.default_rng(0)
    wrong = rng.random(dy.shape) < 0.1
    bad = coherent(np.where(wrong, rng.uniform(8, 20, dy.shape), dy), dx, 20)
    assert not bad[wrong].any()
    assert bad[~wrong].mean() > 0.95
    holes = np.where(wrong, np.nan, dy)
    assert not coherent(holes, dx, 20)[wrong].any()


def test_noise_has_no_coherent_displacement():
    rng = np.random.default_rng(1)
    kept = coherent(rng.uniform(-20, 20, (30, 30)), rng.uniform(-20, 20, (30, 30)), 20)
    assert kept.mean() < 0.1


def test_guess_finds_clouds_and_leaves_clear_frames():
    frames = moving(bands=1)[:, 0]
    frames[1, :80] = 900 + 40 * np.random.default_rng(5).standard_normal((80, frames.shape[2]))
    found = guess_clouds(frames.astype(np.float32), np.ones(frames.shape, dtype=bool))
    assert found[1, :70].mean() > 0.7
    assert found[1, 90:].mean() < 0.2
    assert found[0].mean() < 0.1
    assert not guess_clouds(frames[:2], np.ones(frames[:2].shape, dtype=bool)).any()


def test_frames_are_left_out_with_the_reason():
    frames = moving(bands=1)[:6, :, :64, :64].astype(np.float32)
    frames[1] = 7
    frames[2] = np.nan
    cloud = np.zeros((6, 64, 64), dtype=bool)
    cloud[4, :40] = True
    options = PrepareOptions(cloud_limit=50)
    kept, _, reasons = screen(series(frames, [0, 8, 16, 24, 32, 40], cloud), options)
    assert kept.names == ("f0", "f3", "f5")
    assert [r.split(" left out: ")[1].split(" (")[0] for r in reasons] == [
        "it is constant", "it has no valid pixel", "62 % of it is cloud",
    ]  # fmt: skip


def test_two_frames_of_one_pass_and_aerosol():
    frames = moving(bands=1)[:5, :, :64, :64].astype(np.float32)
    found = series(frames, [0, 0.02, 0.2, 16, 24], np.zeros((5, 64, 64), dtype=bool))
    found.aerosol[3] = 0.8
    kept, _, reasons = screen(found, PrepareOptions(), 50)
    assert kept.names == ("f0", "f2", "f4")
    assert "another frame is of the same time, " in reasons[0]
    assert "80 % of it has high aerosol" in reasons[1]


def test_all_cloud_is_refused():
    frames = moving(bands=1)[:4, :, :64, :64].astype(np.float32)
    with pytest.raises(DataError, match="0 of 4 frames are usable"):
        screen(series(frames, None, np.ones((4, 64, 64), dtype=bool)), PrepareOptions(cloud_limit=90))


def test_pairs_are_long_and_clear():
    days = np.array([0, 10, 20, 500], np.float32)
    valid, cloud = np.ones((4, 8, 8), dtype=bool), np.zeros((4, 8, 8), dtype=bool)
    cloud[2] = True
    pairs = choose_pairs(days, cloud, valid, PredictOptions(longest=400, pairs=2))
    assert pairs[0] == (0, 1)
    assert (0, 3) not in choose_pairs(days, cloud, valid, PredictOptions(longest=400, pairs=10))


def test_motion_of_stable_ground_is_removed():
    """A shift of the second scene as a whole is no motion of the ice."""
    frames = moving(bands=1, days=(0, 40))[:, 0]
    shifted = np.roll(frames[0], (2, -1), (0, 1))
    ice = np.zeros(frames[0].shape, dtype=bool)
    ice[:, 140:] = True
    shifted[:, 140:] = np.roll(frames[0], (2, 3), (0, 1))[:, 140:]
    both = np.stack([frames[0], shifted]).astype(np.float32)
    valid, cloud = np.ones(both.shape, dtype=bool), np.zeros(both.shape, dtype=bool)
    options = PredictOptions(velocity_chip=32, spacing=8)
    days = np.array([0, 365], np.float32)
    found = measure(both, valid, cloud, ice, days, (30.0, 30.0), options)
    assert found.stable == pytest.approx((2, -1), abs=0.05)
    on_ice = found.vx[:, -10:]
    assert np.nanmedian(on_ice) == pytest.approx(4 * 30, rel=0.05)
    assert np.nanmedian(found.vy[:, -10:]) == pytest.approx(0, abs=2)
