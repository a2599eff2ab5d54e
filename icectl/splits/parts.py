"""The windows of a cube, and which part each belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from icectl.arrays import F32, U8, Bools

TRAIN, VALIDATE, TEST = 1, 2, 3
"""Parts as they are stored; 0 is in none."""


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """All windows of a cube: every `stride` pixels, every frame.

    Examples
    --------
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

    Attributes
    ----------
    kind
        ``"blocks"``, ``"time"`` or ``"paper"``.
    grid
        The windows.
    windows
        (rows, columns, starts) of `grid`: part of each window, 0 where it crosses a border.
    scored
        (rows, columns) of pixels: where test predictions count, guards left out; everywhere for ``"paper"``.
    cut
        First frame after the cut in time, or None.
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
