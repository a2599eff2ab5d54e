"""Gap filling by a weighted mean of valid neighbours, repeated until no gap is left.

The kernel is the outer product of (1, 2, 3, 2, 1) (Vonica et al. 2021, as used by Müller 2023,
section 3). Outside the image counts as missing. Within one pass every gap pixel sees only what was
valid when the pass began, so the order of pixels does not matter.

The first pass is one separable convolution over the whole image; later ones visit only the rim of
what is still missing, so the work grows with the number of missing pixels, not with their depth.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from icectl.imagery.reflectance import FloatImage, missing_to_nan

TAPS = (1.0, 2.0, 3.0, 2.0, 1.0)
"""One axis of the 5×5 kernel."""

_REACH = len(TAPS) // 2
_Indices = npt.NDArray[np.intp]


def fill_gaps(image: Any, passes: int | None = None) -> tuple[FloatImage, npt.NDArray[np.bool_]]:
    """Fill the gaps of one band.

    Parameters
    ----------
    image
        ``(rows, columns)``; NaN or masked where missing.
    passes
        At most so many passes, each of which reaches two pixels into a gap; None goes on until no
        gap is left.

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
    if not missing.any() or missing.all() or passes == 0:
        return values.copy(), np.zeros(values.shape, dtype=bool)
    result, fresh = _first_pass(values, missing)
    left = missing.copy()
    left.flat[fresh] = False
    if left.any() and passes != 1:
        _later_passes(result, left, fresh, passes)
    return result, missing & ~left


def _first_pass(values: FloatImage, missing: npt.NDArray[np.bool_]) -> tuple[FloatImage, _Indices]:
    """Fill every gap pixel that has a valid neighbour; return the image and those pixels."""
    taps = np.array(TAPS)
    zeroed = values.copy()
    zeroed[missing] = 0
    # Double precision: single would lose the sixth digit on stored numbers of several thousands.
    sums = cv2.sepFilter2D(zeroed, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_CONSTANT)
    weights = cv2.sepFilter2D(
        (~missing).astype(np.uint8), cv2.CV_32F, taps, taps, borderType=cv2.BORDER_CONSTANT
    )
    fresh = np.flatnonzero(missing & (weights > 0))
    result = zeroed
    result[missing] = np.nan
    result.flat[fresh] = sums.flat[fresh] / weights.flat[fresh]
    return result, fresh


def _later_passes(
    result: FloatImage, left: npt.NDArray[np.bool_], fresh: _Indices, passes: int | None
) -> None:
    """Work inwards from the pixels filled last; `result` and `left` are changed in place."""
    columns = left.shape[1] + 2 * _REACH  # a margin of missing pixels spares all border tests
    padded = np.pad(result, _REACH, constant_values=np.nan)
    open_ = np.pad(left, _REACH, constant_values=False)
    flat, gap = padded.reshape(-1), open_.reshape(-1)
    span = np.arange(-_REACH, _REACH + 1)
    offsets = (span[:, None] * columns + span[None, :]).ravel()
    kernel = np.outer(TAPS, TAPS).ravel()
    rim = (fresh // left.shape[1] + _REACH) * columns + fresh % left.shape[1] + _REACH
    done = 1
    while rim.size and (passes is None or done < passes):
        near = (rim[:, None] + offsets).ravel()
        rim = np.unique(near[gap[near]])
        around = flat[rim[:, None] + offsets].astype(np.float64)
        valid = ~np.isnan(around)
        sums = np.where(valid, around, 0.0) @ kernel
        flat[rim] = sums / (valid @ kernel)
        gap[rim] = False
        done += 1
    inner = (slice(_REACH, -_REACH), slice(_REACH, -_REACH))
    result[...] = padded[inner]
    left[...] = open_[inner]
