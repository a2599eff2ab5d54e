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
    flat = coarse.fine.reshape(len(corners), -1)
    first = np.stack(np.divmod(flat.argmax(axis=1), width), axis=1)
    wanted = flat >= (flat.max(axis=1) - coarse.margin)[:, None]
    counts = np.count_nonzero(wanted, axis=1)
    sharp = _sharpest(coarse.scores) * 2 + radius - 2 * ((radius + 1) // 2)
    at = first.clip(1, width - 2)
    around = _score_squares(ref, mov, corners, at - radius, size)
    near = wanted.reshape(-1, width, width)[
        np.arange(len(at))[:, None, None],
        at[:, 0, None, None] + _SQUARE[0],
        at[:, 1, None, None] + _SQUARE[1],
    ].sum(axis=(1, 2))
    settled = (around.reshape(-1, 9).argmax(axis=1) == 4) & (near == counts)
    settled &= (np.abs(sharp - at) <= 1).all(axis=1)
    shifts = at - radius
    for i in np.flatnonzero(~settled).tolist():
        if counts[i] > MOST_POSITIONS:
            scores = surface(ref, mov, int(corners[i, 0]), int(corners[i, 1]), size, radius)
        else:
            todo = np.concatenate([np.flatnonzero(wanted[i]), _square(*sharp[i].tolist(), width)])
            scores = _climb(ref, mov, corners[i].tolist(), size, at[i], around[i], todo, width)
        y, x = divmod(int(scores.argmax()), width)
        shifts[i] = y - radius, x - radius
        around[i] = neighbours(scores, y, x)
    return shifts, around, coarse.scores


_SQUARE = np.mgrid[-1:2, -1:2]


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
        cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED, scores[i])
        kept[i] = cv2.norm(template, cv2.NORM_L2SQR) - cv2.sumElems(template)[0] ** 2 / chip**2
    kept = 4 * kept / energy(ref, corners[:, 0], corners[:, 1], size)
    margin = np.clip(MARGIN[1] * (1 - kept), MARGIN[0], MARGIN[2]).astype(np.float32)
    between = _between(radius)
    wide = (scores.reshape(-1, scores.shape[2]) @ between.T).reshape(len(scores), scores.shape[1], -1)
    return Coarse(scores, np.asarray(between @ wide, np.float32), margin)


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
    """Coarse position ``(n, 2)`` that stands out most from its eight neighbours, borders left out."""
    tall = np.ascontiguousarray(scores).reshape(-1, scores.shape[2])
    out = (tall - cv2.blur(tall, (3, 3))).reshape(scores.shape)[:, 1:-1, 1:-1]
    flat = out.reshape(len(scores), -1).argmax(axis=1)
    return np.stack(np.divmod(flat, scores.shape[2] - 2), axis=1) + 1


def _score_squares(ref: Texture, mov: Texture, corners: I64, shifts: I64, size: int) -> F32:
    """Score the 3×3 positions around one shift of each chip: ``(n, 3, 3)``.

    The chip is laid out with the row length of the larger block, its two last columns zero, so that
    each score is one product of contiguous numbers.
    """
    mean = box(ref.sums, corners[:, 0], corners[:, 1], size) / size**2
    own = np.sqrt(energy(ref, corners[:, 0], corners[:, 1], size))
    places = corners + shifts
    rows = places[:, 0, None, None] + _SQUARE[0]
    norms = own[:, None, None] * np.sqrt(energy(mov, rows, places[:, 1, None, None] + _SQUARE[1], size))
    wide, length = size + 2, size * (size + 2)
    template, block = np.zeros((size, wide), np.float32), np.empty((wide + 1, wide), np.float32)
    line, flat = template.ravel(), block.ravel()
    products = np.empty((len(corners), 9), np.float32)
    starts = [dy * wide + dx for dy in range(3) for dx in range(3)]
    block[wide] = 0
    for i, (row, col) in enumerate(corners.tolist()):
        y, x = places[i].tolist()
        np.subtract(
            ref.image[row : row + size, col : col + size], np.float32(mean[i]), out=template[:, :size]
        )
        block[:wide] = mov.image[y - 1 : y + size + 1, x - 1 : x + size + 1]
        products[i] = [line.dot(flat[s : s + length]) for s in starts]
    squares = products.reshape(-1, 3, 3)
    return np.asarray(np.where(norms > 0, squares / np.maximum(norms, mov.floor), NONE + 1), np.float32)


def _climb(
    ref: Texture, mov: Texture, corner: list[int], size: int, at: I64, around: F32, todo: I64, width: int
) -> F32:
    """Score further candidates at full resolution, then walk uphill until all neighbours are lower."""
    row, col = corner
    chip = ref.image[row : row + size, col : col + size]
    template = (chip - np.float32(box(ref.sums, row, col, size) / size**2)).ravel()
    top_left = row - width // 2, col - width // 2
    scores = np.full((width, width), NONE, np.float32)
    scores[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2] = around
    todo = np.unique(todo)
    todo = todo[scores.ravel()[todo] == NONE]
    while True:
        if len(todo):
            _score(mov, template, top_left, scores, todo)
        y, x = divmod(int(scores.argmax()), width)
        near = _square(y, x, width)
        todo = near[scores.ravel()[near] == NONE]
        if not len(todo):
            return scores


@lru_cache(maxsize=65536)
def _square(y: int, x: int, width: int) -> I64:
    """Flat indices of the 3×3 positions around one, clipped to the search window."""
    ys = np.arange(max(y - 1, 0), min(y + 2, width))
    xs = np.arange(max(x - 1, 0), min(x + 2, width))
    return np.asarray((ys[:, None] * width + xs).ravel())


def _score(mov: Texture, template: F32, corner: tuple[int, int], scores: F32, todo: I64) -> None:
    """Score the positions `todo` (flat indices) with one copy of pixels for each column of them."""
    size = round(len(template) ** 0.5)
    rows_, cols_ = np.divmod(todo, scores.shape[1])
    columns: dict[int, list[int]] = {}
    for row, col in zip(rows_.tolist(), cols_.tolist(), strict=True):
        columns.setdefault(col, []).append(row)
    for col, rows in columns.items():
        low, left = corner[0] + min(rows), corner[1] + col
        strip = mov.image[low : corner[0] + max(rows) + size, left : left + size].ravel()
        for row in rows:
            start = (corner[0] + row - low) * size
            scores[row, col] = strip[start : start + size * size].dot(template)
    norms = np.sqrt(energy(mov, rows_ + corner[0], cols_ + corner[1], size) * float(template.dot(template)))
    scores[rows_, cols_] = np.where(norms > 0, scores[rows_, cols_] / np.maximum(norms, mov.floor), NONE + 1)
