"""Whether a confidence can be believed: calibration, and what is left wrong when the unsure are left out."""

from collections.abc import Sequence

import numpy as np

from icectl.arrays import F64, Bools

BINS = 10


def calibration_error(confidence: F64, right: Bools) -> float:
    """Return the expected calibration error: mean |share right − mean confidence| over equal bins.

    Source: Naeini, Cooper and Hauskrecht (2015).

    >>> calibration_error(np.array([0.95, 0.95, 0.05, 0.05]), np.array([True, True, False, True]))
    0.25
    """
    curve = reliability_curve(confidence, right)
    total = sum(count for _, _, count in curve)
    gaps = sum(count * abs(share - mean) for mean, share, count in curve)
    return round(float(gaps / total), 12) if total else float("nan")


def reliability_curve(confidence: F64, right: Bools) -> list[tuple[float, float, int]]:
    """Return mean confidence, share right and count of each bin that holds any."""
    number = np.minimum((np.asarray(confidence) * BINS).astype(int), BINS - 1)
    return [
        (float(confidence[number == k].mean()), float(right[number == k].mean()), int((number == k).sum()))
        for k in range(BINS)
        if (number == k).any()
    ]


def risk_area(confidence: F64, errors: F64) -> float:
    """Return the area under the risk–coverage curve over that of random order; below 1 the order helps.

    Risk is the mean error of the most confident share of the images; random order has the overall mean.

    >>> risk_area(np.array([0.9, 0.5, 0.1]), np.array([0.0, 0.0, 3.0]))
    0.3333333333333333
    """
    if not len(errors) or errors.mean() == 0:
        return float("nan")
    ordered = np.asarray(errors)[np.argsort(-np.asarray(confidence), kind="stable")]
    risk = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(risk.mean() / ordered.mean())


def shares_flagged(flagged: Sequence[bool], right: Sequence[bool]) -> tuple[float, float]:
    """Return which share of the wrong is flagged, and which of the right; NaN where there are none."""
    flags, good = np.array(flagged, bool), np.array(right, bool)
    shares = [float(flags[side].mean()) if side.any() else float("nan") for side in (~good, good)]
    return shares[0], shares[1]
