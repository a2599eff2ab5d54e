"""Polygons of glacier and ocean from a front, the fjord's boundary and the predicted mask.

As in CALFIN: the front's ends are joined to the nearest boundary (or image border); the line cuts
the fjord into 4-connected parts; a part is ocean where its mean probability of ice is low.
"""

from typing import Any

import cv2
import numpy as np
import shapely
from scipy.ndimage import distance_transform_edt, label

from icectl.arrays import Bools, Floats
from icectl.tasks.front.line.lines import Line, draw

OCEAN_BELOW = 224 / 255
"""A part with a lower mean probability of ice is ocean (CALFIN)."""

BORDER_FACTOR = 1.5
"""An end is joined to the image border only where that is this much nearer than the fjord's side."""

LARGEST_JUMP = 0.15
"""Ends farther from a boundary than this share of the image's mean side are not joined."""

SMALLEST = (0.025, 0.01)
"""Smallest part, as shares of the raster and of the largest part."""


def cut(fjord: Bools, line: Line, ice: Floats) -> tuple[Bools, Bools] | None:
    """Cut a fjord along a front.

    `fjord`: (rows, columns), True in the fjord (glacier and ocean); `line`: the front; `ice`: (rows,
    columns) predicted probability of ice.

    Returns (glacier, ocean), or None where the line's ends are too far from any boundary or it does not
    part the fjord.
    """
    joined = join_ends(fjord, line)
    if joined is None:
        return None
    wall = draw(joined, fjord.shape)
    wall = cv2.dilate(wall.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))).astype(bool)
    parts, count = label(fjord & ~wall)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    if count == 0:
        return None
    least = max(SMALLEST[0] * fjord.size, SMALLEST[1] * sizes.max())
    glacier, ocean = np.zeros(fjord.shape, bool), np.zeros(fjord.shape, bool)
    for number in np.flatnonzero(sizes >= least) + 1:
        part = parts == number
        rest, share = fjord & ~wall & ~part, float(ice[part].mean())
        if share < OCEAN_BELOW and (not rest.any() or share <= float(ice[rest].mean())):
            ocean |= part
        else:
            glacier |= part
    return (glacier, ocean) if glacier.any() and ocean.any() else None


def join_ends(fjord: Bools, line: Line) -> Line | None:
    """Prolong a front to the nearest side of the fjord, or to the image border where much nearer."""
    outside = ~np.pad(fjord, 1, constant_values=True)
    nearest = None
    if outside.any():
        nearest = distance_transform_edt(~outside, return_distances=False, return_indices=True)
    limit = LARGEST_JUMP * float(np.mean(fjord.shape))
    ends = []
    for end in (line[0], line[-1]):
        target = _target(fjord.shape, nearest, end)
        if target is None or np.hypot(*(target - end)) > limit:
            return None
        ends.append(target)
    return np.concatenate([[ends[0]], line, [ends[1]]])


def _target(shape: tuple[int, ...], nearest: Any, end: Any) -> Any:
    rows, columns = shape
    row, column = np.clip(end, 0, [rows - 1, columns - 1])
    borders = np.array([[-1, column], [rows, column], [row, -1], [row, columns]], float)
    border = borders[np.argmin(np.hypot(*(borders - end).T))]
    if nearest is None:
        return border
    index = tuple(np.round([row, column]).astype(int) + 1)
    side = np.array([axis[index] for axis in nearest], float) - 1
    to_side, to_border = np.hypot(*(side - end)), np.hypot(*(border - end))
    return border if BORDER_FACTOR * to_border < to_side else side


def outline(mask: Bools) -> Any:
    """Return a mask's outline as a shapely polygon of (column, row) edges, smoothed by a 3×3 median."""
    from rasterio.features import shapes

    smooth = cv2.medianBlur(mask.astype(np.uint8), 3)
    polygons = [shapely.geometry.shape(s) for s, v in shapes(smooth, mask=smooth.astype(bool)) if v]
    return shapely.union_all(polygons)
