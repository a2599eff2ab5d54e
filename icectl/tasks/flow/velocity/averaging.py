"""One velocity from many pairs of frames: which of them to believe in each cell, and by how much.

A pair counts by time² · ρ² / (1 − ρ²): the error of its velocity falls with its time span, and grows as its
chips lose their likeness ρ. Three things are left out or count less, because ground and light that stand
still pull at what moves: chips larger than need be, long spans that contradict short ones, and pairs over
which the ice moved by less than the width of a peak.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icectl.arrays import F64, I64, Bools

YEAR = 365.0
"""Days, as ITS_LIVE counts."""

MAJORITY = 3
"""Pairs that together outvote one of a shorter span with which none agrees."""

AGREEMENT = 0.5
"""Pixels that the displacements of two pairs may differ by, at the span of the shorter."""

PEAK = 2.0
"""Pixels of displacement at which the moving peak parts from that of what stands still."""


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of the pairs, in pixels a year: ``(rows, cols)`` each.

    Attributes
    ----------
    down, right
        Velocity along rows and columns; NaN where no pair told any.
    error
        Standard error of either component.
    count
        Pairs that contributed.
    chip
        Side of their chips in pixels; 0 where there are none.
    """

    down: F64
    right: F64
    error: F64
    count: I64
    chip: I64


def combine(velocity: F64, likeness: F64, chips: I64, errors: F64, spans: F64) -> Mean:
    """Average the velocities of the pairs.

    Parameters
    ----------
    velocity
        ``(pairs, rows, cols, 2)`` pixels a year down and right, NaN where nothing was found.
    likeness
        ``(pairs, rows, cols)`` ρ² / (1 − ρ²); 0 where nothing was found.
    chips
        ``(pairs, rows, cols)`` sides of the chips; 0 where nothing was found.
    errors
        ``(pairs, rows, cols)``, or one for all cells, ``(pairs, 1, 1)``: expected error of a pair's velocity,
        pixels a year.
    spans
        ``(pairs,)`` days.
    """
    chip, weights = finest(chips, likeness * spans[:, None, None] ** 2)
    known = np.where(weights[..., None] > 0, velocity, np.nan)
    weights = weights * agreeing(known, spans)
    first = np.hypot(*np.moveaxis(_mean(known, weights), -1, 0))
    moved = first * spans[:, None, None] / YEAR
    weights = weights * (moved**2 + 1e-6) / (moved**2 + PEAK**2)
    value = _mean(known, weights)
    total = weights.sum(axis=0)
    value[total == 0] = np.nan
    safe = np.maximum(total, 1e-12)
    expected = np.sqrt((weights**2 * errors**2).sum(axis=0)) / safe
    count = (weights > 0).sum(axis=0)
    apart = np.where(weights > 0, ((known - value) ** 2).mean(axis=-1), 0.0)
    scatter = (weights * apart).sum(axis=0) / safe
    observed = np.sqrt(scatter / np.maximum(count - 1, 1)) * (count > 1)
    error = np.where(total > 0, np.maximum(expected, observed), np.nan)
    return Mean(value[..., 0], value[..., 1], error, count, chip)


def _mean(velocity: F64, weights: F64) -> F64:
    """Weighted mean over pairs ``(rows, cols, 2)``; 0 where none counts."""
    total = np.where(weights[..., None] > 0, velocity * weights[..., None], 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(weights.sum(axis=0), 1e-12)[..., None])


def agreeing(layers: F64, spans: F64) -> Bools:
    """Return which velocities of which pairs agree with those of shorter spans.

    Over a short span ice moves little and looks the same, so that its displacement is coarse but true;
    over a long one it may be past recognition, and what is matched is then the light on slopes, which
    stands still. Pairs are taken from the shortest to the longest, and one that lies farther from the
    mean so far than `AGREEMENT` pixels over the longest span in it, and a quarter of the speed, is left out.
    A pair that none agrees with is left out itself where three others agree on ice that moves.

    `layers`: ``(pairs, rows, cols, 2)`` pixels a year, NaN where nothing was found; `spans`: ``(pairs,)``
    days.
    """
    keep, _ = _from_shortest(layers, spans)
    rest, own = layers, keep
    for _ in spans[MAJORITY:]:
        alone = own & (own.sum(axis=0) == 1)
        if not alone.any():
            break
        rest = np.where(alone[..., None], np.nan, rest)
        own, moved = _from_shortest(rest, spans)
        better = (keep.sum(axis=0) == 1) & (own.sum(axis=0) >= MAJORITY) & (moved > AGREEMENT)
        keep = np.where(better, own, keep)
    return keep


