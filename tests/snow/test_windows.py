"""The loader: every window once, equal to the cube, in an order that depends on nothing but the seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icectl.errors import DataError
from icectl.splits import WindowGrid
from icectl.tasks.snow import windows
from icectl.tasks.snow.windows import WindowBatches


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
