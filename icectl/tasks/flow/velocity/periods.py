"""Velocity by month: pairs that are short enough to belong to one, averaged by their errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icectl.arrays import F64, I64

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
        ``(pairs,)`` standard errors of a component.
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
        weights = np.where(
            np.isfinite(layers[which, ..., 0]), 1 / np.maximum(errors[which, None, None], 1e-9) ** 2, 0
        )
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
