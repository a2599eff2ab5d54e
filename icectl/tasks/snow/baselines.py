"""What a forecast has to beat: last frame, same season last year, climatology, and a linear model a pixel.

The linear model is the real bar: for each lead time a least-squares fit of the pixel's future value on its
own past values, their snow flags and the product of the flags, over the training part only.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np

from icectl.arrays import F32, F64, Array, Bools
from icectl.errors import DataError
from icectl.splits import TRAIN, Split
from icectl.tasks.snow.dataset import Cube, countable
from icectl.tasks.snow.masks.moments import season_index
from icectl.tasks.snow.options import THRESHOLD

NAMES = {
    "last": "last frame",
    "season": "same season last year",
    "climatology": "climatology (mean of the past)",
    "linear": "linear model of the pixel",
}
"""Key and label of each baseline, in the order they are printed."""

_STRIP = 128
_RIDGE = 1e-6


def features(past: F32) -> F32:
    """Return the linear model's features (2P + 2, …) of masks (P, …): values, flags, their product, one."""
    flags = (past >= THRESHOLD).astype(np.float32)
    return np.concatenate([past, flags, flags.prod(axis=0, keepdims=True), np.ones_like(past[:1])])


def baselines(
    past: F32, times: Sequence[date], future: Sequence[date], coefficients: Array
) -> dict[str, F32]:
    """Return the forecasts (F, …) of all baselines from past masks (P, …) without gaps.

    `times` and `future`: days of the past and of the future frames; `coefficients`: (F, 2P + 2) of the linear
    model, from `fit_linear`.
    """
    count = len(future)
    mean = past.mean(axis=0, dtype=np.float64).astype(np.float32)
    return {
        "last": np.repeat(past[-1:], count, axis=0),
        "season": past[season_index(times, future)],
        "climatology": np.repeat(mean[np.newaxis], count, axis=0),
        "linear": np.tensordot(coefficients.astype(np.float32), features(past), axes=1).astype(np.float32),
    }


def fit_linear(cube: Cube, split: Split, count_filled: bool = False) -> F64:
    """Fit the linear model on the training part.

    Every pixel-moment that lies in a training window counts once for each window start. A tiny ridge keeps
    constant features from making the equations singular. A lead without one observed frame is fitted on
    filled ones.

    Returns (F, 2P + 2) coefficients.

    DataError: if no training pixel has a value to fit on.
    """
    grid = split.grid
    size = 2 * grid.past + 2
    normal, right = np.zeros((grid.future, size, size)), np.zeros((grid.future, size))
    covered = {
        start: grid.coverage(split.windows[:, :, start] == TRAIN) > 0
        for start in range(grid.shape[2])
        if (split.windows[:, :, start] == TRAIN).any()
    }
    for top in range(0, grid.rows, _STRIP):
        rows = slice(top, min(top + _STRIP, grid.rows))
        if not any(pixels[rows].any() for pixels in covered.values()):
            continue
        values = np.nan_to_num(cube.read(rows))
        valid = None if cube.complete else countable(cube.flags(rows), count_filled)
        for start, pixels in covered.items():
            _accumulate(normal, right, values, valid, pixels[rows], start, grid.past)
    empty = normal[:, -1, -1] == 0
    if empty.all() and count_filled:
        raise DataError("no training pixel has a value", "look at the gaps of the series")
    found = np.zeros_like(right)
    ridge = _RIDGE * np.eye(size) * normal[:, -1:, -1:]
    found[~empty] = np.linalg.solve((normal + ridge)[~empty], right[~empty, :, np.newaxis])[..., 0]
    if empty.any() and not count_filled:  # leads that were never observed: fit on what was filled in
        found[empty] = fit_linear(cube, split, count_filled=True)[empty]
    return found


def _accumulate(
    normal: F64,
    right: F64,
    values: F32,
    valid: Bools | None,
    pixels: Bools,
    start: int,
    past: int,
) -> None:
    """Add one start's pixels to the normal equations of every lead."""
    every = features(values[start : start + past][:, pixels]).astype(np.float64)
    for lead in range(len(normal)):
        frame = start + past + lead
        known = slice(None) if valid is None else valid[frame][pixels]
        x, y = every[:, known], values[frame][pixels][known]
        normal[lead] += x @ x.T
        right[lead] += x @ y
