"""Fronts as lines: an (N, 2) float array of (row, column) at pixel centres of one image.

Row 0, column 0 is the centre of the first pixel. Everything in this package that is called a
*line* has this form; `icectl.tasks.front.files.gis` turns it into map coordinates.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from icectl.arrays import F64, Array, Bools

Line = F64
SHIFT = 4  # cv2 draws with 1/16 px when coordinates are given in that fixed point


def draw(line: Line, shape: tuple[int, int], width: int = 1) -> Bools:
    """Rasterise a line.

    `line`: (N, 2) rows and columns; one point draws a dot. `shape`: rows and columns of the raster.
    `width`: side of the square that the line is dilated by; 3 is CALFIN's.

    Returns bool, of `shape`.
    """
    canvas = np.zeros(shape, np.uint8)
    if len(line):
        ended = np.concatenate([line, line[-1:]])  # of one point alone OpenCV draws nothing
        points = np.round(ended[:, ::-1] * 2**SHIFT).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [points], False, 1, 1, cv2.LINE_8, SHIFT)
    if width > 1:  # OpenCV's own thickness 3 covers five pixels when coordinates are fractions
        canvas = cv2.dilate(canvas, np.ones((width, width), np.uint8))
    return canvas.astype(bool)


def length(line: Line) -> float:
    """Return the length of a line in pixels."""
    return float(np.hypot(*np.diff(line, axis=0).T).sum()) if len(line) > 1 else 0.0


def spaced(centres: Sequence[F64], distance: float) -> list[int]:
    """Return which points lie at least so far (pixels) from all those kept before them."""
    kept: list[int] = []
    for number, centre in enumerate(centres):
        if all(np.hypot(*(centre - centres[other])) >= distance for other in kept):
            kept.append(number)
    return kept


def resample(line: Line, step: float = 1.0) -> Line:
    """Return points every `step` pixels along a line, both ends kept."""
    if len(line) < 2:
        return np.asarray(line, float)
    along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(line, axis=0).T))]
    count = max(2, round(along[-1] / step) + 1)
    where = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(where, along, line[:, axis]) for axis in (0, 1)], axis=1)


def smooth(line: Line, sigma: float = 1.0) -> Line:
    """Smooth a line with a Gaussian of `sigma` pixels along it; the ends stay where they are.

    The staircase of a skeleton goes; bends longer than a few `sigma` stay.
    """
    if len(line) < 3 or sigma <= 0:
        return np.asarray(line, float)
    from scipy.ndimage import gaussian_filter1d

    dense = resample(line)
    # Point reflection at the ends keeps the end points fixed under a symmetric kernel.
    pad = min(len(dense) - 1, max(1, round(4 * sigma)))
    head = 2 * dense[0] - dense[pad:0:-1]
    tail = 2 * dense[-1] - dense[-2 : -pad - 2 : -1]
    smoothed = gaussian_filter1d(np.concatenate([head, dense, tail]), sigma, axis=0, mode="nearest")
    return np.asarray(smoothed[pad : pad + len(dense)])


def transform(line: Line, affine: Array) -> Line:
    """Apply a 2×3 affine matrix in OpenCV's convention (acting on column, row) to a line."""
    moved = np.asarray(line)[:, ::-1] @ affine[:, :2].T + affine[:, 2]
    return np.asarray(moved[:, ::-1])


def clip(line: Line, shape: tuple[int, int]) -> list[Line]:
    """Return the parts of a line that lie inside an image, longest first."""
    import shapely

    if len(line) < 2:
        return []
    rows, columns = shape
    frame = shapely.box(-0.5, -0.5, rows - 0.5, columns - 0.5)
    inside = shapely.intersection(shapely.LineString(line), frame)
    merged = shapely.line_merge(inside) if inside.geom_type == "MultiLineString" else inside
    parts = [p for p in shapely.get_parts(merged) if p.geom_type == "LineString" and not p.is_empty]
    return [shapely.get_coordinates(p) for p in sorted(parts, key=lambda p: -p.length)]
