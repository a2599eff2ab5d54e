"""Coarse-to-fine search: the peak of the correlation surface from a part of its positions.

Scenes of half the resolution give every second position at a quarter of the cost. At full
resolution the search climbs from the hills that can still win: all tops of the interpolated
coarse surface that come within a margin of the best, and its sharpest bump (the narrow peak of
moving texture on the broad hill of a cloud). The margin grows with the shares of texture that
half the resolution loses in both chips: their lost parts correlate by at most the root of the
product of the shares (Cauchy and Schwarz). If there are many hills, every position is scored
after all.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from icectl.arrays import F32, I64
from icectl.imagery.correlation import NONE, Texture, box, energy, half, surface

MARGIN = (0.0005, 0.4, 0.04)
"""Least margin of the coarse score, its growth with the texture lost, and its greatest value."""

MOST_HILLS = 8
"""More starts than this cost more than scoring every position."""


FIRST_STEPS = 1
"""Steps that every start climbs, before the best of a chip goes on alone."""


@dataclass(frozen=True, slots=True)
class Coarse:
    """Coarse surfaces of n chips, interpolated ones, and how far below the best a winner may lie."""

    scores: F32  # (n, m, m)
    fine: F32  # (n, w, w)
    margin: F32  # (n,)


def search(ref: Texture, mov: Texture, corners: I64, size: int, radius: int) -> tuple[I64, F32, F32]:
    """Find the peaks of n chips whose whole search windows are valid.

    `corners`: ``(n, 2)`` top left corners in padded pixels.

    Returns
    -------
    Shifts ``(n, 2)``, the 3×3 scores around each peak ``(n, 3, 3)`` (`NONE` outside the search
    window), and the coarse surfaces ``(n, m, m)`` with two pixels between neighbours.
    """
    coarse = _coarse(ref, mov, corners, size, radius)
    chip, start, flat = _hills(coarse, radius)
    shifts, around = np.zeros((len(corners), 2), np.int64), np.full((len(corners), 3, 3), NONE, np.float32)
    at = start.clip(1, 2 * radius - 1)
    squares = _score_squares(ref, mov, corners[chip], at - radius, size)
    at, squares = _climb(ref, mov, corners[chip], at, squares, size, radius, FIRST_STEPS)
    order = np.lexsort((-squares.max(axis=(1, 2)), chip))
    which, first = np.unique(chip[order], return_index=True)
    best = order[first]
    at, squares = _climb(ref, mov, corners[which], at[best], squares[best], size, radius, 4 * radius)
    tops, around[which] = _tops(at, squares)
    shifts[which] = tops - radius
    for i in flat.tolist():
        scores = surface(ref, mov, int(corners[i, 0]), int(corners[i, 1]), size, radius)
        y, x = divmod(int(scores.argmax()), scores.shape[1])
        shifts[i] = y - radius, x - radius
        around[i] = neighbours(scores, y, x)
    return shifts, around, coarse.scores


def _hills(coarse: Coarse, radius: int) -> tuple[I64, I64, I64]:
    """Choose where to climb from: hills of the interpolated surface that can still win, and the bump.

    Returns
    -------
    Numbers of chips ``(m,)`` and positions ``(m, 2)`` to climb from, and the numbers of the chips that
    have more than `MOST_HILLS` of them.
    """
    count, width = coarse.fine.shape[:2]
    tall = np.pad(coarse.fine, ((0, 0), (1, 1), (0, 0)), constant_values=NONE).reshape(-1, width)
    top = cv2.dilate(tall, np.ones((3, 3), np.uint8)).reshape(count, width + 2, width)[:, 1:-1]
    floor = coarse.fine.max(axis=(1, 2)) - coarse.margin
    hills = (coarse.fine >= top) & (coarse.fine >= floor[:, None, None])
    number = np.count_nonzero(hills, axis=(1, 2))
    hills[number > MOST_HILLS] = False
    chip, row, col = np.unravel_index(np.flatnonzero(hills), hills.shape)  # far quicker than nonzero
    sharp = _sharpest(coarse.scores) * 2 + radius - 2 * ((radius + 1) // 2)
    bumps = np.flatnonzero(number <= MOST_HILLS)
    near = np.zeros(count, dtype=bool)
    close = np.abs(sharp[chip] - np.stack([row, col], axis=1)).max(axis=1) <= 1
    near[chip[close]] = True
    bumps = bumps[~near[bumps]]
    where = np.concatenate([np.stack([row, col], axis=1), sharp[bumps].clip(0, width - 1)])
    return np.concatenate([chip, bumps]), where.astype(np.int64), np.flatnonzero(number > MOST_HILLS)


_SQUARE = np.mgrid[-1:2, -1:2]


def neighbours(scores: F32, y: int, x: int) -> F32:
    """Return the 3×3 scores around a position, `NONE` outside the surface."""
    if 0 < y < scores.shape[0] - 1 and 0 < x < scores.shape[1] - 1:
        return scores[y - 1 : y + 2, x - 1 : x + 2]
    return np.pad(scores, 1, constant_values=NONE)[y : y + 3, x : x + 3]


def _coarse(ref: Texture, mov: Texture, corners: I64, size: int, radius: int) -> Coarse:
    chip, reach = size // 2, (radius + 1) // 2
    scores = np.empty((len(corners), 2 * reach + 1, 2 * reach + 1), np.float32)
    halves = []
    for i, (row, col) in enumerate(corners.tolist()):
        odd, y, x = (row % 2, col % 2), row // 2, col // 2
        template = half(ref, odd)[y : y + chip, x : x + chip]
        window = half(mov, odd)[y - reach : y + chip + reach, x - reach : x + chip + reach]
        cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED, scores[i])
        halves.append((template, window))
    best = np.stack(np.divmod(scores.reshape(len(scores), -1).argmax(axis=1), 2 * reach + 1), axis=1)
    kept = np.empty((len(corners), 2))
    for i, ((template, window), (y, x)) in enumerate(zip(halves, best.tolist(), strict=True)):
        kept[i] = _spread(template), _spread(window[y : y + chip, x : x + chip])
    places = corners + 2 * (best - reach)
    whole = [energy(s, at[:, 0], at[:, 1], size) for s, at in ((ref, corners), (mov, places))]
    lost = np.clip(1 - 4 * kept / np.maximum(np.stack(whole, axis=1), ref.floor), 0, 1)
    margin = np.clip(MARGIN[1] * np.sqrt(lost.prod(axis=1)), MARGIN[0], MARGIN[2]).astype(np.float32)
    between = _between(radius)
    wide = (scores.reshape(-1, scores.shape[2]) @ between.T).reshape(len(scores), scores.shape[1], -1)
    return Coarse(scores, np.asarray(between @ wide, np.float32), margin)


def _spread(image: F32) -> float:
    return float(cv2.norm(image, cv2.NORM_L2SQR) - cv2.sumElems(image)[0] ** 2 / image.size)


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
    ref: Texture, mov: Texture, corners: I64, at: I64, squares: F32, size: int, radius: int, rounds: int
) -> tuple[I64, F32]:
    """Walk uphill at full resolution from `at` until all neighbours are lower, or for `rounds` steps.

    `at` and `squares`: positions ``(m, 2)`` off the border of the search window, and the 3×3 scores around
    them; both are carried along and returned.
    """
    moving = np.arange(len(at))
    for _ in range(rounds):
        towards = (at[moving] + _uphill(squares[moving])).clip(1, 2 * radius - 1)
        goes = (towards != at[moving]).any(axis=1)
        moving = moving[goes]
        if not len(moving):
            break
        at[moving] = towards[goes]
        squares[moving] = _score_squares(ref, mov, corners[moving], at[moving] - radius, size)
    return at, squares


def _tops(at: I64, squares: F32) -> tuple[I64, F32]:
    """Return the highest positions of 3×3 squares, and the scores around them: `NONE` beyond the border."""
    step = _uphill(squares)
    around = squares.copy()
    for i in np.flatnonzero(step.any(axis=1)).tolist():  # tops on the border of the window
        y, x = step[i].tolist()
        around[i] = np.pad(squares[i], 1, constant_values=NONE)[1 + y : 4 + y, 1 + x : 4 + x]
    return at + step, around


def _uphill(squares: F32) -> I64:
    """Step ``(n, 2)`` from the centre of each 3×3 square to its highest score; 0 if that is the centre."""
    flat = squares.reshape(-1, 9)
    best = np.where(flat[:, 4] >= flat.max(axis=1), 4, flat.argmax(axis=1))
    return np.stack(np.divmod(best, 3), axis=1) - 1
