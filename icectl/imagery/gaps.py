"""Gap filling by a weighted mean of valid neighbours, repeated until no gap is left.

The kernel is the outer product of (1, 2, 3, 2, 1) (Vonica et al. 2021, as used by Müller 2023,
section 3). Outside the image counts as missing. Within one pass every gap pixel sees only what was
valid when the pass began, so the order of pixels does not matter.

The first pass is one separable convolution over the whole image; later ones visit only the rim of
what is still missing, so the work grows with the number of missing pixels, not with their depth.
"""

from itertools import count, islice
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from icectl.arrays import F32, Bools
from icectl.imagery.missing import missing_to_nan

TAPS = (1.0, 2.0, 3.0, 2.0, 1.0)
"""One axis of the 5×5 kernel."""

REACH = len(TAPS) // 2
_STRIP = 256
_Indices = npt.NDArray[np.intp]


def fill_gaps(image: Any) -> tuple[F32, Bools]:
    """Fill the gaps of one band.

    Parameters
    ----------
    image
        ``(rows, columns)``; NaN or masked where missing.

    Returns
    -------
    filled
        float32, a new array. A frame without one valid pixel comes back as it is: there is nothing
        to fill from.
    was_filled
        True where a value was made up.

    Examples
    --------
    >>> filled, made_up = fill_gaps(np.array([[1.0, np.nan, 3.0]]))
    >>> filled.tolist(), made_up.tolist()
    ([[1.0, 2.0, 3.0]], [[False, True, False]])
    """
    values = missing_to_nan(image)
    missing = np.isnan(values)
    if not missing.any() or missing.all():
        return values.copy(), np.zeros(values.shape, dtype=bool)
    result = passes(np.ascontiguousarray(values), None, True)
    return result, missing & ~np.isnan(result)


def passes(values: F32, most: int | None, first: bool) -> F32:
    """Return values after so many passes, all of them by default; `first`: whether none was made yet."""
    if first:
        values = _first_pass(values, np.isnan(values))
    _later_passes(values, None if most is None else most - first)
    return values


def _first_pass(values: F32, missing: Bools) -> F32:
    """Return a copy in which every gap pixel that has a valid neighbour is filled."""
    result = values.copy()
    taps, border = np.array(TAPS), cv2.BORDER_CONSTANT
    for top in range(0, len(values), _STRIP):  # strips stay in the processor's cache
        first, last = max(top - REACH, 0), top + _STRIP + REACH
        holes = missing[first:last]
        zeroed = cv2.patchNaNs(values[first:last].copy(), 0.0)
        # Double precision: single would lose the sixth digit on stored numbers of several thousands.
        sums = cv2.sepFilter2D(zeroed, cv2.CV_64F, taps, taps, borderType=border)
        weights = cv2.sepFilter2D((~holes).view(np.uint8), cv2.CV_32F, taps, taps, borderType=border)
        mean = cv2.divide(sums, weights, dtype=cv2.CV_32F)  # 0 / 0 is NaN: still missing
        rows = slice(top - first, top - first + _STRIP)
        cv2.copyTo(mean[rows], holes[rows].view(np.uint8), result[top : top + _STRIP])
    return result


def _later_passes(result: F32, most: int | None) -> None:
    """Work inwards from the pixels that have a value, `most` passes long; `result` is changed in place."""
    left, (height, width) = np.isnan(result), result.shape
    if not left.any():
        return
    near = cv2.dilate((~left).view(np.uint8), np.ones((len(TAPS), len(TAPS)), np.uint8))
    fresh = np.flatnonzero(near.view(bool) & left)
    columns = width + 2 * REACH  # a margin of missing pixels spares all tests for the border
    padded = np.pad(result, REACH, constant_values=np.nan)
    flat, inner = padded.reshape(-1), (slice(REACH, REACH + height), slice(REACH, REACH + width))
    open_ = np.zeros(padded.shape, dtype=bool)
    open_[inner] = left
    gap, seat = open_.reshape(-1), np.zeros(flat.size, dtype=np.int32)
    span = np.arange(-REACH, REACH + 1)
    offsets = (span[:, None] * columns + span).ravel()
    kernel = np.outer(TAPS, TAPS).ravel()
    rim = (fresh // width + REACH) * columns + fresh % width + REACH
    for _ in islice(count(), most):
        if not rim.size:
            break
        around = flat.take(rim[:, None] + offsets).astype(np.float64)
        valid = ~np.isnan(around)
        around[~valid] = 0
        flat[rim] = (around @ kernel) / (valid @ kernel)
        gap[rim] = False
        beside = (rim[:, None] + offsets).ravel()
        rim = _once(beside[gap.take(beside)], seat)
    result[...] = padded[inner]


def _once(indices: _Indices, seat: npt.NDArray[np.int32]) -> _Indices:
    """Return each index once, without sorting: of equal ones the last to take its `seat` stays."""
    number = np.arange(indices.size, dtype=np.int32)
    seat[indices] = number
    return np.asarray(indices[seat[indices] == number], dtype=np.intp)
