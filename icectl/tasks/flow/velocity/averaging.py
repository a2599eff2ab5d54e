"""One velocity from many pairs of frames: which of them to believe in each cell, and by how much.

A pair counts by time² · ρ² / (1 − ρ²): the error of its velocity falls with its time span, and grows as its
chips lose their likeness ρ. Three things are left out or count less, because ground and light that stand
still pull at what moves: chips larger than need be, long spans that contradict short ones, and pairs over
which the ice moved by less than the width of a peak.
"""

from dataclasses import dataclass

import numpy as np

from icectl.arrays import F64, I64, Bools

YEAR = 365.0
"""Days, as ITS_LIVE counts."""

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
        ``(pairs,)`` expected error of a pair's velocity, pixels a year.
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
    expected = np.sqrt((weights**2 * errors[:, None, None] ** 2).sum(axis=0)) / safe
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

    `layers`: ``(pairs, rows, cols, 2)`` pixels a year, NaN where nothing was found; `spans`: ``(pairs,)``
    days.
    """
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
    return keep


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
