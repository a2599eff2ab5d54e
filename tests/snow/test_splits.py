"""Splits: the paper's count, no shared pixel-moment, guards, and an audit that counts right."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from icectl.errors import DataError
from icectl.splits import (
    TEST,
    TRAIN,
    VALIDATE,
    Split,
    WindowGrid,
    audit,
    block_parts,
    guarded,
    make_split,
)


def cover(split, part):
    """Pixel-moments of all windows of a part, the slow way."""
    grid = split.grid
    seen = np.zeros((grid.frames, grid.rows, grid.cols), bool)
    for r, c, t in zip(*np.nonzero(split.windows == part), strict=True):
        y, x = r * grid.stride, c * grid.stride
        seen[t : t + grid.length, y : y + grid.patch, x : x + grid.patch] = True
    return seen


def test_the_papers_number_of_windows():
    assert WindowGrid(frames=35, rows=800, cols=800).count == 161_728
    assert WindowGrid(frames=3, rows=5, cols=200).shape == (0, 16, 0)


def test_coverage_counts_windows_over_each_pixel():
    grid = WindowGrid(8, 35, 45, patch=10, stride=5)
    chosen = np.random.default_rng(0).random(grid.shape[:2]) < 0.4
    slow = np.zeros((35, 45), int)
    for r, c in np.argwhere(chosen):
        slow[r * 5 : r * 5 + 10, c * 5 : c * 5 + 10] += 1
    np.testing.assert_array_equal(grid.coverage(chosen), slow)


@pytest.mark.parametrize("frames", [8, 15, 16, 32])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_blocks_share_nothing(frames, seed):
    split = make_split("blocks", WindowGrid(frames, 120, 96, patch=16, stride=8), seed, draw=frames % 3)
    train, validate, test = (cover(split, part) for part in (TRAIN, VALIDATE, TEST))
    assert train.any()
    assert validate.any()
    assert test.any()
    assert not (train & test).any()
    assert not (validate & test).any()
    assert not (train.any(axis=0) & validate.any(axis=0)).any()
    assert audit(split).shared == 0
    if frames >= 16:  # two disjoint windows: no frame of the test is in the training either
        assert not (train.any(axis=(1, 2)) & test.any(axis=(1, 2))).any()
        assert split.cut is not None
    else:
        assert audit(split).facts()["split"] == "blocks (space only)"
    np.testing.assert_array_equal(split.weights(0), split.scored)


def test_draws_validate_on_other_blocks_in_turn_and_test_on_the_same():
    parts = [block_parts((128, 160), 8, 3, draw) for draw in range(8)]  # 20 blocks: 5 test, 2 validate
    for part in parts:
        np.testing.assert_array_equal(part == TEST, parts[0] == TEST)
        assert (part == VALIDATE).sum() == 2 * 32 * 32
    turns = np.cumsum([part == VALIDATE for part in parts], axis=0)
    assert turns[6].max() == 1
    assert (turns[7] > 0)[parts[0] != TEST].all(), "the eighth draw takes the last block, and the first again"


@pytest.mark.parametrize("kind", ["blocks", "time", "paper"])
@pytest.mark.parametrize("frames", [8, 32])
def test_where_nothing_validates_all_but_the_test_trains(kind, frames):
    if kind == "time" and frames == 8:
        pytest.skip("one window has no later frames")
    grid = WindowGrid(frames, 120, 96, patch=16, stride=8)
    held, whole = make_split(kind, grid, 1, 0), make_split(kind, grid, 1, None)
    assert (held.windows == VALIDATE).any()
    assert not (whole.windows == VALIDATE).any()
    np.testing.assert_array_equal(whole.windows == TEST, held.windows == TEST)
    np.testing.assert_array_equal(whole.scored, held.scored)
    more = whole.windows == TRAIN
    assert more[(held.windows == TRAIN) | (held.windows == VALIDATE)].all()
    if kind != "paper":
        assert audit(whole).shared == 0


def test_no_window_over_a_scored_pixel_touches_another_part():
    """Whatever window of the network's size lies over a scored pixel, it holds test pixels only."""
    patch = 16
    parts = block_parts((128, 96), patch, seed=3)
    scored = guarded(parts == TEST, patch)
    assert scored.any()
    for y, x in np.argwhere(scored)[::17]:
        near = parts[max(0, y - patch) : y + patch + 1, max(0, x - patch) : x + patch + 1]
        assert (near == TEST).all()


@pytest.mark.parametrize("seed", range(6))
def test_some_test_pixel_is_scored_where_most_blocks_are_too_narrow(seed):
    """Of four blocks in a row, two patches wide, only the outer ones have pixels away from the others."""
    assert guarded(block_parts((10, 64), 8, seed) == TEST, 8).any()


def test_validation_predicts_frames_that_training_never_predicts():
    split = make_split("blocks", WindowGrid(32, 120, 120, patch=16, stride=8), 0)
    starts = {part: np.flatnonzero((split.windows == part).any(axis=(0, 1))) for part in (TRAIN, VALIDATE)}
    predicted = {part: {t + k for t in starts[part] for k in range(4, 8)} for part in starts}
    assert not predicted[TRAIN] & predicted[VALIDATE]


def test_validation_predicts_the_last_frames_before_the_cut():
    for frames, cut in ((27, 19), (40, 28)):  # 30 % of the frames are after the cut, and at least one window
        split = make_split("blocks", WindowGrid(frames, 120, 120, patch=16, stride=8), 0)
        found = {n: np.flatnonzero((split.windows == n).any(axis=(0, 1))).tolist() for n in (1, 2, 3)}
        assert split.cut == cut
        tests = list(range(cut, frames - 7))
        assert found == {TRAIN: list(range(cut - 11)), VALIDATE: [cut - 8], TEST: tests}


