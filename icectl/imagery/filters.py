"""Filters that bring out texture before matching: high-pass, Wallis.

All take a float image ``(rows, cols)`` and an optional mask of valid pixels, and return
float32 of the same shape. Statistics are taken over valid pixels only, so that the edge of a
scene or of a cloud mask does not turn into a texture of its own.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from icectl.arrays import F32, F64, Bools, Floats
from icectl.errors import UsageError
from icectl.imagery.strips import in_strips


def _image(image: ArrayLike, valid: Bools | None) -> tuple[F32, F32]:
    """Return the image with invalid pixels set to 0, and the weights (0 or 1) of its pixels."""
    array = np.asarray(image, dtype=np.float32)
    if array.ndim != 2:
        raise UsageError(f"a filter takes one band (rows, cols), not an array of shape {array.shape}")
    good = np.isfinite(array) if valid is None else np.isfinite(array) & valid
    return np.where(good, array, np.float32(0)), good.astype(np.float32)


def _width(width: int) -> int:
    if width < 3 or width % 2 == 0:
        raise UsageError(f"filter width {width} is not an odd number of pixels of at least 3")
    return width


def _box(image: Floats, width: int) -> F64:
    """Sum over a square of `width` pixels; float64, since squares of sums follow."""
    border = cv2.BORDER_CONSTANT  # what lies outside carries no weight
    return np.asarray(cv2.boxFilter(image, cv2.CV_64F, (width, width), normalize=False, borderType=border))


def local_mean(image: ArrayLike, width: int = 5, valid: Bools | None = None) -> F32:
    """Mean over the valid pixels of a square window; 0 where the window has none.

    Parameters
    ----------
    image
        ``(rows, cols)``, any unit.
    width
        Odd width of the window in pixels.
    valid
        Pixels that count; NaN never does.
    """
    filled, weight = _image(image, valid)
    count = _box(weight, _width(width))
    return (_box(filled, width) / np.maximum(count, 1)).astype(np.float32)


def high_pass(image: ArrayLike, width: int = 5, valid: Bools | None = None) -> F32:
    """Image minus its local mean; invalid pixels become 0.

    The default width of 5 pixels is that of autoRIFT's preprocessing (nasa-jpl/autoRIFT); Min et
    al. (2019) do not state theirs.
    """
    filled, weight = _image(image, valid)
    return ((filled - local_mean(image, width, valid)) * weight).astype(np.float32)


def wallis(image: ArrayLike, width: int = 5, valid: Bools | None = None) -> F32:
    """Local mean removed, divided by the local standard deviation; 0 where that vanishes.

    Evens out illumination and contrast, so that shaded and sunlit ice weigh alike (Wallis 1976;
    the form with target mean 0 and deviation 1 that autoRIFT uses).
    """
    filled, weight = _image(image, valid)
    floor = max(float(np.square(filled).max(initial=0.0)) * 1e-9, 1e-20)
    _width(width)

    def even(filled: F32, weight: F32) -> tuple[F32]:
        count = np.maximum(_box(weight, width), 1)
        mean = _box(filled, width) / count
        variance = _box(filled.astype(np.float64) ** 2, width) / count - mean**2
        ratio = np.where(variance > floor, (filled - mean) / np.sqrt(np.maximum(variance, floor)), 0.0)
        return ((ratio * weight).astype(np.float32),)

    return in_strips(even, filled, weight, halo=width // 2)[0]
