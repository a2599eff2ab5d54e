"""The loader: every window once, equal to the cube, in an order that depends on nothing but the seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icectl.errors import DataError
from icectl.splits import WindowGrid
from icectl.tasks.snow.masks import windows
from icectl.tasks.snow.masks.windows import WindowBatches


@pytest.fixture
def series(make_cube):
    rng = np.random.default_rng(0)
    values = rng.random((10, 40, 37), dtype="f4")
    flags = rng.choice([1, 1, 1, 2, 4], values.shape).astype("u1")
    missing = rng.random(values.shape) < 0.05
    values[missing], flags[missing] = np.nan, 0
    cube = make_cube(values, flags)
    return cube, WindowGrid(10, 40, 37, past=3, future=2, patch=8, stride=5), values, flags


def batches(series, size=16, **more):
    cube, grid, *_ = series
    return WindowBatches(cube, grid, np.ones(grid.shape, bool), size, seed=7, **more)


def test_windows_are_the_cubes_own(series):
    _, grid, values, flags = series
    found = batches(series)
    seen = []
    for batch in found.epoch(0):
        for k, index in enumerate(batch["index"].tolist()):
            r, c, t = np.unravel_index(index, grid.shape)
            box = np.s_[t : t + 5, r * 5 : r * 5 + 8, c * 5 : c * 5 + 8]
            np.testing.assert_array_equal(batch["past"][k], np.nan_to_num(values[box][:3]))
            np.testing.assert_array_equal(batch["future"][k], np.nan_to_num(values[box][3:]))
            np.testing.assert_array_equal(batch["valid"][k], flags[box][3:] == 1)
            seen.append(index)
    assert len(seen) == len(set(seen)) == len(found) * 16
    assert grid.count - len(seen) < 16  # only a short last batch is left out


def test_filled_pixels_count_if_asked(series):
    _, grid, _, flags = series
    batch = next(batches(series, count_filled=True).epoch(0))
    r, c, t = np.unravel_index(int(batch["index"][0]), grid.shape)
    future = flags[t + 3 : t + 5, r * 5 : r * 5 + 8, c * 5 : c * 5 + 8]
    np.testing.assert_array_equal(batch["valid"][0], future > 0)


@pytest.mark.parametrize("pool", [0, 2**30])
def test_two_processes_see_the_batches_of_one(series, monkeypatch, pool):
    monkeypatch.setattr(windows, "POOL_BYTES", pool)
    found = batches(series)
    for one, *two in zip(found.epoch(3), found.epoch(3, 0, 2), found.epoch(3, 1, 2), strict=True):
        assert one["index"].tolist() == [i for part in two for i in part["index"].tolist()]


def test_going_on_in_the_middle_of_an_epoch(series):
    found = batches(series)
    whole = [batch["index"].tolist() for batch in found.epoch(2)]
    assert [batch["index"].tolist() for batch in found.epoch(2, start=3)] == whole[3:]
    assert whole != [batch["index"].tolist() for batch in found.epoch(4)]


def test_validation_deals_out_whole_batches_in_order(series):
    found = batches(series, shuffle=False, limit=50)
    whole = [batch["index"].tolist() for batch in found.epoch(0)]
    assert sum(map(len, whole)) == 50
    assert len(found) == len(whole) == 4
    assert [b["index"].tolist() for b in found.epoch(0, 1, 2)] == whole[1::2]


def test_shuffling_mixes_rows_and_times(series):
    """A batch is no run of neighbours: it holds windows of several strips and starts."""
    _, grid, *_ = series
    batch = next(batches(series).epoch(0))
    r, _, t = np.unravel_index(batch["index"].numpy(), grid.shape)
    assert len(set(r)) > 2
    assert len(set(t)) > 2


def test_mixed_windows_keep_place_and_season_and_stay_among_the_chosen_frames(make_cube):
    """Every frame of a mixed window is that place's frame of some training year, of the season asked for."""
    values = np.random.default_rng(0).random((16, 24, 24), dtype="f4")
    cube, grid = make_cube(values), WindowGrid(16, 24, 24, past=4, future=4, patch=8, stride=8)
    chosen = np.zeros(grid.shape, bool)
    chosen[:, :, :4] = True  # frames 0 to 10
    found = WindowBatches(cube, grid, chosen, 9, seed=1, mix_years=1.0)
    mixed = 0
    for batch in found.epoch(0):
        for k, index in enumerate(batch["index"].tolist()):
            r, c, t = np.unravel_index(index, grid.shape)
            window = np.concatenate([batch["past"][k], batch["future"][k]])
            own = values[:, r * 8 : r * 8 + 8, c * 8 : c * 8 + 8]
            used = [int(np.flatnonzero((own == frame).all(axis=(1, 2)))[0]) for frame in window]
            assert all(f % 4 == (t + n) % 4 and f <= 10 for n, f in enumerate(used))
            mixed += used != list(range(t, t + 8))
    assert mixed > 20
    again = next(WindowBatches(cube, grid, chosen, 9, seed=1, mix_years=1.0).epoch(0))
    torch.testing.assert_close(again["past"], next(found.epoch(0))["past"])
    half = [next(found.epoch(0, rank, 2))["past"] for rank in range(2)]
    torch.testing.assert_close(torch.cat(half), again["past"])


def test_only_chosen_windows(series):
    cube, grid, *_ = series
    chosen = np.zeros(grid.shape, bool)
    chosen[1, 2, 3] = chosen[4, 0, 0] = True
    found = WindowBatches(cube, grid, chosen, 8, shuffle=False)
    (batch,) = found.epoch(0)
    assert sorted(batch["index"].tolist()) == [
        int(np.ravel_multi_index(place, grid.shape)) for place in ((1, 2, 3), (4, 0, 0))
    ]
    assert torch.equal(batch["season"], batch["season"].clamp(0, 2))


def test_no_window_is_said(series):
    cube, grid, *_ = series
    with pytest.raises(DataError, match="no window is left"):
        WindowBatches(cube, grid, np.zeros(grid.shape, bool), 8)