def _from_shortest(layers: F64, spans: F64) -> tuple[Bools, F64]:
    """Return which pairs agree with those of shorter spans, and the pixels that their mean moves."""
    total, weight = np.zeros(layers.shape[1:]), np.zeros(layers.shape[1:3])
    longest = np.zeros(layers.shape[1:3])
    keep = np.isfinite(layers[..., 0])
    for i in np.argsort(spans, kind="stable"):
        mean = total / np.maximum(weight, 1e-12)[..., None]
        slack = AGREEMENT * YEAR / np.maximum(longest, 1e-6) + np.hypot(*np.moveaxis(mean, -1, 0)) / 4
        off = np.hypot(*np.moveaxis(layers[i] - mean, -1, 0))
        keep[i] &= (weight == 0) | (off <= slack)
        total += np.where(keep[i][..., None], layers[i] * spans[i] ** 2, 0)
        weight += keep[i] * spans[i] ** 2
        longest = np.where(keep[i], spans[i], longest)
    speed = np.hypot(*np.moveaxis(total / np.maximum(weight, 1e-12)[..., None], -1, 0))
    return keep, np.asarray(speed * longest / YEAR)


def finest(chips: I64, weights: F64) -> tuple[I64, F64]:
    """Let only the smallest chips that found anything count in each cell.

    Larger ones average over ice of other speeds, and over the shading of slopes that stand still.

    `chips` and `weights`: ``(pairs, rows, cols)`` sides of the chips (0: nothing found), and weights of the
    pairs.

    Returns
    -------
    The side in each cell ``(rows, cols)``, and the weights, 0 for larger chips.
    """
    huge = np.iinfo(np.int64).max
    least = np.where(chips > 0, chips, huge).min(axis=0, initial=huge)
    return np.where(least < huge, least, 0), np.where(chips == least, weights, 0.0)


SPAN = 62.0
"""Days; a longer pair says nothing of a single month."""


@dataclass(frozen=True, slots=True)
class Months:
    """A series by month: ``months (m,)`` as datetime64[M], ``(m, rows, cols)`` each, and pairs ``(m,)``."""

    months: NDArray[np.datetime64]
    vx: F64
    vy: F64
    error: F64
    count: I64


def by_month(
    layers: F64, errors: F64, pairs: Sequence[tuple[int, int]], times: NDArray[np.datetime64]
) -> Months:
    """Average pairs by the month in which the middle of their dates lies, weighed by 1 / error².

    Parameters
    ----------
    layers
        ``(pairs, rows, cols, 2)`` velocities, NaN where a pair tells none.
    errors
        ``(pairs, rows, cols)``, or one for all cells, ``(pairs, 1, 1)``: standard errors of a component.
    pairs, times
        Numbers of both frames of each pair, and the dates of the frames.
    """
    first, second = (times[[pair[k] for pair in pairs]] for k in (0, 1))
    days = (second - first) / np.timedelta64(1, "D")
    month = (first + (second - first) / 2).astype("datetime64[M]")
    short = np.flatnonzero(days <= SPAN) if len(pairs) else np.zeros(0, np.int64)
    months = np.unique(month[short])
    shape = (len(months), *layers.shape[1:3])
    vx, vy, error = np.full((3, *shape), np.nan)
    count = np.zeros(len(months), np.int64)
    for i, one in enumerate(months):
        which = short[month[short] == one]
        weights = np.where(np.isfinite(layers[which, ..., 0]), 1 / np.maximum(errors[which], 1e-9) ** 2, 0)
        total = weights.sum(axis=0)
        safe = np.where(total > 0, total, np.nan)
        vx[i], vy[i] = ((np.nan_to_num(layers[which, ..., k]) * weights).sum(axis=0) / safe for k in (0, 1))
        error[i], count[i] = 1 / np.sqrt(safe), len(which)
    return Months(months, vx, vy, error, count)


def speed_by_month(series: Months) -> list[dict[str, object]]:
    """Return each month's quartiles of the speed over the cells that are known in all months, or nothing.

    The same ice in every month, so that a change of the quartiles is one of the ice and not of its cells.
    """
    speed = np.hypot(series.vx, series.vy)
    always = np.isfinite(speed).all(axis=0)
    if not always.any():
        return []
    quartiles = np.percentile(speed[:, always], (25, 50, 75), axis=1).T
    return [
        {
            "month": str(month), "speed": round(float(middle), 3), "low": round(float(low), 3),
            "high": round(float(high), 3), "cells": int(always.sum()), "pairs": int(count),
        }
        for month, (low, middle, high), count in zip(series.months, quartiles, series.count, strict=True)
    ]  # fmt: skip
