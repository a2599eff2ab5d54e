"""Errors of heights and thickness."""

import numpy as np

from icectl.arrays import F64, Floats

OFF = 6.0
"""Times by which measured ice and the predicted may differ before the numbers are doubted."""


def score(predicted: Floats, measured: Floats, uncertainty: Floats | None = None) -> dict[str, float]:
    """Return bias (predicted − measured), RMSE, MAE, median error and MAD about it, and the share within.

    `predicted` and `measured`: values of the same shape, in metres; `uncertainty`: stated uncertainty of the
    measured values (one sigma, m).
    """
    off = np.asarray(predicted, dtype=np.float64) - np.asarray(measured, dtype=np.float64)
    if not off.size:
        return dict.fromkeys(("bias", "rmse", "mae", "median", "mad", "within"), float("nan"))
    middle = float(np.median(off))
    found = {
        "bias": float(off.mean()),
        "rmse": float(np.sqrt((off**2).mean())),
        "mae": float(np.abs(off).mean()),
        "median": middle,
        "mad": float(np.median(np.abs(off - middle))),
    }
    found["within"] = (
        float("nan") if uncertainty is None else float(100 * (np.abs(off) <= uncertainty).mean())
    )
    return found


def sample(values: Floats, rows: Floats, cols: Floats) -> F64:
    """Return values at fractional pixel centres by linear interpolation over the finite neighbours; else
    NaN.
    """
    grid = np.asarray(values, dtype=np.float64)
    top, left = np.floor(rows).astype(int), np.floor(cols).astype(int)
    total, weight = np.zeros(len(rows)), np.zeros(len(rows))
    for dy in (0, 1):
        for dx in (0, 1):
            y, x = top + dy, left + dx
            inside = (y >= 0) & (x >= 0) & (y < grid.shape[0]) & (x < grid.shape[1])
            found = np.full(len(rows), np.nan)
            found[inside] = grid[y[inside], x[inside]]
            share = np.abs(1 - dy - (rows - top)) * np.abs(1 - dx - (cols - left))
            good = np.isfinite(found)
            total[good] += (share * np.nan_to_num(found))[good]
            weight[good] += share[good]
    return np.where(weight > 0.2, total / np.maximum(weight, 1e-9), np.nan)


def doubts(measured: F64, predicted: F64) -> list[str]:
    """Return a sentence where measured thickness is so unlike the predicted that it may be none.

    >>> len(doubts(np.full(9, 2600.0), np.full(9, 30.0))), doubts(np.full(9, 90.0), np.full(9, 30.0))
    (1, [])
    """
    ratio = float(np.median(measured) / max(np.median(predicted), 1.0))
    if 1 / OFF <= ratio <= OFF:
        return []
    return [
        f"The median of the measured thickness is {ratio:.2g} times that of the predicted: perhaps it is in "
        "another unit, or heights or travel times stand in its place."
    ]
