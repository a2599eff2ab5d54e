"""Masked arrays as float32 images whose missing pixels are NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from icectl.arrays import F32


def missing_to_nan(values: Any) -> F32:
    """Return `values` as float32 with NaN where a masked array is masked (or where it was NaN)."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float32), np.nan), dtype=np.float32)
    return np.asarray(values, dtype=np.float32)
