"""The three input layers: raw brightness, local contrast, lifted shadows.

CALFIN stacks the raw image with two renderings made in a commercial editor ("HDR toning" and
"Shadows/Highlights"), which no code reproduces. These are open equivalents with the same aim:
texture in flat snow and light in dark fjords. All layers lie in [-1, 1].
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LAYERS = ("raw", "contrast", "shadows")
Image = NDArray[np.float32]
DARKEST = np.float32(1e-9)
"""Brightness below this counts as this much, so that it has a logarithm."""


def stretch(image: NDArray[Any], low: float = 0.5, high: float = 99.5) -> Image:
    """Scale brightness to 0…1 between two percentiles of the valid pixels.

    Parameters
    ----------
    image
        (rows, columns), any unit and depth; NaN and masked pixels become 0.
    low, high
        Percentiles that become 0 and 1. A constant image becomes 0.5.
    """
    values = np.asarray(np.ma.filled(np.ma.asarray(image).astype(np.float32), np.nan))
    valid = np.isfinite(values)
    whole = bool(valid.all())
    if not whole and not valid.any():
        return np.zeros(values.shape, np.float32)
    bottom, top = np.percentile(_thinned(values.ravel() if whole else values[valid]), [low, high])
    if top <= bottom:
        return np.where(valid, np.float32(0.5), np.float32(0))
    scaled = np.clip((values - np.float32(bottom)) * np.float32(1 / (top - bottom)), 0, 1)
    return scaled if whole else np.where(valid, scaled, np.float32(0))


def _thinned(values: NDArray[np.float32], most: int = 100_000) -> NDArray[np.float32]:
    """Return every n-th value: percentiles of large images need no more."""
    return np.asarray(values[:: max(1, len(values) // most)])


def local_contrast(image: Image, clip: float = 3.0, tiles: int = 8) -> Image:
    """Equalise brightness within tiles (CLAHE): texture of flat snow and dark water appears.

    `image`: (rows, columns) in 0…1; `clip` and `tiles`: contrast limit, and tiles a side.
    """
    # With 16 bits OpenCV's limit falls below one count a bin on small tiles, and nothing is equalised.
    method = cv2.createCLAHE(clipLimit=clip, tileGridSize=(tiles, tiles))
    levels = cv2.convertScaleAbs(np.asarray(image, np.float32), alpha=255)  # rounds and saturates
    return np.asarray(cv2.LUT(method.apply(levels), (np.arange(256) / 255).astype(np.float32)))


def lift_shadows(image: Image, amount: float = 0.7, radius: float = 15.0) -> Image:
    """Brighten dark surroundings and leave bright ones: gamma that follows the local mean.

    Parameters
    ----------
    image
        (rows, columns) in 0…1.
    amount
        0 changes nothing; at 1 a black neighbourhood gets the gamma 1/4.
    radius
        Radius of the neighbourhood (Gaussian σ) in pixels.
    """
    image = np.asarray(image, np.float32)
    gamma = _smooth(image, radius, lambda around: 1 - 0.75 * amount * (1 - around) ** 2)
    # x^γ by OpenCV's vectorised logarithm and exponential: numpy's power takes several times as long.
    bright = cv2.log(np.clip(image, DARKEST, 1))
    return np.asarray(cv2.exp(cv2.multiply(gamma, bright, dst=bright), dst=bright))


def _smooth(image: Image, radius: float, function: Callable[[Image], Image], coarse: int = 4) -> Image:
    """Return a function of the widely blurred image; large images are blurred at a quarter of their size.

    Neither a wide Gaussian nor what is made of it notices.
    """
    if min(image.shape) < 256 or radius < 4 * coarse / 2:
        return np.asarray(function(np.asarray(cv2.GaussianBlur(image, (0, 0), radius))), np.float32)
    size = (image.shape[1] // coarse, image.shape[0] // coarse)
    small = cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (0, 0), radius / coarse)
    made = np.asarray(function(np.asarray(small)), np.float32)
    return np.asarray(cv2.resize(made, image.shape[::-1], interpolation=cv2.INTER_LINEAR))


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
