"""Matching of many chips between two scenes by normalised cross-correlation.

A chip is a square of `size` pixels of the reference scene; it is sought in a window `scale`
times as wide of the moving scene, centred on where the chip was (Min et al. 2019, figure 2).
Rows grow downwards, as in images: a positive row shift is a move down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import ThreadpoolController

from icectl.errors import DataError, UsageError
from icectl.imagery.correlation import F32, NONE, Texture, clean, energy, prepare, surface

BATCH = 64
"""Chips handed to a thread at once."""

APART = 8
"""Pixels from the peak beyond which a second peak counts as another one."""


@dataclass(frozen=True, slots=True)
class Matches:
    """Where each of n chips went.

    Attributes
    ----------
    shift
        ``(n, 2)`` int: rows and columns moved, at whole pixels; 0 where not found.
    subpixel
        ``(n, 2)`` float32: the same to a fraction of a pixel; NaN where not found.
    score
        ``(n,)`` float32: correlation at the whole-pixel peak; NaN where not found.
    snr
        ``(n,)`` float32: the peak's height over the mean of the other scores, in their standard
        deviations.
    ratio
        ``(n,)`` float32: the peak over the highest score more than `APART` pixels away, 1 or more
        (infinite if there is no positive one).
    found
        ``(n,)`` bool: the chip holds valid texture and a valid window position.
    """

    shift: NDArray[np.int64]
    subpixel: F32
    score: F32
    snr: F32
    ratio: F32
    found: NDArray[np.bool_]


def search_radius(size: int, scale: float) -> int:
    """Greatest shift in pixels for a window `scale` times as wide as the chip: ``size (scale - 1) / 2``."""
    if size < 4:
        raise UsageError(f"chip of {size} pixels is too small to match", "use at least 4; 32 to 128 is usual")
    if not scale > 1:
        raise UsageError(
            f"search scale {scale} leaves no room: the window would be no larger than the chip",
            "use a scale above 1, e.g. 1.5",
        )
    return max(round(size * (scale - 1) / 2), 1)


def match_chips(
    reference: ArrayLike | Texture,
    moving: ArrayLike | Texture,
    starts: ArrayLike,
    size: int = 128,
    scale: float = 1.5,
    *,
    valid: tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None] = (None, None),
    workers: int = 2,
) -> Matches:
    """Find each chip of `reference` in `moving`.

    Parameters
    ----------
    reference, moving
        Scenes ``(rows, cols)`` of one shape, or what `texture` made of them.
    starts
        ``(n, 2)`` integer rows and columns of the chips' top left corners in `reference`.
    size, scale
        Chip width in pixels; width of the search window over that of the chip.
    valid
        Masks of usable pixels of the two scenes (ignored for textures, which carry theirs).
    workers
        Threads; OpenCV and BLAS release the interpreter's lock.

    Raises
    ------
    UsageError
        If the window is no larger than the chip.
    DataError
        If the scenes differ in shape or hold more than one band.
    """
    radius = search_radius(size, scale)
    scenes: list[Any] = [reference, moving]

    def ready(which: int) -> None:
        if not isinstance(scenes[which], Texture):
            scenes[which] = texture(scenes[which], size, scale, valid[which])

    _each(ready, (0, 1), workers)
    ref, mov = scenes
    if ref.image.shape != mov.image.shape:
        raise DataError(
            f"scenes of shape {_shape(ref)} and {_shape(mov)} cannot be matched", "bring them to one grid"
        )
    if min(ref.margin, mov.margin) < radius + 2:
        raise DataError(
            f"a scene with a border of {min(ref.margin, mov.margin)} pixels is searched {radius} pixels far",
            "prepare it with `texture` for the same chip size and scale",
        )
    corners = np.asarray(starts, dtype=np.int64).reshape(-1, 2) + ref.margin
    usable = np.flatnonzero(_usable(ref, corners, size))
    found = _Found(len(corners), radius)

    def work(which: NDArray[np.int64]) -> None:
        found.score(which, ref, mov, corners[which], size)

    with _libraries().limit(limits=1, user_api="blas"):  # else BLAS starts threads under each of ours
        _each(work, np.array_split(usable, -(-len(usable) // BATCH) or 1), workers)
    return found.matches()


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """Return the thread pools of loaded libraries; finding them takes longer than to match some chips."""
    return ThreadpoolController()


def texture(image: ArrayLike, size: int, scale: float, valid: NDArray[np.bool_] | None = None) -> Texture:
    """Make a scene ready for `match_chips`, to be used again and again."""
    return prepare(image, valid, search_radius(size, scale) + 2)


def _shape(scene: Texture) -> tuple[int, ...]:
    return tuple(n - 2 * scene.margin for n in scene.image.shape)


def _each(work: Callable[[Any], None], jobs: Sequence[Any], workers: int) -> None:
    """Run `work` on all jobs in `workers` threads, with one OpenCV thread each."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        if workers < 2 or len(jobs) < 2:
            for job in jobs:
                work(job)
            return
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, jobs))
    finally:
        cv2.setNumThreads(threads)


