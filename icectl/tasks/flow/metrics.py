"""Scores of a predicted chip against the true one, and Table 1 of Min et al. (2019)."""

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from icectl.arrays import F64, I64, Array
from icectl.intervals import grouped

LOW, HIGH = 0.3, 0.7
"""Bounds of Table 1's classes."""


def correlation(a: Array, b: Array) -> F64:
    """Correlation of chips over their last two axes (equation 1 of Min et al. 2019).

    0 where either chip is constant: Table 1 leaves zeros out of its mean.
    """
    a, b = (x.astype(np.float64) - x.mean(axis=(-1, -2), keepdims=True, dtype=np.float64) for x in (a, b))
    norms = np.sqrt((a**2).sum(axis=(-1, -2)) * (b**2).sum(axis=(-1, -2)))
    product = (a * b).sum(axis=(-1, -2))
    tiny = 1e-9 * a.shape[-1] * a.shape[-2]
    return np.asarray(np.clip(np.where(norms > tiny, product / np.maximum(norms, tiny), 0.0), -1, 1))


def classes(scores: Array) -> dict[str, float | None]:
    """Return Table 1's numbers: mean of non-zero scores, shares below 0.3, between, and above 0.7."""
    found = scores[np.isfinite(scores)]
    if not found.size:
        return {"mean": None, "low": None, "medium": None, "high": None}
    some = found[found != 0]
    return {
        "mean": float(some.mean()) if some.size else 0.0,
        "low": float((found < LOW).mean()),
        "medium": float(((found >= LOW) & (found <= HIGH)).mean()),
        "high": float((found > HIGH).mean()),
    }


def likeness(truth: Array, predicted: Array, span: Array) -> dict[str, float]:
    """Mean SSIM and PSNR (dB) over chips ``(n, rows, cols)``, as in the reference's evaluation.

    Both depend on level and contrast. `span` is the data range of each chip's band, ``(n,)``.
    """
    window = min(7, truth.shape[-1] // 2 * 2 - 1)
    ssim, psnr = [], []
    for t, p, s in zip(truth, predicted, span, strict=True):
        ssim.append(structural_similarity(t, p, data_range=float(s), win_size=window))
        error = float(np.mean((t.astype(np.float64) - p) ** 2))
        psnr.append(100.0 if error == 0 else peak_signal_noise_ratio(t, p, data_range=float(s)))
    return (
        {"ssim": float(np.mean(ssim)), "psnr": float(np.mean(psnr))} if ssim else {"ssim": 0.0, "psnr": 0.0}
    )


def score(truth: Array, predicted: Array) -> dict[str, float | None]:
    """Return Table 1's numbers of predicted chips ``(n, rows, cols)``."""
    return classes(correlation(predicted, truth))


def by_chip(scores: F64, chip: I64) -> F64:
    """Return (chips, 2) sums and counts of the non-zero correlations `scores` (window, sequence)."""
    return grouped(np.where(scores == 0, np.nan, scores).ravel(), np.tile(chip, len(scores)))
