"""Intervals of Table 1's means: chips are drawn again, each with all its bands and windows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from icectl.intervals import gain_interval, grouped, mean_interval


def by_chip(scores: NDArray[np.float64], chip: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (chips, 2) sums and counts of the non-zero correlations `scores` (window, sequence)."""
    return grouped(np.where(scores == 0, np.nan, scores).ravel(), np.tile(chip, len(scores)))


def intervals(
    by: Mapping[str, NDArray[np.float64]],
    chip: NDArray[np.int64],
    labels: Mapping[str, str],
    draws: int,
    seed: int,
) -> dict[str, dict[str, list[float]]]:
    """Return ``{row name: {"mean": [low, high]}}`` of each method in `labels` (key to row name)."""
    found = {}
    for key, label in labels.items():
        bounds = mean_interval(by_chip(by[key], chip), draws=draws, seed=seed)
        if bounds is not None:
            found[label] = {"mean": bounds}
    return found


def gain(
    by: Mapping[str, NDArray[np.float64]],
    chip: NDArray[np.int64],
    rival: str,
    draws: int,
    seed: int,
) -> list[float] | None:
    """Return the interval of by how many per cent the model's mean correlation is above the rival's."""
    own, other = by_chip(by["model"], chip), by_chip(by[rival], chip)
    return gain_interval(own, other, draws=draws, seed=seed, higher_is_better=True)
