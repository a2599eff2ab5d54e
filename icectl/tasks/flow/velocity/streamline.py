"""The line along which ice flows through one cell, for a profile of its speed."""

from __future__ import annotations

import numpy as np

from icectl.arrays import F64, I64


def streamline(down: F64, right: F64, start: tuple[int, int], most: int = 500) -> I64:
    """Follow a velocity field up and down from a cell, one cell a step, until it ends.

    Parameters
    ----------
    down, right
        ``(rows, cols)`` components along rows and columns, NaN where unknown.
    start
        Row and column to start from.
    most
        Steps each way.

    Returns
    -------
    ``(n, 2)`` cells, upstream first.

    Examples
    --------
    >>> still = np.zeros((3, 5))
    >>> streamline(still, np.ones((3, 5)), (1, 2))[:, 1].tolist()
    [0, 1, 2, 3, 4]
    """
    ways = []
    for sign in (-1, 1):
        at = np.array(start, np.float64)
        cells: list[tuple[int, int]] = []
        for _ in range(most):
            row, col = np.rint(at).astype(int)
            inside = 0 <= row < down.shape[0] and 0 <= col < down.shape[1]
            if not inside or not np.isfinite(down[row, col]):
                break
            step = np.array([down[row, col], right[row, col]])
            length = float(np.hypot(*step))
            if length == 0 or (row, col) in cells[:-1]:
                break
            if not cells or cells[-1] != (row, col):
                cells.append((int(row), int(col)))
            at += sign * step / length
        ways.append(cells)
    return np.array(ways[0][::-1] + ways[1][1:], np.int64).reshape(-1, 2)
