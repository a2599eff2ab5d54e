"""The three input layers: raw brightness, local contrast, lifted shadows.

CALFIN stacks the raw image with two renderings made in a commercial editor ("HDR toning" and
"Shadows/Highlights"), which no code reproduces. These are open equivalents with the same aim:
texture in flat snow and light in dark fjords. All layers lie in [-1, 1].
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LAYERS = ("raw", "contrast", "shadows")
Image = NDArray[np.float32]
LIFT, AROUND = 0.75 * 0.7, 15.0
"""How far gamma falls in a black neighbourhood, and the σ of the Gaussian around a pixel."""

DARKEST = np.float32(1e-9)
"""Brightness below this counts as this much, so that it has a logarithm."""


def stretch(image: NDArray[Any]) -> Image:
    """Scale brightness to 0…1 between the 0.5th and the 99.5th percentile of the valid pixels.

    `image`: (rows, columns), any unit and depth; NaN and masked pixels become 0. A constant one becomes 0.5.
    """
    values = np.asarray(np.ma.filled(np.ma.asarray(image).astype(np.float32), np.nan))
    valid = np.isfinite(values)
    whole = bool(valid.all())
    if not whole and not valid.any():
        return np.zeros(values.shape, np.float32)
    bottom, top = np.percentile(_thinned(values.ravel() if whole else values[valid]), [0.5, 99.5])
    if top <= bottom:
        return np.where(valid, np.float32(0.5), np.float32(0))
    scaled = np.clip((values - np.float32(bottom)) * np.float32(1 / (top - bottom)), 0, 1)
    return scaled if whole else np.where(valid, scaled, np.float32(0))


def _thinned(values: NDArray[np.float32], most: int = 100_000) -> NDArray[np.float32]:
    """Return every n-th value: percentiles of large images need no more."""
    return np.asarray(values[:: max(1, len(values) // most)])


def local_contrast(image: Image) -> Image:
    """Equalise brightness (rows, columns) in 0…1 within 8 × 8 tiles (CLAHE): texture of flat snow appears."""
    # With 16 bits OpenCV's limit falls below one count a bin on small tiles, and nothing is equalised.
    method = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8))
    levels = cv2.convertScaleAbs(np.asarray(image, np.float32), alpha=255)  # rounds and saturates
    return np.asarray(cv2.LUT(method.apply(levels), (np.arange(256) / 255).astype(np.float32)))


def lift_shadows(image: Image) -> Image:
    """Brighten dark surroundings and leave bright ones: gamma that follows the local mean, 1/2 in the dark.

    `image`: (rows, columns) in 0…1. Large ones are blurred at a quarter of their size: a wide Gaussian does
    not notice.
    """
    around = image = np.asarray(image, np.float32)
    factor = 4 if min(image.shape) >= 256 else 1
    if factor > 1:
        size = (image.shape[1] // factor, image.shape[0] // factor)
        around = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    gamma = np.asarray(1 - LIFT * (1 - cv2.GaussianBlur(around, (0, 0), AROUND / factor)) ** 2, np.float32)
    if factor > 1:
        gamma = cv2.resize(gamma, image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    # x^γ by OpenCV's vectorised logarithm and exponential: numpy's power takes several times as long.
    bright = cv2.log(np.clip(image, DARKEST, 1))
    return np.asarray(cv2.exp(cv2.multiply(gamma, bright, dst=bright), dst=bright))


def texture(image: NDArray[Any]) -> float:
    """Return the share of an image's contrast that is finer than about two pixels; small under cloud."""
    bright = stretch(filled(image))
    fine = bright - cv2.GaussianBlur(bright, (0, 0), 1.5)
    return float(fine.std() / max(float(bright.std()), 1e-6))


def filled(image: NDArray[Any]) -> NDArray[np.float32]:
    """Give invalid pixels (NaN) what mirrors them in the border of the valid ones, as training crops are.

    A gap is then no brightness edge, and has the texture of what is beside it: smooth filling looks like sea.
    """
    values = np.asarray(image, np.float32)
    gaps = ~np.isfinite(values)
    if not gaps.any():  # as in most images
        return values
    from scipy.ndimage import distance_transform_edt

    if gaps.all():
        return np.zeros_like(values)
    nearest = distance_transform_edt(gaps, return_distances=False, return_indices=True)
    last = np.array(values.shape)[:, None, None] - 1
    mirrored = np.clip(2 * nearest - np.indices(values.shape), 0, last)
    known = ~gaps[tuple(mirrored)]
    return np.asarray(values[tuple(np.where(known, mirrored, nearest))])


def stack(image: NDArray[Any]) -> Image:
    """Return the input layers of a single-band image as (3, rows, columns) in [-1, 1].

    Percentiles are of the valid pixels; gaps are filled from beside them.
    """
    raw = stretch(filled(image))
    layers = np.empty((3, *raw.shape), np.float32)
    for layer, values in zip(layers, (raw, local_contrast(raw), lift_shadows(raw)), strict=True):
        cv2.addWeighted(values, 2.0, values, 0.0, -1.0, dst=layer)
    return layers
