"""Composites over periods of months, and linear interpolation of the periods without a scene.

Müller 2023, section 3, averages the scenes of three (or six) months into one frame. Here it is the
true mean or median per pixel over the valid scenes. Periods with no usable scene inside the series
are interpolated linearly in time; at either end they are dropped, never extrapolated.

All work goes strip by strip, so memory does not grow with the length of the image.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import IntFlag
from typing import Literal

import numpy as np

from icectl.arrays import F32, U8, Bools
from icectl.imagery.periods import Period

Statistic = Literal["mean", "median"]
Scene = tuple[F32, Bools | None]
"""One scene's values (NaN where missing) and where they were made up by gap filling (or None)."""

ReadRows = Callable[[int, slice], Scene]
"""``read(scene, rows)`` returns those rows of one scene."""


class Flag(IntFlag):
    """Where a composite's pixel comes from; 0 where there is no value."""

    OBSERVED = 1
    FILLED = 2
    INTERPOLATED = 4


def combine(scenes: Sequence[Scene], statistic: Statistic = "mean") -> tuple[F32, U8]:
    """Combine the scenes of one period, pixel by pixel.

    A measured value always wins over one that gap filling made up: made-up values count only where
    no scene of the period measured the pixel.

    Parameters
    ----------
    scenes
        Values ``(rows, columns)`` and where they were made up.
    statistic
        ``"mean"`` or ``"median"`` over the valid scenes.

    Returns
    -------
    values
        float32, NaN where no scene has a value.
    flags
        uint8 of `Flag`: OBSERVED, FILLED, or 0.
    """
    measured = [v if m is None else np.where(m, np.float32(np.nan), v) for v, m in scenes]
    values = _reduce(measured, statistic)
    flags = (~np.isnan(values)).astype(np.uint8) * np.uint8(Flag.OBSERVED)
    if any(m is not None and m.any() for _, m in scenes):
        guess = _reduce([v for v, _ in scenes], statistic)
        holes = np.isnan(values)
        values[holes] = guess[holes]
        flags[holes & ~np.isnan(guess)] = Flag.FILLED
    return values, flags


def _reduce(frames: Sequence[F32], statistic: Statistic) -> F32:
    """Return the mean or median over valid values; NaN where there is none (and no warning)."""
    if statistic == "median":
        stack = np.sort(np.stack(frames), axis=0)  # NaN sorts last
        count = (~np.isnan(stack)).sum(axis=0)
        low = np.take_along_axis(stack, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
        high = np.take_along_axis(stack, np.minimum(count // 2, len(frames) - 1)[None], axis=0)[0]
        return np.where(count > 0, (low + high) * np.float32(0.5), np.float32(np.nan))
    total = np.zeros(frames[0].shape, dtype=np.float64)
    count = np.zeros(frames[0].shape, dtype=np.int32)
    for frame in frames:
        valid = ~np.isnan(frame)
        np.add(total, frame, out=total, where=valid)
        count += valid
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32)


def interpolate(values: F32, flags: U8, days: Sequence[float] | None = None) -> None:
    """Fill missing values between two valid frames linearly in time, in place.

    A pixel that is missing before its first or after its last value stays missing.

    Parameters
    ----------
    values, flags
        ``(periods, rows, columns)``; what is filled gets `Flag.INTERPOLATED`.
    days
        When the frames are; by default they are equally far apart.
    """
    missing = np.isnan(values)
    if not missing.any():
        return
    count = len(values)
    frame = np.arange(count, dtype=np.int32)[:, None, None]
    before, after = np.where(missing, np.int32(-1), frame), np.where(missing, np.int32(count), frame)
    for k in range(1, count):  # frame by frame: NumPy's accumulate over the first axis is slower
        np.maximum(before[k], before[k - 1], out=before[k])
        np.minimum(after[-1 - k], after[-k], out=after[-1 - k])
    inside = missing & (before >= 0) & (after < count)
    t, y, x = np.nonzero(inside)
    a, b = before[t, y, x], after[t, y, x]
    when = np.arange(count) if days is None else np.asarray(days)
    share = ((when[t] - when[a]) / (when[b] - when[a])).astype(np.float32)
    values[t, y, x] = (1 - share) * values[a, y, x] + share * values[b, y, x]
    flags[t, y, x] = Flag.INTERPOLATED


def composite_strips(
    read: ReadRows,
    periods: Sequence[Period],
    shape: tuple[int, int],
    statistic: Statistic = "mean",
    strip: int = 128,
    days: Sequence[float] | None = None,
) -> Iterator[tuple[slice, F32, U8]]:
    """Yield finished strips of the whole series.

    Parameters
    ----------
    read
        Returns the asked rows of one scene.
    periods
        From `plan_periods`.
    shape
        ``(rows, columns)`` of a scene.
    strip
        Rows held in memory at a time.
    days
        As in `interpolate`.

    Yields
    ------
    rows
        Which rows these are.
    values, flags
        ``(periods, rows, columns)``, float32 and uint8.
    """
    for top in range(0, shape[0], strip):
        rows = slice(top, min(top + strip, shape[0]))
        size = (len(periods), rows.stop - rows.start, shape[1])
        values = np.full(size, np.nan, dtype=np.float32)
        flags = np.zeros(size, dtype=np.uint8)
        for k, period in enumerate(periods):
            if period.scenes:
                values[k], flags[k] = combine([read(i, rows) for i in period.scenes], statistic)
        interpolate(values, flags, days)
        yield rows, values, flags