def _usable(ref: Texture, corners: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Chips that lie within the scene, hold only valid pixels, and are not constant."""
    limit = np.array(ref.image.shape) - size
    inside = np.asarray(((corners >= 0) & (corners <= limit)).all(axis=1))
    row, col = np.where(inside[:, None], corners, 0).T
    whole = clean(ref, row, col, size)
    return np.asarray(inside & whole & (energy(ref, row, col, size) > 0))


class _Found:
    """Gathers peaks; threads write disjoint rows."""

    def __init__(self, count: int, radius: int) -> None:
        self.radius = radius
        self.shift = np.zeros((count, 2), np.int64)
        self.around = np.full((count, 3, 3), NONE, np.float32)
        self.snr, self.ratio = np.full((2, count), np.nan, np.float32)
        self.found = np.zeros(count, dtype=bool)

    def score(
        self, which: NDArray[np.int64], ref: Texture, mov: Texture, corners: NDArray[np.int64], size: int
    ) -> None:
        """Score every position of the chips `which`, and keep each peak."""
        for i, (row, col) in zip(which.tolist(), corners.tolist(), strict=True):
            scores = surface(ref, mov, row, col, size, self.radius)
            _, peak, _, (x, y) = cv2.minMaxLoc(scores)
            if peak > NONE:
                self.shift[i] = y - self.radius, x - self.radius
                self.around[i] = neighbours(scores, y, x)
                self.snr[i], self.ratio[i] = quality(scores, (y, x))
                self.found[i] = True

    def matches(self) -> Matches:
        """Return what was gathered."""
        nan = np.where(self.found, 0, np.nan).astype(np.float32)
        subpixel = (self.shift + parabola(self.around) + nan[:, None]).astype(np.float32)
        score = np.clip(self.around[:, 1, 1], -1, 1) + nan
        return Matches(self.shift, subpixel, score, self.snr, self.ratio, self.found)


def neighbours(scores: F32, y: int, x: int) -> F32:
    """Return the 3×3 scores around a position, `NONE` outside the surface."""
    if 0 < y < scores.shape[0] - 1 and 0 < x < scores.shape[1] - 1:
        return scores[y - 1 : y + 2, x - 1 : x + 2]
    return np.pad(scores, 1, constant_values=NONE)[y : y + 3, x : x + 3]


def parabola(around: F32) -> F32:
    """Offset ``(n, 2)`` of the top of the quadratic surface through 3×3 scores, within ±0.5 px.

    Least squares over the nine scores of each; (0, 0) at the border of the window or on a flat top.
    """
    s = np.moveaxis(around.astype(np.float64), 0, -1)
    gy, gx = (s[2] - s[0]).sum(axis=0) / 6, (s[:, 2] - s[:, 0]).sum(axis=0) / 6
    hyy, hxx = (s[0] - 2 * s[1] + s[2]).sum(axis=0) / 3, (s[:, 0] - 2 * s[:, 1] + s[:, 2]).sum(axis=0) / 3
    hxy = (s[0, 0] - s[0, 2] - s[2, 0] + s[2, 2]) / 4
    det = hyy * hxx - hxy**2
    top = (hyy < 0) & (det > 0) & (around > NONE).all(axis=(1, 2))
    offset = np.stack([hxy * gx - hxx * gy, hxy * gy - hyy * gx], axis=-1) / np.where(top, det, 1)[:, None]
    return np.where(top[:, None], np.clip(offset, -0.5, 0.5), 0).astype(np.float32)


def quality(scores: F32, at: tuple[int, int]) -> tuple[float, float]:
    """Return signal-to-noise and peak ratio from the scores more than `APART` pixels from the peak.

    Parameters
    ----------
    scores
        ``(m, m)`` scores of every shift, `NONE` where unusable.
    at
        Row and column of the peak.
    """
    rest = scores.copy()
    rest[max(at[0] - APART, 0) : at[0] + APART + 1, max(at[1] - APART, 0) : at[1] + APART + 1] = NONE
    usable = cv2.compare(rest, float(NONE), cv2.CMP_GT)
    count = cv2.countNonZero(usable)
    if count < 8:
        return np.nan, np.nan
    mean, spread = (float(v[0, 0]) for v in cv2.meanStdDev(rest, mask=usable))
    peak, second = float(scores[at]), cv2.minMaxLoc(rest)[1]
    ratio = max(peak / second, 1.0) if second > 1e-6 else np.inf
    return (peak - mean) / max(spread, 1e-6), ratio
