"""Ground that stays the same on all dates: a glacier's walls, found without any label.

Rock keeps its texture from one image to the next; ice that flows and sea that drifts do not. Where the
texture of an image is found again in many others is therefore land, whatever its brightness, and a
front ends where it meets it: what a line has on land is cut off, and a line that stops short of
land follows the brightest edge to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.graph import MCP_Geometric

from icectl.tasks.front.layers import filled, stretch
from icectl.tasks.front.lines import Line, draw, resample
from icectl.tasks.front.route import gradient_cost, probability_cost

Floats = NDArray[np.float32]
Texture = tuple[Floats, Floats, Floats]

COARSE = 6.0
"""Brightness that varies more slowly (Gaussian σ, px) is left out: season, sun and snow change it."""

PATCH = 4.0
"""Textures are compared within such patches (Gaussian σ, px)."""

SHARE = 0.9
"""Ground looks alike in the best tenth of the pairs: snow and shade hide it on many dates."""

GROUND = 0.65
"""Correlation from which on it is ground."""

APART = 20.0
"""Days between the images of a pair at least: slow ice keeps its texture for some days."""

MOST_PAIRS = 300
MOST_IMAGES = 60
"""Of longer series, so many images evenly over time are compared."""

LEAST_AREA = 0.01
"""Smaller pieces of ground, as a share of the image, are a rumple in slow ice or an iceberg aground."""

MOST_GROUND = 0.6
"""Share of an image; where more of it stays the same, ice is too slow to be told from ground."""

MOST_PIXELS = 512
"""Longer side at which larger images are compared."""

REACH = 0.3
"""How far a line may be carried on to ground, as a share of the image's shorter side."""

SPECK = 8
"""Shorter pieces of ground (px) in the midst of a line do not end it."""


def stable_ground(images: Sequence[Floats], times: Sequence[datetime]) -> Floats:
    """Return how much of each pixel's texture is found again on other dates, −1…1.

    Parameters
    ----------
    images
        Images of one place on one grid, (rows, columns) each, NaN where invalid; two or more.
    times
        Their dates.

    Returns
    -------
    ndarray
        The 0.9 quantile, over pairs of dates, of the local correlation of fine texture; 0 in small pieces
        of ground, and everywhere without a pair of dates far enough apart or where most is ground.
    """
    days = np.array([time.timestamp() for time in times]) / 86400
    pairs = [(a, b) for a, b in combinations(range(len(images)), 2) if abs(days[a] - days[b]) >= APART]
    if not pairs:
        return np.zeros(images[0].shape, np.float32)
    if len(pairs) > MOST_PAIRS:
        pairs = [pairs[k] for k in np.random.default_rng(0).permutation(len(pairs))[:MOST_PAIRS]]
    textures = [texture(image) for image in images]
    alike = np.stack([correlation(textures[a], textures[b]).astype(np.float16) for a, b in pairs])
    return _told_apart(np.quantile(alike, SHARE, axis=0).astype(np.float32))


def _told_apart(ground: Floats) -> Floats:
    """Return 0 where pieces of ground are small, and everywhere when too much would be ground."""
    if (ground >= GROUND).mean() > MOST_GROUND:
        return np.zeros_like(ground)
    _, part, stats, _ = cv2.connectedComponentsWithStats((ground >= GROUND).astype(np.uint8))
    small = stats[:, cv2.CC_STAT_AREA] < LEAST_AREA * ground.size
    small[0] = False  # what is no ground
    return np.where(small[part], np.float32(0), ground)


def shrunk(image: Floats) -> Floats:
    """Return an image as it is compared: without gaps, large ones smaller."""
    scale = MOST_PIXELS / max(image.shape)
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(filled(image), size, interpolation=cv2.INTER_AREA))


def enlarged(ground: Floats, shape: tuple[int, int]) -> Floats:
    """Return ground on the pixels of the image that was shrunk."""
    return np.asarray(cv2.resize(ground, shape[::-1], interpolation=cv2.INTER_LINEAR))


def chosen(count: int) -> list[int]:
    """Return which images of a series in order of time are compared."""
    return sorted(set(np.linspace(0, count - 1, min(count, MOST_IMAGES)).round().astype(int).tolist()))


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


def between_walls(line: Line, ground: Floats, image: Floats, edge: Floats) -> Line:
    """Return a front that ends where it meets ground.

    Parameters
    ----------
    line
        A front in pixels.
    ground
        (rows, columns) from `stable_ground`.
    image
        (rows, columns) brightness, NaN where invalid.
    edge
        (rows, columns) probability of the front.

    Returns
    -------
    Line
        Cut at ground; where an end does not touch any, carried on to it along the cheapest path over the
        gradient of brightness and the edge's probability. An end far from ground stays.
    """
    line = cut(line, ground)
    cost = gradient_cost(stretch(filled(image))) * (1 + probability_cost(edge) / 3)
    for _ in range(2):
        line = np.concatenate([_to_ground(line, ground, cost), line])[::-1]
    return line


def cut(line: Line, ground: Floats) -> Line:
    """Return the longest part of a line beside ground, with two pixels on it at either end."""
    points = resample(line)
    off = np.flatnonzero(_on(ground, points) < GROUND)
    if len(off) <= SPECK:
        return line
    runs = np.split(off, np.flatnonzero(np.diff(off) > SPECK) + 1)
    longest = max(runs, key=len)
    return points[max(0, longest[0] - 2) : longest[-1] + 3]


def _on(ground: Floats, points: Line) -> Floats:
    """Return the ground's values at points."""
    rows, columns = (np.ascontiguousarray(points[None, :, axis], np.float32) for axis in (0, 1))
    values = cv2.remap(ground, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values[0])


def _to_ground(line: Line, ground: Floats, cost: NDArray[np.float64]) -> Line:
    """Return the cheapest path from ground to the line's first point; empty when there is none."""
    nothing = np.empty((0, 2))
    if len(line) < 2 or _on(ground, line[:1])[0] >= GROUND:
        return nothing
    reach = REACH * min(ground.shape)
    start = np.clip(np.round(line[0]).astype(int), 0, np.array(ground.shape) - 1)
    top, left = np.maximum(0, start - int(reach))
    window = np.s_[top : start[0] + int(reach) + 1, left : start[1] + int(reach) + 1]
    rows, columns = np.indices(ground.shape)[(slice(None), *window)]
    open_ = np.hypot(rows - start[0], columns - start[1]) <= reach
    open_ &= ~draw(line[6:], (ground.shape[0], ground.shape[1]), 3)[window]  # not back along the line
    here = (int(start[0] - top), int(start[1] - left))
    if not open_[here]:
        return nothing
    search = MCP_Geometric(np.where(open_, cost[window], -1.0))
    total, _ = search.find_costs([here])
    total = np.where(open_ & (ground[window] >= GROUND), total, np.inf)
    if not np.isfinite(total).any():
        return nothing
    path = np.array(search.traceback(np.unravel_index(int(np.argmin(total)), total.shape)), float)
    return np.asarray(path[:0:-1] + np.array([top, left]))
