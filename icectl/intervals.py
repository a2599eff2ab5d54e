"""Intervals of means and of gains over a baseline, by drawing whole units with replacement.

A unit is what may be taken as independent: a tile of pixels, an image, a chip, a block of measured points.
Errors enter as sums and counts by unit, so that a mean over all that was scored stays one when units differ
in size. Model and baseline share the draws: what is hard for both does not widen the interval of the gain.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from icectl.arrays import F64, I64
from icectl.contract import Table


def grouped(values: F64, unit: I64) -> F64:
    """Return (units, 2) sums and counts of finite `values` by the `unit` each belongs to (both (n,))."""
    counted = np.isfinite(values)
    _, place = np.unique(unit, return_inverse=True)
    units = int(place.max()) + 1 if len(place) else 0
    sums = np.bincount(place[counted], values[counted], units)
    return np.stack([sums, np.bincount(place[counted], minlength=units)], axis=1)


def mean_interval(
    units: F64,
    *,
    draws: int,
    seed: int = 0,
    of: Callable[[F64], F64] = np.asarray,
) -> list[float] | None:
    """Return ``[low, high]`` of ``of(sum / count)`` over `units` (n, 2); None for too few units or draws.

    Source: percentile bootstrap, Efron (1979).
    """

    def statistic(total: F64, count: F64, axis: int) -> F64:
        return of(_mean(total, count, axis))

    return _interval(statistic, units.T, draws, seed)


def gain_interval(
    model: F64,
    baseline: F64,
    *,
    draws: int,
    seed: int = 0,
    higher_is_better: bool = False,
    of: Callable[[F64], F64] = np.asarray,
) -> list[float] | None:
    """Return ``[low, high]`` of how much better the model is than the baseline, in per cent of the baseline.

    `model` and `baseline`: (n, 2) sums and counts of the same units. None for too few units or draws.
    """
    sign = 1.0 if higher_is_better else -1.0

    def statistic(own: F64, count: F64, other: F64, others: F64, axis: int) -> F64:
        ratio = of(_mean(own, count, axis)) / of(_mean(other, others, axis))
        return np.asarray(100 * sign * (ratio - 1))

    return _interval(statistic, [*model.T, *baseline.T], draws, seed)


def certainty(
    table: Table,
    units: Mapping[str, Mapping[str, F64]],
    *,
    draws: int,
    seed: int,
    of: Callable[[F64], F64] = np.asarray,
) -> dict[str, Any]:
    """Return the ``intervals`` of a table's rows, and of the ``gain`` over the bar, for `Metrics.details`.

    `units`: by name of a row and key of a column, (n, 2) sums and counts. The gain is that of the first row,
    in the primary column; None where the strongest baseline has no units.
    """
    bounds = {
        name: {key: mean_interval(one, draws=draws, seed=seed, of=of) for key, one in columns.items()}
        for name, columns in units.items()
    }
    rows = {name: kept for name, own in bounds.items() if (kept := {k: v for k, v in own.items() if v})}
    bar, key, gain = table.bar(), table.primary, None
    if bar is not None and bar.name in units:
        higher = next(column.better for column in table.columns if column.key == key) == "higher"
        own, other = units[table.rows[0].name][key], units[bar.name][key]
        gain = gain_interval(own, other, draws=draws, seed=seed, higher_is_better=higher, of=of)
    return {"intervals": {table.title: rows}, "gain": gain}


def _mean(total: F64, count: F64, axis: int) -> F64:
    return np.asarray(total.sum(axis=axis) / count.sum(axis=axis))


def _interval(
    statistic: Callable[..., F64],
    columns: F64 | list[F64],
    draws: int,
    seed: int,
) -> list[float] | None:
    from scipy.stats import DegenerateDataWarning, bootstrap

    if draws < 2 or len(columns[0]) < 2:
        return None
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)  # units without a value: no interval
        found = bootstrap(
            tuple(columns),
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=draws,
            batch=max(1, min(draws, 2_000_000 // len(columns[0]))),
            confidence_level=0.95,
            method="percentile",
            rng=np.random.default_rng([seed, 30]),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return [low, high] if np.isfinite(low) and np.isfinite(high) else None
