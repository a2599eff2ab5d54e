"""Matching of many chips between two scenes by normalised cross-correlation.

A chip is a square of `size` pixels of the reference scene; it is sought in a window `scale`
times as wide of the moving scene, centred on where the chip was (Min et al. 2019, figure 2).
Rows grow downwards, as in images: a positive row shift is a move down.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import ThreadpoolController

from icectl.arrays import F32, I64, Bools
from icectl.errors import DataError, UsageError
from icectl.imagery import coarse
from icectl.imagery.correlation import NONE, Texture, clean, energy, half, prepare, surface
from icectl.imagery.threads import each

Search = Literal["coarse-to-fine", "exhaustive"]

LEAST_COARSE = 48
"""Chips below this width hold too little texture at half the resolution; all shifts are scored."""

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

    shift: I64
    subpixel: F32
    score: F32
    snr: F32
    ratio: F32
    found: Bools


def joined(parts: Iterable[Matches]) -> Matches:
    """Put the matches of several groups of chips together, in their order."""
    every = list(parts)
    return Matches(*(np.concatenate([getattr(m, f.name) for m in every]) for f in fields(Matches)))


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
    valid: tuple[Bools | None, Bools | None] = (None, None),
    search: Search = "coarse-to-fine",
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
    search
        ``"coarse-to-fine"`` (the same whole-pixel peak in all but a few of a thousand cases) or
        ``"exhaustive"``.
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

    each(ready, (0, 1), workers)
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
    usable = _usable(ref, corners, size)
    quick = (
        usable & _clear(mov, corners, size, radius) & (size >= LEAST_COARSE) & (search == "coarse-to-fine")
    )
    odd = sorted(set(map(tuple, (corners[quick] % 2).tolist())))
    each(_halve, [(scene, one) for one in odd for scene in (ref, mov)], workers)
    found = _Found(len(corners), radius)
    parts = [p for p in (np.flatnonzero(quick), np.flatnonzero(usable & ~quick)) if len(p)]
    jobs = [(bool(quick[p[0]]), q) for p in parts for q in np.array_split(p, -(-len(p) // BATCH))]

    def work(job: tuple[bool, I64]) -> None:
        fast, which = job
        (found.quickly if fast else found.slowly)(which, ref, mov, corners[which], size)

    with _libraries().limit(limits=1, user_api="blas"):  # else BLAS starts threads under each of ours
        each(work, jobs, workers)
    return found.matches()


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """Return the thread pools of loaded libraries; finding them takes longer than to match some chips."""
    return ThreadpoolController()


def texture(image: ArrayLike, size: int, scale: float, valid: Bools | None = None) -> Texture:
    """Make a scene ready for `match_chips`, to be used again and again."""
    return prepare(image, valid, search_radius(size, scale) + 2)


def _shape(scene: Texture) -> tuple[int, ...]:
    return tuple(n - 2 * scene.margin for n in scene.image.shape)


def _halve(job: tuple[Texture, tuple[int, int]]) -> None:
    half(*job)


def _usable(ref: Texture, corners: I64, size: int) -> Bools:
    """Chips that lie within the scene, hold only valid pixels, and are not constant."""
    limit = np.array(ref.image.shape) - size
    inside = np.asarray(((corners >= 0) & (corners <= limit)).all(axis=1))
    row, col = np.where(inside[:, None], corners, 0).T
    whole = clean(ref, row, col, size)
    return np.asarray(inside & whole & (energy(ref, row, col, size) > 0))


def _clear(mov: Texture, corners: I64, size: int, radius: int) -> Bools:
    """Chips whose whole search window is valid."""
    limit = np.array(mov.image.shape) - size - radius
    inside = np.asarray(((corners >= radius) & (corners <= limit)).all(axis=1))
    row, col = np.where(inside[:, None], corners - radius, 0).T
    width = min(size + 2 * radius, *mov.image.shape)
    return np.asarray(inside & clean(mov, row, col, width))


class _Found:
    """Gathers peaks; threads write disjoint rows."""

    def __init__(self, count: int, radius: int) -> None:
        self.radius = radius
        self.shift = np.zeros((count, 2), np.int64)
        self.around = np.full((count, 3, 3), NONE, np.float32)
        self.snr, self.ratio = np.full((2, count), np.nan, np.float32)
        self.found = np.zeros(count, dtype=bool)

    def quickly(self, which: I64, ref: Texture, mov: Texture, corners: I64, size: int) -> None:
        """Search coarse to fine."""
        self.shift[which], self.around[which], surfaces = coarse.search(ref, mov, corners, size, self.radius)
        self.snr[which], self.ratio[which] = quality(surfaces, self.shift[which], self.around[which, 1, 1], 2)
        self.found[which] = self.around[which, 1, 1] > NONE + 1  # a constant window scores that

    def slowly(self, which: I64, ref: Texture, mov: Texture, corners: I64, size: int) -> None:
        """Score every position."""
        for i, (row, col) in zip(which.tolist(), corners.tolist(), strict=True):
            scores = surface(ref, mov, row, col, size, self.radius)
            y, x = divmod(int(scores.argmax()), scores.shape[1])
            if scores[y, x] > NONE:
                self.shift[i] = y - self.radius, x - self.radius
                self.around[i] = coarse.neighbours(scores, y, x)
                snr, ratio = quality(scores[None], self.shift[i][None], scores[y, x][None], 1)
                self.snr[i], self.ratio[i], self.found[i] = snr[0], ratio[0], True

    def matches(self) -> Matches:
        """Return what was gathered."""
        nan = np.where(self.found, 0, np.nan).astype(np.float32)
        subpixel = (self.shift + parabola(self.around) + nan[:, None]).astype(np.float32)
        score = np.clip(self.around[:, 1, 1], -1, 1) + nan
        return Matches(self.shift, subpixel, score, self.snr, self.ratio, self.found)


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


def quality(surfaces: F32, shift: I64, peak: F32, step: int) -> tuple[F32, F32]:
    """Signal-to-noise and peak ratio from the scores away from the peak.

    Parameters
    ----------
    surfaces
        ``(n, m, m)`` scores, `NONE` where unusable, with `step` pixels between neighbours.
    shift, peak
        ``(n, 2)`` the shift found in pixels, and ``(n,)`` its score.
    """
    line = (np.arange(surfaces.shape[1]) - surfaces.shape[1] // 2) * step
    near = [np.abs(line[None] - shift[:, axis, None]) <= APART for axis in (0, 1)]
    outside = ~(near[0][:, :, None] & near[1][:, None]) & (surfaces > NONE)
    count = outside.sum(axis=(1, 2))
    some = np.maximum(count, 1)
    values = np.where(outside, surfaces, np.float32(0))
    mean = values.sum(axis=(1, 2)) / some
    spread = np.sqrt(np.maximum(np.square(values).sum(axis=(1, 2)) / some - mean**2, 1e-12))
    second = np.where(outside, surfaces, NONE).max(axis=(1, 2))
    ratio = np.where(second > 0, np.maximum(peak / np.maximum(second, 1e-6), 1), np.inf)
    few = count < 8
    return np.where(few, np.nan, (peak - mean) / spread), np.where(few, np.nan, ratio)
