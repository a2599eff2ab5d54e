"""Coarse-to-fine search: the peak of the correlation surface from a part of its positions.

Scenes of half the resolution give every second position at a quarter of the cost. At full
resolution only those are scored that can still win: all whose interpolated coarse score comes
within a margin of the best, and the sharpest bump of the coarse surface (the narrow peak of
moving texture on the broad hill of a cloud). The margin grows with the share of texture that
half the resolution loses. If too many are left, the surface is flat, and every position is
scored after all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from icectl.imagery.correlation import F32, NONE, Texture, box, energy, surface

I64 = NDArray[np.int64]

MARGIN = (0.005, 0.1, 0.02)
"""Least margin of the coarse score, its growth with the texture lost, and its greatest value."""

MOST_POSITIONS = 40
"""More candidates than this cost more than scoring every position."""


@dataclass(frozen=True, slots=True)
class Coarse:
    """Coarse surfaces of n chips, interpolated ones, and how far below the best a winner may lie."""

    scores: F32  # (n, m, m)
    fine: F32  # (n, w, w)
    margin: F32  # (n,)


def search(ref: Texture, mov: Texture, corners: I64, size: int, radius: int) -> tuple[I64, F32, F32]:
    """Find the peaks of n chips whose whole search windows are valid.

    Parameters
    ----------
    corners
        ``(n, 2)`` top left corners in padded pixels.

    Returns
    -------
    Shifts ``(n, 2)``, the 3×3 scores around each peak ``(n, 3, 3)`` (`NONE` outside the search
    window), and the coarse surfaces ``(n, m, m)`` with two pixels between neighbours.
    """
    coarse = _coarse(ref, mov, corners, size, radius)
    width = 2 * radius + 1
    wanted = coarse.fine >= (coarse.fine.max(axis=(1, 2)) - coarse.margin)[:, None, None]
    counts = wanted.sum(axis=(1, 2))
    sharp = _sharpest(coarse.scores) * 2 + radius - 2 * ((radius + 1) // 2)
    top = coarse.fine.reshape(len(corners), -1).argmax(axis=1)
    shifts, around = np.zeros((len(corners), 2), np.int64), np.full((len(corners), 3, 3), NONE, np.float32)
    for i, (row, col) in enumerate(corners.tolist()):
        if counts[i] > MOST_POSITIONS:
            scores = surface(ref, mov, row, col, size, radius)
        else:
            first = divmod(int(top[i]), width)
            others = np.flatnonzero(wanted[i]) if counts[i] > 1 else np.zeros(0, np.int64)
            scores = _climb(
                ref, mov, (row, col), size, first, (int(sharp[i, 0]), int(sharp[i, 1])), others, width
            )
        y, x = divmod(int(scores.argmax()), width)
        shifts[i] = y - radius, x - radius
        around[i] = neighbours(scores, y, x)
    return shifts, around, coarse.scores


def neighbours(scores: F32, y: int, x: int) -> F32:
    """Return the 3×3 scores around a position, `NONE` outside the surface."""
    if 0 < y < scores.shape[0] - 1 and 0 < x < scores.shape[1] - 1:
        return scores[y - 1 : y + 2, x - 1 : x + 2]
    return np.pad(scores, 1, constant_values=NONE)[y : y + 3, x : x + 3]


def _coarse(ref: Texture, mov: Texture, corners: I64, size: int, radius: int) -> Coarse:
    """Score every second shift of all chips."""
    chip, reach = size // 2, (radius + 1) // 2
    scores = np.empty((len(corners), 2 * reach + 1, 2 * reach + 1), np.float32)
    kept = np.empty(len(corners))
    for i, (row, col) in enumerate(corners.tolist()):
        phase, y, x = 2 * (row % 2) + col % 2, row // 2, col // 2
        template = ref.halves[phase][y : y + chip, x : x + chip]
        window = mov.halves[phase][y - reach : y + chip + reach, x - reach : x + chip + reach]
        scores[i] = cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED)
        kept[i] = cv2.meanStdDev(template)[1][0, 0]
    kept = (size * kept) ** 2 / energy(ref, corners[:, 0], corners[:, 1], size)
    margin = np.clip(MARGIN[1] * (1 - kept), MARGIN[0], MARGIN[2])
    between = _between(radius)
    fine = np.asarray(between @ scores @ between.T, np.float32)
    return Coarse(scores, fine, np.asarray(margin, np.float32))


@lru_cache(maxsize=16)
def _between(radius: int) -> F32:
    """Cubic interpolation from coarse to fine shifts along one axis, as a matrix (fine, coarse)."""
    reach = (radius + 1) // 2
    at = (np.arange(2 * radius + 1) - radius) / 2 + reach
    identity = np.eye(2 * reach + 1, dtype=np.float32)
    rows = np.tile(np.arange(2 * reach + 1, dtype=np.float32), (len(at), 1))
    cols = np.tile(at.astype(np.float32)[:, None], (1, 2 * reach + 1))
    return np.asarray(cv2.remap(identity, rows, cols, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))


def _sharpest(scores: F32) -> I64:
    """Coarse position ``(n, 2)`` that stands out most from its eight neighbours."""
    padded = np.pad(scores, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    mean = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    flat = (9 * scores - mean).reshape(len(scores), -1).argmax(axis=1)
    return np.stack(np.divmod(flat, scores.shape[2]), axis=1)


def _climb(
    ref: Texture,
    mov: Texture,
    at: tuple[int, int],
    size: int,
    first: tuple[int, int],
    sharp: tuple[int, int],
    others: I64,
    width: int,
) -> F32:
    """Score the candidates at full resolution, then walk uphill until all neighbours are lower."""
    chip = ref.image[at[0] : at[0] + size, at[1] : at[1] + size]
    template = (chip - np.float32(box(ref.sums, at[0], at[1], size) / size**2)).ravel()
    corner = at[0] - width // 2, at[1] - width // 2
    scores = np.full((width, width), NONE, np.float32)
    _score(mov, template, corner, scores, _square(*first, width))
    if max(abs(sharp[0] - first[0]), abs(sharp[1] - first[1])) > 1:
        _score(mov, template, corner, scores, _square(*sharp, width))
    if len(others):
        _score(mov, template, corner, scores, others[scores.ravel()[others] == NONE])
    while True:
        y, x = divmod(int(scores.argmax()), width)
        near = _square(y, x, width)
        todo = near[scores.ravel()[near] == NONE]
        if not len(todo):
            return scores
        _score(mov, template, corner, scores, todo)


@lru_cache(maxsize=65536)
def _square(y: int, x: int, width: int) -> I64:
    """Flat indices of the 3×3 positions around one, clipped to the search window."""
    ys = np.arange(max(y - 1, 0), min(y + 2, width))
    xs = np.arange(max(x - 1, 0), min(x + 2, width))
    return np.asarray((ys[:, None] * width + xs).ravel())


def _score(mov: Texture, template: F32, corner: tuple[int, int], scores: F32, todo: I64) -> None:
    """Score the positions `todo` (flat indices) with one copy of pixels for each column of them."""
    size = round(len(template) ** 0.5)
    columns: dict[int, list[int]] = {}
    for flat in todo.tolist():
        row, col = divmod(flat, scores.shape[1])
        columns.setdefault(col, []).append(row)
    total = float(np.sqrt(template.dot(template)))
    for col, rows in columns.items():
        low, left = corner[0] + min(rows), corner[1] + col
        strip = mov.image[low : corner[0] + max(rows) + size, left : left + size].ravel()
        for row in rows:
            start = (corner[0] + row - low) * size
            scores[row, col] = strip[start : start + size * size].dot(template) / total
    rows_, cols_ = np.divmod(todo, scores.shape[1])
    norms = np.sqrt(energy(mov, rows_ + corner[0], cols_ + corner[1], size))
    scores[rows_, cols_] = np.where(norms > 0, scores[rows_, cols_] / np.maximum(norms, mov.floor), NONE + 1)
