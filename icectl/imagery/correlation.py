"""Normalised cross-correlation of one chip, and the sums over a scene that all chips share.

The score is equation 1 of Min, Mukkavilli and Bengio (2019): both chips lose their mean and
are divided by their norm, so that it lies in [-1, 1] and ignores gain and offset. It is 0 by
definition where either chip is constant.

`surface` scores every position of a search window; `icectl.imagery.coarse` finds the same peak
from fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from icectl.errors import DataError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

NONE = np.float32(-2)
"""The score of a position that may not be used."""


@dataclass(frozen=True, slots=True)
class Texture:
    """A scene made ready for matching; its sums are shared by all chips.

    `image` is the scene less its mean with a border of `margin` pixels, `halves` the same at half
    the resolution for chips that start on even or odd rows and columns, `sums` and `squares`
    integral images (float64: float32 loses digits here), `bad` the integral image of the invalid
    pixels, border included.
    """

    image: F32
    halves: tuple[F32, ...]
    sums: F64
    squares: F64
    bad: NDArray[np.int32]
    margin: int
    floor: float


def prepare(image: ArrayLike, valid: NDArray[np.bool_] | None = None, margin: int = 0) -> Texture:
    """Make a scene ready for matching.

    Parameters
    ----------
    image
        ``(rows, cols)``, any unit; NaN counts as invalid.
    valid
        Pixels that may take part; a chip or window position with any other is never used.
    margin
        Border in pixels, at least the search radius plus 2.
    """
    array = np.asarray(image, dtype=np.float32)
    if array.ndim != 2:
        raise DataError(
            f"matching takes one band (rows, cols), not an array of shape {array.shape}",
            "pick a band, or average the colours",
        )
    good = np.isfinite(array) if valid is None else np.isfinite(array) & valid
    whole = bool(good.all())
    known = array if whole else array[good]
    mean = float(known.mean(dtype=np.float64)) if known.size else 0.0
    filled = array - np.float32(mean)
    if not whole:
        filled[~good] = 0
    even = margin + margin % 2  # so that the half resolution keeps its phase
    filled = cv2.copyMakeBorder(filled, even, even, even, even, cv2.BORDER_CONSTANT, value=0)
    bad = cv2.copyMakeBorder((~good).astype(np.uint8), even, even, even, even, cv2.BORDER_CONSTANT, value=1)
    halves = tuple(_halve(filled[row:, col:]) for row in (0, 1) for col in (0, 1))
    sums, squares = cv2.integral2(filled, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    floor = 1e-9 * float(np.abs(filled).max(initial=0.0)) ** 2 + 1e-30
    return Texture(filled, halves, sums, squares, cv2.integral(bad, sdepth=cv2.CV_32S), even, floor)


def _halve(image: F32) -> F32:
    """Mean of every 2×2 pixels."""
    rows, cols = image.shape
    part = image[: rows // 2 * 2, : cols // 2 * 2]
    return np.asarray(cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def box(integral: NDArray[Any], rows: ArrayLike, cols: ArrayLike, size: int) -> NDArray[Any]:
    """Sum over squares of `size` pixels whose top left corners are given."""
    y, x = np.asarray(rows), np.asarray(cols)
    corners = integral[y + size, x + size] - integral[y, x + size] - integral[y + size, x] + integral[y, x]
    return np.asarray(corners)


def energy(texture: Texture, rows: ArrayLike, cols: ArrayLike, size: int) -> F64:
    """Sum of squared deviations from the mean of each square; 0 where it is constant."""
    total = box(texture.sums, rows, cols, size)
    value = box(texture.squares, rows, cols, size) - total**2 / size**2
    return np.asarray(np.where(value > texture.floor * size**2, value, 0.0))


def surface(ref: Texture, mov: Texture, row: int, col: int, size: int, radius: int) -> F32:
    """Score every shift within `radius` of one chip.

    Parameters
    ----------
    ref, mov
        The chip's scene and the one it is sought in, with a border of at least `radius`.
    row, col
        The chip's top left corner in padded pixels.

    Returns
    -------
    Scores ``(2 radius + 1, 2 radius + 1)``; `NONE` where the window holds an invalid pixel or no
    texture.
    """
    template = ref.image[row : row + size, col : col + size]
    window = mov.image[row - radius : row + size + radius, col - radius : col + size + radius]
    scores = cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED)
    near = slice(row - radius, row + radius + 1), slice(col - radius, col + radius + 1)
    far = slice(near[0].start + size, near[0].stop + size), slice(near[1].start + size, near[1].stop + size)

    def sums(i: NDArray[Any]) -> F64:
        return np.asarray(i[far] - i[near[0], far[1]] - i[far[0], near[1]] + i[near], dtype=np.float64)

    usable = sums(mov.squares) - sums(mov.sums) ** 2 / size**2 > mov.floor * size**2
    usable &= sums(mov.bad) == 0
    return np.asarray(np.where(usable, np.clip(scores, -1, 1), NONE))
