"""Quality of a velocity map without a truth: a measure of GLAFT (Zheng et al. 2023, The Cryosphere).

Over ground that stands still velocities should vanish. How far they do not is told as the half-width of the
peak of the density of vx and vy, so that outliers do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from icectl.arrays import F64, Bools

SIGMA = 2.0
"""The peak ends where the density falls below that of a normal distribution at so many deviations."""

CELLS = 200
"""Cells of the mesh on which a density is estimated."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The peak of a density: half-widths along both axes, where it is, and the share of samples outside."""

    x: float
    y: float
    at: tuple[float, float]
    outside: float


def peak(x: F64, y: F64) -> Peak:
    """Measure the peak of the density of samples ``(n,)``, by an Epanechnikov kernel of the rule of thumb.

    Examples
    --------
    >>> x, y = np.random.default_rng(0).standard_normal((2, 20000))
    >>> bool(abs(peak(x, y).x - 2) < 0.4)
    True
    """
    spread = (x.var(ddof=1) * y.var(ddof=1)) ** 0.25
    if not spread > 0:
        return Peak(0.0, 0.0, (float(np.median(x)), float(np.median(y))), 0.0)
    width = 2.1991 * spread * x.size ** (-1 / 6)
    half = (SIGMA + 1) * spread
    for _ in range(2):  # roughly, then within the peak
        edges = [np.linspace(np.median(v) - half, np.median(v) + half, CELLS + 1) for v in (x, y)]
        step = 2 * half / CELLS
        reach = int(np.ceil(width / step))
        grid = np.mgrid[-reach : reach + 1, -reach : reach + 1] * step
        kernel = np.clip(1 - (grid**2).sum(axis=0) / width**2, 0, None)
        counts = np.histogram2d(x, y, edges)[0]
        density = signal.fftconvolve(counts, kernel, mode="same")
        inside = density >= density.max() / np.exp(SIGMA**2 / 2)
        spans = [np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0)]
        sides = [float(span[-1] - span[0] + 1) * step for span in spans]
        half = max(sum(sides) / 2, 2 * step)
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    row, col = np.unravel_index(int(density.argmax()), density.shape)
    bounds = [(edge[span[0]], edge[span[-1] + 1]) for edge, span in zip(edges, spans, strict=True)]
    within = [(v >= low) & (v <= high) for v, (low, high) in zip((x, y), bounds, strict=True)]
    at = float(middles[0][row]), float(middles[1][col])
    return Peak(float(sides[0]) / 2, float(sides[1]) / 2, at, float(1 - (within[0] & within[1]).mean()))


def static(vx: F64, vy: F64, still: Bools) -> Peak:
    """Measure the velocities ``(rows, cols)`` on ground that stands still, in their unit."""
    use = still & np.isfinite(vx) & np.isfinite(vy)
    return peak(vx[use], vy[use])
