"""Outlier filter for displacement fields, after autoRIFT's normalised displacement coherence.

Two tests in square neighbourhoods, repeated because each rejection changes the neighbours (Gardner
et al. 2018; nasa-jpl/autoRIFT, class autoRIFT, filtDisp):

1. coherence: at least a share `FRACTION_VALID` of the neighbourhood must lie within
   `FRACTION_SEARCH` of the search range, in both components; of the cells of its own kind, where ice
   and still ground are parted (a narrow glacier has few neighbours), but `LEAST_NEAR` at least;
2. deviation: what lies farther from the neighbourhood's median than `MAD_SCALAR` median absolute
   deviations is rejected.
"""

from __future__ import annotations

import numpy as np

from icectl.arrays import F64, Bools

WIDTH = 5
FRACTION_VALID = 8 / 25
FRACTION_SEARCH = 0.20
MAD_SCALAR = 4.0
REPEATS = 3
LEAST_MAD = 0.1
"""Pixels; a field that is smooth to less than this is not torn apart by the second test."""

LEAST_NEAR = 3
"""Cells that must agree, the one itself among them."""


def coherent(dy: F64, dx: F64, reach: float, own: Bools | None = None) -> Bools:
    """Return which displacements are kept.

    Parameters
    ----------
    dy, dx
        ``(rows, cols)`` displacements in pixels; NaN where there is none.
    reach
        Search range in pixels, by which displacements are normalised.
    own
        ``(rows, cols)`` cells of one kind, judged among themselves; all without it.

    Returns
    -------
    ``(rows, cols)`` bool; False where either is NaN.
    """
    own = np.ones(dy.shape, dtype=bool) if own is None else own
    keep = np.isfinite(dy) & np.isfinite(dx) & own
    cells = np.where(own, 1.0, np.nan)
    needed = np.maximum(FRACTION_VALID * np.isfinite(neighbours(cells)).sum(axis=-1), LEAST_NEAR)
    for _ in range(REPEATS):
        fields = [np.where(keep, f, np.nan) for f in (dy, dx)]
        near = [neighbours(f) for f in fields]
        close = np.ones(near[0].shape, dtype=bool)
        for field, around in zip(fields, near, strict=True):
            close &= np.abs(around - field[..., None]) <= FRACTION_SEARCH * max(reach, 1.0)
        keep = keep & (close.sum(axis=-1) >= needed)
        for field, around in zip(fields, near, strict=True):
            around = np.where(neighbours(np.where(keep, 1.0, np.nan)) == 1, around, np.nan)
            middle = median(around)
            spread = median(np.abs(around - middle[..., None]))
            keep = keep & (np.abs(field - middle) <= MAD_SCALAR * np.maximum(spread, LEAST_MAD))
    return np.asarray(keep)


def neighbours(field: F64) -> F64:
    """Return the `WIDTH`² values around each cell on a last axis; NaN beyond the border."""
    half = WIDTH // 2
    padded = np.pad(field, half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (WIDTH, WIDTH))
    return np.asarray(windows.reshape(*field.shape, -1))


def median(values: F64) -> F64:
    """Median over the last axis without NaN; NaN where all are."""
    order = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(values).sum(axis=-1)
    low = np.take_along_axis(order, np.maximum((count - 1) // 2, 0)[..., None], -1)[..., 0]
    high = np.take_along_axis(order, np.maximum(count // 2, 0).clip(max=values.shape[-1] - 1)[..., None], -1)[
        ..., 0
    ]
    return np.where(count > 0, (low + high) / 2, np.nan)