def test_time_split_shares_no_frame():
    split = make_split("time", WindowGrid(20, 48, 48, patch=16, stride=8))
    train, test = cover(split, TRAIN), cover(split, TEST)
    assert not (train.any(axis=(1, 2)) & test.any(axis=(1, 2))).any()
    assert split.scored.all()


def test_paper_split_is_80_20_and_its_audit_counts():
    split = make_split("paper", WindowGrid(12, 40, 40, patch=12, stride=4), 1)
    count = split.grid.count
    assert (split.windows == TEST).sum() == count - round(0.8 * count)
    assert (split.windows == VALIDATE).sum() == round(0.1 * round(0.8 * count))
    found, train, test = audit(split), cover(split, TRAIN), cover(split, TEST)
    counted = (found.train_windows, found.validation_windows, found.test_windows)
    assert counted == tuple(np.count_nonzero(split.windows == part) for part in (TRAIN, VALIDATE, TEST))
    assert (found.moments, found.shared) == (test.sum(), (train & test).sum())
    assert found.share > 0.9  # the reason why it is not the default
    assert "seen in training" in found.sentence()
    assert found.facts() == {
        "split": "paper",
        "training windows": found.train_windows,
        "validation windows": found.validation_windows,
        "scored pixels": 40 * 40,
        "test pixel-moments": test.sum(),
        "shared with training": (train & test).sum(),
        "share seen in training": round((train & test).sum() / test.sum(), 6),
        "frames in training and test": 12,
    }


def test_a_leak_would_be_counted():
    """The audit is no constant: a training window put into the test block shows up."""
    split = make_split("blocks", WindowGrid(8, 120, 96, patch=16, stride=8), 0)
    windows = split.windows.copy()
    y, x = np.argwhere(split.scored)[0]
    windows[max(0, y // 8 - 1), max(0, x // 8 - 1), 0] = TRAIN
    assert audit(Split(kind="blocks", grid=split.grid, windows=windows, scored=split.scored)).shared > 0


def test_weights_of_the_paper_split_count_test_windows():
    split = make_split("paper", WindowGrid(9, 24, 24, patch=12, stride=4), 0)
    start = split.test_starts[0]
    expected = split.grid.coverage(split.windows[:, :, start] == TEST)
    np.testing.assert_array_equal(split.weights(start), expected)


@pytest.mark.parametrize(
    ("kind", "grid", "words"),
    [
        ("blocks", WindowGrid(7, 100, 100), "7 frames are too few"),
        ("time", WindowGrid(15, 100, 100), "16 are needed"),
        ("blocks", WindowGrid(8, 40, 200), "smaller than one window"),
        ("blocks", WindowGrid(8, 60, 60), "too small for blocks"),
    ],
)
def test_what_cannot_be_split_is_said(kind, grid, words):
    with pytest.raises(DataError, match=words) as error:
        make_split(kind, grid)
    assert error.value.hint


@pytest.mark.parametrize(("rows", "cols", "patch"), [(64, 64, 50), (64, 100, 40), (48, 40, 30), (40, 60, 50)])
def test_the_patch_that_is_named_for_a_small_scene_fits(rows, cols, patch):
    with pytest.raises(DataError) as error:
        make_split("blocks", WindowGrid(8, rows, cols, patch=patch))
    fitting = int(re.search(r"--patch (\d+)(?:,|$)", error.value.hint)[1])
    assert f"a scene of {rows} × {cols} pixels" in error.value.message
    assert fitting == min(rows, cols) // 4
    assert make_split("blocks", WindowGrid(8, rows, cols, patch=fitting)).windows.size


@pytest.mark.parametrize(
    ("rows", "cols", "side", "test", "validate"),
    [(160, 192, 32, 8 / 30, 4 / 30), (44, 44, 24, 1 / 4, 1 / 4), (30, 30, 16, 1 / 4, 1 / 4)],
)
def test_blocks_are_four_patches_wide_and_smaller_where_the_scene_is(rows, cols, side, test, validate):
    """Parts change at the borders of blocks alone: of some four patches of 8 pixels, else three, else two."""
    parts = block_parts((rows, cols), 8, seed=3)
    assert ((parts == TEST).mean(), (parts == VALIDATE).mean()) == pytest.approx((test, validate))
    for axis, length in ((0, rows), (1, cols)):
        count = max(1, round(length / side))
        borders = {-(-k * length // count) for k in range(1, count)}
        other = tuple({0, 1} - {axis})
        changes = set((np.flatnonzero((np.diff(parts, axis=axis) != 0).any(axis=other)) + 1).tolist())
        assert changes <= borders
        assert changes, "one part alone along an axis tells nothing"


def test_the_audit_looks_at_the_pixels_of_every_window_in_each_frame():
    """The running sum over windows that are alive equals the slow way, at both ends of the series too."""
    from icectl.splits.auditing import _covered

    grid = WindowGrid(frames=9, rows=40, cols=40, past=2, future=1, patch=16, stride=8)
    windows = np.where(np.random.default_rng(4).random(grid.shape) < 0.08, TRAIN, TEST).astype(np.uint8)
    split = SimpleNamespace(grid=grid, windows=windows)
    np.testing.assert_array_equal(np.stack(list(_covered(split, TRAIN))), cover(split, TRAIN))
    assert 0 < cover(split, TRAIN).mean() < 1
