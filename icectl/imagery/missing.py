"""Masked arrays as float32 images whose missing pixels are NaN."""

from typing import Any

import numpy as np
from scipy import ndimage

from icectl.arrays import F32, Array, Bools


def missing_to_nan(values: Any) -> F32:
    """Return `values` as float32 with NaN where a masked array is masked (or where it was NaN)."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float32), np.nan), dtype=np.float32)
    return np.asarray(values, dtype=np.float32)


def nearest(values: Array, known: Bools) -> Array:
    """Return values in which each pixel that is not `known` has that of the nearest known one.

    >>> nearest(np.array([[1.0, 0.0, 0.0, 4.0]]), np.array([[True, False, False, True]])).tolist()
    [[1.0, 1.0, 4.0, 4.0]]
    """
    where = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(where)])
