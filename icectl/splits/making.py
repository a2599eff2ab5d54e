"""Makes splits: blocks in space with a cut in time, later frames only, or at random as in the paper."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from icectl.arrays import F32, U8, Bools
from icectl.errors import DataError

TRAIN, VALIDATE, TEST = 1, 2, 3
"""Parts as they are stored; 0 is in none."""


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """All windows of a cube: every `stride` pixels, every frame.

    >>> WindowGrid(frames=35, rows=800, cols=800, past=4, future=4, patch=50, stride=10).count
    161728
    """

    frames: int
    rows: int
    cols: int
    past: int = 4
    future: int = 4
    patch: int = 50
    stride: int = 10

    @property
    def length(self) -> int:
        """Frames in a window."""
        return self.past + self.future

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of windows along rows, columns and time."""
        along = [max(0, (n - self.patch) // self.stride + 1) for n in (self.rows, self.cols)]
        return along[0], along[1], max(0, self.frames - self.length + 1)

    @property
    def count(self) -> int:
        """Number of windows."""
        return int(np.prod(self.shape))

    def coverage(self, windows: Bools) -> npt.NDArray[np.int32]:
        """Count how many of `windows` (rows, columns of windows, one start) lie over each pixel."""
        corners = np.zeros((self.rows + 1, self.cols + 1), dtype=np.int32)
        r, c = np.nonzero(windows)
        r, c = r * self.stride, c * self.stride
        for dr, dc, sign in (
            (0, 0, 1),
            (self.patch, 0, -1),
            (0, self.patch, -1),
            (self.patch, self.patch, 1),
        ):
            np.add.at(corners, (r + dr, c + dc), sign)
        return corners.cumsum(axis=0).cumsum(axis=1)[:-1, :-1].astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which window belongs to which part, and what is scored.

    `kind`: ``"blocks"``, ``"time"`` or ``"paper"``.
    `grid`: the windows.
    `windows`: (rows, columns, starts) of `grid`: part of each window, 0 where it crosses a border.
    `scored`: (rows, columns) of pixels: where test predictions count, guards left out; everywhere for
        ``"paper"``.
    `cut`: first frame after the cut in time, or None.
    """

    kind: str
    grid: WindowGrid
    windows: U8
    scored: Bools
    cut: int | None = None

    @property
    def test_starts(self) -> list[int]:
        """First frames of the windows whose targets are scored."""
        found = (self.windows == TEST).any(axis=(0, 1))
        return [int(t) for t in np.flatnonzero(found)]

    def weights(self, start: int) -> F32:
        """Return how much each pixel counts in the score of the window that starts at `start`."""
        if self.kind != "paper":
            return self.scored.astype(np.float32)
        return self.grid.coverage(self.windows[:, :, start] == TEST).astype(np.float32)


TEST_SHARE, VALIDATION_SHARE = 0.25, 0.12
TEST_FRAMES = 0.3
"""Share of the frames after the cut in time."""


def make_split(
    kind: Literal["blocks", "time", "paper"], grid: WindowGrid, seed: int = 0, draw: int | None = 0
) -> Split:
    """Split the windows of a cube.

    `kind`: ``"blocks"``: test blocks in space and, where two disjoint windows fit, later frames; windows
        across a border or the cut are dropped, and pixels within one patch of a border are not scored.
        ``"time"``: later frames only. ``"paper"``: 80 % of all windows at random for training, a tenth of
        them for validation (Müller 2023, section 3.1).
    `seed`: seed of the random choices.
    `draw`: which blocks validate; the test blocks stay. None: nothing validates, all but the test trains.

    DataError: if there are too few frames or pixels.
    """
    _check(grid)
    if kind == "paper":
        return _at_random(grid, seed, draw is not None)
    cut = _cut(grid)
    used = (TRAIN, TEST) if draw is None else (TRAIN, VALIDATE, TEST)
    if kind == "time":
        if cut is None:
            raise DataError(
                f"{grid.frames} frames are too few for a split in time: {2 * grid.length} are needed",
                "use --split blocks, or a longer series",
            )
        parts = np.full((grid.rows, grid.cols), TEST, dtype=np.uint8)
        inside = {part: np.ones(grid.shape[:2], dtype=bool) for part in used}
    else:
        parts = block_parts((grid.rows, grid.cols), grid.patch, seed, draw)
        inside = {part: _inside(parts == part, grid) for part in used}
    moments = _moments(grid, cut, draw is not None)
    windows = np.zeros(grid.shape, dtype=np.uint8)
    for part, positions in inside.items():
        windows[positions[:, :, None] & moments[part][None, None, :]] = part
    scored = guarded(parts == TEST, grid.patch)
    return Split(kind=kind, grid=grid, windows=windows, scored=scored, cut=cut)


def _check(grid: WindowGrid) -> None:
    if grid.frames < grid.length:
        raise DataError(
            f"{grid.frames} frames are too few: {grid.past} past, {grid.future} future are needed",
            "give more scenes, or fewer frames (--past, --future)",
        )
    if min(grid.rows, grid.cols) < grid.patch:
        raise DataError(
            f"a scene of {grid.rows} × {grid.cols} pixels is smaller than one window of {grid.patch}",
            f"use --patch {min(grid.rows, grid.cols) // 4}",
        )


def block_parts(shape: tuple[int, int], patch: int, seed: int = 0, draw: int | None = 0) -> U8:
    """Return the part (`TRAIN`, `VALIDATE`, `TEST`) of each pixel: blocks of some four patches a side.

    Smaller blocks are taken where the scene is small, down to two patches a side. `draw` counts through the
    blocks that can validate, and begins again after the last; the test blocks are the same in all draws. With
    None no block validates.

    DataError: if the scene is too small for test pixels that are farther than one patch from all others.
    """
    rng = np.random.default_rng([seed, 20])
    for side in (4 * patch, 3 * patch, 2 * patch):
        counts = [max(1, round(length / side)) for length in shape]
        total = counts[0] * counts[1]
        if total < 4:
            continue
        for _ in range(20):
            labels = np.full(total, TRAIN, dtype=np.uint8)
            order = rng.permutation(total)
            tests, validations = (max(1, round(share * total)) for share in (TEST_SHARE, VALIDATION_SHARE))
            labels[order[:tests]] = TEST
            if draw is not None:
                held = np.arange(draw * validations, (draw + 1) * validations)
                labels[order[tests:].take(held, mode="wrap")] = VALIDATE
            rows, cols = (np.arange(n) * k // n for n, k in zip(shape, counts, strict=True))
            parts = labels.reshape(counts)[np.ix_(rows, cols)]
            if guarded(parts == TEST, patch).any():
                return parts
    raise DataError(
        f"a scene of {shape[0]} × {shape[1]} pixels is too small for blocks with windows of {patch} pixels",
        f"use --patch {min(shape) // 4}, or of a long series --split time",
    )


def guarded(test: Bools, guard: int) -> Bools:
    """Return the test pixels that are more than `guard` pixels away from every other pixel of the scene."""
    if test.all():
        return test.copy()
    distance = ndimage.distance_transform_cdt(test, metric="chessboard")
    return np.asarray(distance > guard)


def _inside(part: Bools, grid: WindowGrid) -> Bools:
    """Return the positions (rows, columns of windows) whose pixels all lie in `part`."""
    sums = np.zeros((grid.rows + 1, grid.cols + 1), dtype=np.int64)
    sums[1:, 1:] = part.cumsum(axis=0).cumsum(axis=1)
    high, wide, _ = grid.shape
    r, c = np.arange(high)[:, None] * grid.stride, np.arange(wide)[None, :] * grid.stride
    p = grid.patch
    return np.asarray(sums[r + p, c + p] - sums[r, c + p] - sums[r + p, c] + sums[r, c] == p * p)


def _cut(grid: WindowGrid) -> int | None:
    """Return the first frame of the test years, or None where two disjoint windows do not fit."""
    if grid.frames < 2 * grid.length:
        return None
    return grid.frames - max(grid.length, round(TEST_FRAMES * grid.frames))


def _moments(grid: WindowGrid, cut: int | None, validates: bool) -> dict[int, Bools]:
    """Return which starts each part may use.

    Where something `validates`, it predicts the last frames before the cut, and training predicts none of
    those, provided that enough of it is left.
    """
    start = np.arange(grid.shape[2])
    if cut is None:
        return {part: np.ones(start.shape, dtype=bool) for part in (TRAIN, VALIDATE, TEST)}
    before = start + grid.length <= cut
    held = start + grid.length <= cut - grid.future
    if not validates or held.sum() < grid.future:
        return {TRAIN: before, VALIDATE: before, TEST: start >= cut}
    return {TRAIN: held, VALIDATE: before & (start + grid.past >= cut - grid.future), TEST: start >= cut}


def _at_random(grid: WindowGrid, seed: int, validates: bool) -> Split:
    order = np.random.default_rng([seed, 21]).permutation(grid.count)
    train, windows = round(0.8 * grid.count), np.full(grid.count, TEST, dtype=np.uint8)
    windows[order[:train]] = TRAIN
    windows[order[: round(0.1 * train)]] = VALIDATE if validates else TRAIN
    everywhere = np.ones((grid.rows, grid.cols), dtype=bool)
    return Split(kind="paper", grid=grid, windows=windows.reshape(grid.shape), scored=everywhere)
