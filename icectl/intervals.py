"""Intervals of means and of gains over a rival, by drawing whole units with replacement.

A unit is what may be taken as independent: a tile of pixels, an image, a chip, a block of measured points.
Errors enter as sums and counts by unit, so that a mean over all that was scored stays one when units differ
in size. Model and rival share the draws: what is hard for both does not widen the interval of the gain.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def grouped(values: Floats, unit: NDArray[np.int64]) -> Floats:
    """Return (units, 2) sums and counts of finite `values` by the `unit` each belongs to (both (n,))."""
    counted = np.isfinite(values)
    _, place = np.unique(unit, return_inverse=True)
    units = int(place.max()) + 1 if len(place) else 0
    sums = np.bincount(place[counted], values[counted], units)
    return np.stack([sums, np.bincount(place[counted], minlength=units)], axis=1)


def mean_interval(
    units: Floats,
    *,
    draws: int,
    confidence: float = 0.95,
    seed: int = 0,
    of: Callable[[Floats], Floats] = np.asarray,
) -> list[float] | None:
    """Return ``[low, high]`` of ``of(sum / count)`` over `units` (n, 2); None for too few units or draws.

    Source: percentile bootstrap, Efron (1979).
    """

    def statistic(total: Floats, count: Floats, axis: int) -> Floats:
        return of(_mean(total, count, axis))

    return _interval(statistic, units.T, draws, confidence, seed)


def gain_interval(
    model: Floats,
    rival: Floats,
    *,
    draws: int,
    confidence: float = 0.95,
    seed: int = 0,
    higher_is_better: bool = False,
    of: Callable[[Floats], Floats] = np.asarray,
) -> list[float] | None:
    """Return ``[low, high]`` of how much better the model is than the rival, in per cent of the rival.

    `model` and `rival`: (n, 2) sums and counts of the same units. None for too few units or draws.
    """
    sign = 1.0 if higher_is_better else -1.0

    def statistic(own: Floats, count: Floats, other: Floats, others: Floats, axis: int) -> Floats:
        ratio = of(_mean(own, count, axis)) / of(_mean(other, others, axis))
        return np.asarray(100 * sign * (ratio - 1))

    return _interval(statistic, [*model.T, *rival.T], draws, confidence, seed)


def _mean(total: Floats, count: Floats, axis: int) -> Floats:
    return np.asarray(total.sum(axis=axis) / count.sum(axis=axis))


def _interval(
    statistic: Callable[..., Floats],
    columns: NDArray[np.float64] | list[Floats],
    draws: int,
    confidence: float,
    seed: int,
) -> list[float] | None:
    from scipy.stats import bootstrap

    if draws < 2 or len(columns[0]) < 2:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        found = bootstrap(
            tuple(columns),
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=draws,
            batch=max(1, min(draws, 2_000_000 // len(columns[0]))),
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng([seed, 30]),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return [low, high] if np.isfinite(low) and np.isfinite(high) else None
