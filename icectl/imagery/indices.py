"""Spectral indices. NDSI: Hall, Riggs and Salomonson 1995; the threshold 0.3: Müller 2023, section 3."""

from typing import Any

import numpy as np

from icectl.arrays import F32
from icectl.imagery.missing import missing_to_nan

SNOW_THRESHOLD = 0.3
"""NDSI from which a pixel counts as snow or ice."""

_DARK = 1e-3
"""Sum of two reflectances below which their normalised difference is noise."""


def normalized_difference(a: Any, b: Any) -> F32:
    """Return ``(a − b) / (a + b)`` in float32, within [−1, 1].

    Parameters
    ----------
    a, b
        Reflectances of one shape; NaN or masked where missing. Slightly negative reflectances
        (deep shadow) are read as zero.

    Returns
    -------
    NaN where either is missing or where both are so dark that the quotient says nothing.
    """
    first = np.maximum(missing_to_nan(a), np.float32(0))
    second = np.maximum(missing_to_nan(b), np.float32(0))
    total = first + second
    bright = np.where(total > _DARK, total, np.float32(np.nan))
    return np.asarray((first - second) / bright, np.float32)


def ndsi(green: Any, swir16: Any) -> F32:
    """Return the normalised difference snow index of *reflectances* (never of raw numbers).

    Examples
    --------
    >>> round(float(ndsi(0.6, 0.1)), 3)
    0.714
    """
    return normalized_difference(green, swir16)


def snow_mask(index: Any) -> F32:
    """Return the index where it reaches `SNOW_THRESHOLD` and 0 elsewhere; missing stays NaN."""
    values = missing_to_nan(index)
    return np.where(values < SNOW_THRESHOLD, np.float32(0), values)
