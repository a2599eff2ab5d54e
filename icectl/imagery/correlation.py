"""Normalised cross-correlation of one chip, and the sums over a scene that all chips share.

The score is equation 1 of Min, Mukkavilli and Bengio (2019): both chips lose their mean and
are divided by their norm, so that it lies in [-1, 1] and ignores gain and offset. It is 0 by
definition where either chip is constant.

`surface` scores every position of a search window; `icectl.imagery.coarse` finds the same peak
from fewer.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from icectl.arrays import F32, F64, Array, Bools
from icectl.errors import DataError

NONE = np.float32(-2)
"""The score of a position that may not be used."""


@dataclass(frozen=True, slots=True)
class Texture:
    """A scene made ready for matching; its sums are shared by all chips.

    `image` is the scene less its mean with a border of `margin` pixels, `halves` the same at half
    the resolution for chips that start on even or odd rows and columns (`half` makes them when asked),
    `sums` and `squares` integral images (float64: float32 loses digits here), `bad` the integral image of
    the invalid pixels, border included; None where only the border is invalid.
    """

    image: F32
    halves: dict[tuple[int, int], F32]
    sums: F64
    squares: F64
    bad: NDArray[np.int32] | None
    margin: int
    floor: float


def prepare(image: ArrayLike, valid: Bools | None = None, margin: int = 0) -> Texture:
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
    even = margin + margin % 2  # so that the half resolution keeps its phase
    filled = np.zeros([n + 2 * even for n in array.shape], np.float32)
    inner = filled[even : even + array.shape[0], even : even + array.shape[1]]
    bad = None
    if good.all():
        np.subtract(array, np.float32(cv2.mean(array)[0] if array.size else 0), out=inner)
    else:
        mean = float(array[good].mean(dtype=np.float64)) if good.any() else 0.0
        inner[good] = array[good] - np.float32(mean)
        holes = cv2.copyMakeBorder(
            (~good).view(np.uint8), even, even, even, even, cv2.BORDER_CONSTANT, value=1
        )
        bad = cv2.integral(holes, sdepth=cv2.CV_32S)
    sums, squares = cv2.integral2(filled, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    floor = 1e-9 * (cv2.norm(filled, cv2.NORM_INF) if filled.size else 0.0) ** 2 + 1e-30
    return Texture(filled, {}, sums, squares, bad, even, floor)


def half(texture: Texture, odd: tuple[int, int]) -> F32:
    """Mean of every 2×2 pixels, from odd or even rows and columns on (1 or 0 each); kept for later."""
    if odd not in texture.halves:
        part = texture.image[odd[0] :, odd[1] :]
        part = part[: part.shape[0] // 2 * 2, : part.shape[1] // 2 * 2]
        small = cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        texture.halves[odd] = np.asarray(small)
    return texture.halves[odd]


def box(integral: Array, rows: ArrayLike, cols: ArrayLike, size: int) -> Array:
    """Sum over squares of `size` pixels whose top left corners are given."""
    y, x = np.asarray(rows), np.asarray(cols)
    corners = integral[y + size, x + size] - integral[y, x + size] - integral[y + size, x] + integral[y, x]
    return np.asarray(corners)


def clean(texture: Texture, rows: ArrayLike, cols: ArrayLike, size: int) -> Bools:
    """Return which squares of `size` pixels, inside the padded scene, hold no invalid pixel."""
    if texture.bad is not None:
        return np.asarray(box(texture.bad, rows, cols, size) == 0)
    inside = np.asarray(True)
    for first, length in zip((rows, cols), texture.image.shape, strict=True):
        at = np.asarray(first)
        inside = inside & (at >= texture.margin) & (at + size <= length - texture.margin)
    return np.asarray(inside)


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

    def sums(i: Array) -> F64:
        return np.asarray(i[far] - i[near[0], far[1]] - i[far[0], near[1]] + i[near], dtype=np.float64)

    usable = sums(mov.squares) - sums(mov.sums) ** 2 / size**2 > mov.floor * size**2
    usable &= clean(
        mov, np.arange(near[0].start, near[0].stop)[:, None], np.arange(near[1].start, near[1].stop), size
    )
    return np.asarray(np.where(usable, np.clip(scores, -1, 1), NONE))
