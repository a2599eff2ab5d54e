"""Views: parts of an image resampled to the size that a network looks at.

A network of two passes is shown views, in training as in prediction, and its input layers are made of
what it is shown: so contrast and shadows reach equally far in the domain and in a front's box, and a
large scene costs no more than a small one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.line.lines import Line

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]
"""First row, first column, after the last row, after the last column."""


@dataclass(frozen=True, slots=True)
class View:
    """A part of an image, resampled: source pixel = origin + scale · pixel of the view (edges)."""

    image: Floats
    origin: tuple[float, float]
    scale: float

    def to_source(self, line: Line) -> Line:
        """Move a line from pixel centres of the view to pixel centres of the image."""
        return np.asarray((line + 0.5) * self.scale + np.array(self.origin) - 0.5)


def view(image: Floats, box: Box, size: int) -> View:
    """Cut a box of an image (rows, columns) so that its longer side has `size` pixels, aspect kept.

    Where pixels become larger they are averaged, else interpolated.
    """
    top, left, bottom, right = box
    part = image[top:bottom, left:right]
    scale = max(part.shape) / size
    rows, columns = (max(1, round(side / scale)) for side in part.shape)
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    small = cv2.resize(np.asarray(part, np.float32), (columns, rows), interpolation=how)
    return View(np.asarray(small), (float(top), float(left)), scale)


def padded_box(line: Line, shape: Sequence[int], padding: float, least: int) -> Box:
    """Return a square around a front: side = padding × its larger extent, within the image.

    The square is at least `least` pixels and at most the image's shorter side, and shifted inside.
    """
    low, high = line.min(axis=0), line.max(axis=0)
    side = int(np.ceil(min(max(float((high - low).max()) * padding, least), *shape)))
    corner = np.round((low + high + 1) / 2 - side / 2).astype(int)
    top, left = (int(np.clip(c, 0, limit - side)) for c, limit in zip(corner, shape, strict=True))
    return top, left, top + side, left + side
