"""Chips: where they start, and how they follow the ice from scene to scene.

Each next chip is the best match of the one before it (Min et al. 2019, section 2.1), so that a
sequence shows one piece of ice although it moves. A match may be refused when its score or its
peak ratio is low, as under cloud, where the best match is chance: the chip then goes on by the
last trusted velocity, and is sought next by what it last looked like for certain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np

from icectl.arrays import F32, I64, Array, Bools
from icectl.errors import DataError, UsageError
from icectl.imagery.correlation import Texture
from icectl.imagery.matching import match_chips


@dataclass(frozen=True, slots=True)
class Tracks:
    """Paths of n chips over T scenes.

    Attributes
    ----------
    position
        ``(n, T, 2)`` int: row and column of the chip's top left corner in each scene.
    score
        ``(n, T)`` float32: correlation with the chip before; NaN at the first scene and where no
        match was found.
    trusted
        ``(n, T)`` bool: the chip was matched, not carried on; False at the first scene.
    inside
        ``(n,)`` bool: the chip stays within the scene throughout.
    """

    position: I64
    score: F32
    trusted: Bools
    inside: Bools


def startable(valid: Bools, size: int, border: int = 0) -> Bools:
    """Return True at top left corners whose chip, widened by `border`, holds only valid pixels.

    The result has the shape of `valid`; NaN-free masks only.
    """
    rows, cols = valid.shape
    wide = size + 2 * border
    out = np.zeros(valid.shape, dtype=bool)
    if size < 1 or wide > min(rows, cols):
        return out
    bad = cv2.integral((~valid).astype(np.uint8), sdepth=cv2.CV_32S)
    whole = bad[wide:, wide:] - bad[:-wide, wide:] - bad[wide:, :-wide] + bad[:-wide, :-wide] == 0
    out[border : border + whole.shape[0], border : border + whole.shape[1]] = whole
    return out


def grid_starts(valid: Bools, size: int, count: int, border: int = 0) -> I64:
    """Place exactly `count` chip starts on a regular grid of valid ground.

    The widest spacing that holds `count` chips is taken; what it holds beyond that is left out
    evenly. Chips may overlap.

    Parameters
    ----------
    valid
        ``(rows, cols)`` pixels that may be part of a chip.
    size, border
        Width of a chip, and of a margin around it that must be valid too, in pixels.

    Returns
    -------
    ``(count, 2)`` rows and columns of top left corners.

    Raises
    ------
    DataError
        If the valid ground has no room for `count` different starts.
    """
    if count < 1:
        raise UsageError(f"--chips {count} asks for no chip", "ask for at least one")
    free = startable(valid, size, border)
    room = int(free.sum())
    if room < count:
        raise DataError(
            f"{count} chips of {size} pixels asked for, but the valid ground has room for {room} starts",
            "ask for fewer or smaller chips"
            + ("" if room else "; black or missing pixels of any frame count as no ground"),
        )
    return starts_on(free, count)


def starts_on(free: Bools, count: int) -> I64:
    """Return `count` of the starts that are True in `free`, on the widest regular grid that holds them."""
    low, high = 1, max(free.shape)
    while low < high:  # widest spacing that still holds enough
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(_lattice(free, middle)) >= count else (low, middle - 1)
    starts = _lattice(free, low)
    return starts[np.linspace(0, len(starts) - 1, count).round().astype(np.int64)]


def _lattice(free: Bools, step: int) -> I64:
    """Free positions on a grid of `step` pixels, centred on the free ground."""
    rows, cols = np.flatnonzero(free.any(axis=1)), np.flatnonzero(free.any(axis=0))
    top = rows[0] + (rows[-1] - rows[0]) % step // 2
    left = cols[0] + (cols[-1] - cols[0]) % step // 2
    return np.asarray(np.argwhere(free[top::step, left::step]) * step + [top, left], dtype=np.int64)


def cut(image: Array, starts: I64, size: int) -> Array:
    """Cut chips ``(n, size, size)`` out of an image ``(rows, cols)``; all must lie inside it."""
    if len(starts) and (starts.min() < 0 or (starts + size > image.shape).any()):
        raise DataError(
            f"a chip of {size} pixels leaves the scene of {image.shape[0]}×{image.shape[1]} pixels"
        )
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    return windows[starts[:, 0], starts[:, 1]].copy()


def follow(
    scenes: Sequence[Texture],
    starts: I64,
    size: int = 128,
    scale: float = 1.5,
    *,
    dates: Sequence[datetime] | None = None,
    trust: tuple[float, float] | None = None,
) -> Tracks:
    """Follow chips through a series of scenes.

    Parameters
    ----------
    scenes
        Scenes in order of time, each from `icectl.imagery.matching.texture`.
    starts
        ``(n, 2)`` top left corners in the first scene.
    dates
        Dates of the scenes, for carrying a chip on over uneven gaps; even gaps without them.
    trust
        Score and peak ratio: a match below either is not trusted, and the chip is carried on by its last
        trusted velocity (0 before the first). Without it every match is trusted, as in the paper.
    """
    least_score, least_ratio = (-1.0, 1.0) if trust is None else trust
    days = _days(dates, len(scenes))
    count = len(starts)
    position = np.zeros((count, len(scenes), 2), np.int64)
    score, trusted = (
        np.full((count, len(scenes)), np.nan, np.float32),
        np.zeros((count, len(scenes)), dtype=bool),
    )
    velocity, inside = np.zeros((count, 2)), np.ones(count, dtype=bool)
    position[:, 0] = starts
    last = np.zeros(count, np.int64)  # the scene where each chip was last seen for certain
    limit = np.array(scenes[0].image.shape) - 2 * scenes[0].margin - size
    for t in range(1, len(scenes)):
        for seen in np.unique(last):
            who = np.flatnonzero(last == seen)
            start = position[who, seen]
            found = match_chips(scenes[seen], scenes[t], start, size, scale)
            good = found.found & (found.score >= least_score) & (found.ratio >= least_ratio)
            step = max(days[t] - days[seen], 1e-9)
            velocity[who] = np.where(good[:, None], found.shift / step, velocity[who])
            moved = np.where(good[:, None], found.shift, np.rint(velocity[who] * step).astype(np.int64))
            position[who, t] = start + moved
            score[who, t], trusted[who, t] = found.score, good
        inside &= ((position[:, t] >= 0) & (position[:, t] <= limit)).all(axis=1)
        position[:, t] = np.clip(position[:, t], 0, limit)
        last = np.where(trusted[:, t], t, last)
    return Tracks(position, score, trusted, inside)


def _days(dates: Sequence[datetime] | None, count: int) -> list[float]:
    """Return days since the first scene; evenly one day apart if no dates are known."""
    if dates is None:
        return [float(i) for i in range(count)]
    if len(dates) != count:
        raise DataError(f"{count} scenes but {len(dates)} dates")
    return [(date - dates[0]).total_seconds() / 86400 for date in dates]
