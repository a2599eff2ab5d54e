"""Bring an image to a network's pose and scale, and what it finds back to the image's pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icectl.arrays import F32, F64, Bools
from icectl.tasks.front.image.layers import filled
from icectl.tasks.front.line.lines import Line, transform
from icectl.tasks.front.pose.frame import Frame

SAME = 0.02
"""Scales that differ by less are left as they are: resampling would only blur."""

WIDE_AFFINE = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Pose:
    """An affine change of view.

    `shape`: rows and columns of the image; `matrix`: 2×3, from pixel centres (column, row) of the image to
    those of the view; `size`: rows and columns of the view.
    """

    shape: tuple[int, int]
    matrix: F64
    size: tuple[int, int]

    @property
    def identical(self) -> bool:
        """Whether the view is the image as it is."""
        return self.size == self.shape and np.allclose(self.matrix, np.eye(3)[:2])

    def show(self, image: F32) -> F32:
        """Return the view of an image (rows, columns); NaN where it is invalid or does not reach."""
        if self.identical:
            return image
        whole, (matrix, small) = filled(image), self._shrunk(image)
        if small != image.shape:
            whole = cv2.resize(whole, small[::-1], interpolation=cv2.INTER_AREA)
        view = _warp(whole, matrix, self.size, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        return np.where(self.reached(np.isfinite(image)), view, np.float32(np.nan))

    def reached(self, valid: Bools) -> Bools:
        """Return a boolean raster (rows, columns) of the image in the view; False outside."""
        flags = valid.astype(np.uint8)
        return _warp(flags, self.matrix, self.size, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT).astype(bool)

    def to_view(self, line: Line) -> Line:
        """Move a line from the image to the view."""
        return transform(line, self.matrix)

    def to_image(self, line: Line) -> Line:
        """Move a line from the view to the image."""
        return transform(line, self._inverse())

    def paint(self, raster: F32) -> F32:
        """Return a raster of the view on the image's pixels."""
        if self.identical:
            return raster
        values = np.ascontiguousarray(raster, np.float32)
        back = _warp(values, self._inverse(), self.shape, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        return np.asarray(back, np.float32)

    def resized(self, side: int) -> Pose:
        """Return the view with so many pixels along its longer side, aspect kept."""
        scale = side / max(self.size)
        matrix = scale * self.matrix
        matrix[:, 2] += scale / 2 - 0.5  # pixel centres: target = (source + ½) · scale − ½
        rows, columns = (max(1, round(length * scale)) for length in self.size)
        return Pose(self.shape, matrix, (rows, columns))

    def _inverse(self) -> F64:
        return np.asarray(np.linalg.inv(np.vstack([self.matrix, WIDE_AFFINE]))[:2])

    def _shrunk(self, image: F32) -> tuple[F64, tuple[int, int]]:
        """Return the matrix and the size after pixels were averaged to about those of the view."""
        rows, columns = image.shape
        scale = np.hypot(*self.matrix[:, :2])  # of a column and of a row
        small = (max(1, round(rows * min(1.0, scale[1]))), max(1, round(columns * min(1.0, scale[0]))))
        step = np.array([columns / small[1], rows / small[0]])  # source = (small + ½) · step − ½
        matrix = self.matrix.copy()
        matrix[:, 2] += self.matrix[:, :2] @ (step / 2 - 0.5)
        matrix[:, :2] = self.matrix[:, :2] * step
        return matrix, small


def _warp(
    image: NDArray[np.generic], matrix: F64, size: tuple[int, int], how: int, border: int
) -> NDArray[np.generic]:
    return np.asarray(
        cv2.warpAffine(np.ascontiguousarray(image), matrix, size[::-1], flags=how, borderMode=border)
    )


def posed(
    shape: tuple[int, int], frame: Frame | None, bearing: float = 0.0, resolution: float | None = None
) -> Pose:
    """Return the view in which ice that flows to `bearing` flows up, at so many metres per pixel.

    `shape`: rows and columns of the image. `frame`: its ground (`frame_of`); None leaves its pixels as
    large as they are, its top being north. `bearing`: degrees clockwise from north. `resolution`: metres
    per pixel of the view; None is the image's own.

    >>> frame = np.diag([15.0, -15.0])
    >>> posed((600, 400), frame, 90.0, 30.0).size
    (200, 300)
    """
    ground = np.diag([1.0, -1.0]) if frame is None else frame
    own = float(np.sqrt(abs(np.linalg.det(ground))))
    wanted = own if frame is None or resolution is None or abs(resolution / own - 1) < SAME else resolution
    angle = np.deg2rad(bearing)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [-np.sin(angle), -np.cos(angle)]])
    linear = np.round(turn @ ground / wanted, 12)
    rows, columns = shape
    corners = np.array([[0, columns, 0, columns], [0, 0, rows, rows]], float) - 0.5
    low, high = (op(linear @ corners, axis=1) for op in (np.min, np.max))
    width, height = (max(1, int(side)) for side in np.ceil(np.round(high - low, 6)))
    shift = -low - 0.5 + (np.array([width, height]) - (high - low)) / 2
    return Pose(shape, np.column_stack([linear, shift]), (height, width))
