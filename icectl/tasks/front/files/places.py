"""Which images show one place, told by their ground where nobody named their glaciers.

Series, previous dates and a split by glacier need to know it. Two images of one place share the fine
texture of rock somewhere; two of different places nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.image.layers import filled, stretch

Floats = NDArray[np.float32]
Texture = tuple[Floats, Floats, Floats]

SERIES = 5
"""Fewest images of a place that gets a name."""

COARSE = 6.0
"""Brightness that varies more slowly (Gaussian σ, px) is left out: season, sun and snow change it."""

PATCH = 4.0
"""Textures are compared within such patches (Gaussian σ, px)."""

LOOK = 150
"""Longer side in pixels at which images are compared."""

ALIKE = 0.6
"""Correlation of the most alike twentieth of two images of one place."""

COMPARED = 20
"""So many members of a place are compared with an image."""


def look_of(image: NDArray[np.float32]) -> Texture:
    """Return what is compared of an image (rows, columns), NaN where invalid."""
    scale = min(1.0, LOOK / max(image.shape))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return texture(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA))


def places_of(looks: Sequence[Texture]) -> list[int]:
    """Return the number of each image's place, 0 for the first image's.

    Parameters
    ----------
    looks
        `look_of` each image.

    Returns
    -------
    list of int
        Images are of one place when a chain of images alike joins them; an image unlike all others
        is a place of its own.
    """
    members: list[list[int]] = []
    for number, look in enumerate(looks):
        mine = [own for own in members if any(_alike(look, looks[k]) for k in own[-COMPARED:])]
        members = [own for own in members if own not in mine]
        members.append(sorted([*(k for own in mine for k in own), number]))
    members.sort()
    return [next(n for n, own in enumerate(members) if k in own) for k in range(len(looks))]


def _alike(first: Texture, second: Texture) -> bool:
    """Tell whether part of two images has the same texture."""
    if first[0].shape != second[0].shape:
        return False
    return float(np.quantile(correlation(first, second)[::2, ::2], 0.95)) >= ALIKE


def texture(image: Floats) -> Texture:
    """Return fine texture of local variance 1, its local mean and its local variance."""
    bright = stretch(filled(image))
    fine = bright - cv2.GaussianBlur(bright, (0, 0), COARSE)
    fine = fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 2.5 * PATCH)) + 0.01)
    mean = _patch(fine)
    return fine, mean, np.maximum(_patch(fine * fine) - mean * mean, 1e-4)


def _patch(values: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), PATCH), np.float32)


def correlation(a: Texture, b: Texture) -> Floats:
    """Return the correlation of two textures of one shape around each pixel, −1…1."""
    return np.asarray((_patch(a[0] * b[0]) - a[1] * b[1]) / np.sqrt(a[2] * b[2]), np.float32)
