"""Windows over a scene, and whole-scene prediction without seams.

The windows that a network sees are fixed by the scene's shape, the window's size and the overlap
alone. They start at the scene's origin and follow each other in steps of ``window - overlap``; **the
last one of a row or column is shifted back to end at the scene's edge**. A scene smaller than a
window is padded at its lower right by reflection, and the padding cut off again. How the scene is
read and written (`tile`) changes none of this, so it changes no bit of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from icectl.errors import UsageError


class Window(NamedTuple):
    """A rectangle of pixels: its first row and column, its height and width."""

    row: int
    col: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns as slices, for arrays and for rasterio alike."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    def contains(self, other: Window) -> bool:
        """Tell whether `other` lies inside this window."""
        return (
            self.row <= other.row
            and self.col <= other.col
            and other.row + other.height <= self.row + self.height
            and other.col + other.width <= self.col + self.width
        )


def starts(length: int, window: int, overlap: int) -> list[int]:
    """Return where windows start along one axis: steps of ``window - overlap``, the last one shifted back.

    >>> starts(100, 40, 10)
    [0, 30, 60]
    >>> starts(110, 40, 10)
    [0, 30, 60, 70]
    >>> starts(30, 40, 10)
    [0]
    """
    if length <= window:
        return [0]
    regular = list(range(0, length - window + 1, window - overlap))
    return regular if regular[-1] == length - window else [*regular, length - window]


def plan(shape: tuple[int, int], window: int, overlap: int) -> list[Window]:
    """Return the square windows that cover a scene, row by row.

    Parameters
    ----------
    shape
        Rows and columns of the scene.
    window, overlap
        Side of a window, and pixels shared by neighbours, ``0 <= overlap < window``.
    """
    if window < 1 or not 0 <= overlap < window:
        raise UsageError(
            f"an overlap of {overlap} does not fit windows of {window}", "use 0 ≤ overlap < window"
        )
    rows, columns = shape
    return [
        Window(row, col, window, window)
        for row in starts(rows, window, overlap)
        for col in starts(columns, window, overlap)
    ]


STRIP, TILES = 2**22, 512
"""Pixels of a strip of a scene, about; its rows are multiples of the inner tiles that most files have."""


def row_strips(shape: tuple[int, int]) -> Iterator[Window]:
    """Cut a scene into windows of its whole width, so that memory need not hold all of it."""
    rows, columns = shape
    step = max(1, STRIP // (columns * TILES)) * TILES
    for top in range(0, rows, step):
        yield Window(top, 0, min(step, rows - top), columns)
