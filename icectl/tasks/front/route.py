"""Least-cost paths over an image: the untrained rival, and the way a weak prediction is followed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.filters import sobel
from skimage.graph import MCP_Geometric

from icectl.tasks.front.lines import Line

FLOOR = 0.02
"""Smallest cost of a pixel relative to the largest: keeps paths short on strong edges."""


def gradient_cost(image: NDArray[np.floating], sigma: float = 1.0) -> NDArray[np.float64]:
    """Return a cost that is low on strong brightness edges.

    Parameters
    ----------
    image
        (rows, columns) brightness in any unit.
    sigma
        Gaussian smoothing in pixels before the Sobel filter.

    Returns
    -------
    ndarray
        ``FLOOR + exp(-g / ḡ)`` with gradient g and its mean ḡ over the image.
    """
    from scipy.ndimage import gaussian_filter

    slope = sobel(gaussian_filter(np.asarray(image, float), sigma))
    mean = float(slope.mean())
    return np.asarray(FLOOR + np.exp(-slope / mean)) if mean > 0 else np.ones_like(slope)


def probability_cost(edge: NDArray[np.floating], floor: float = 1e-3) -> NDArray[np.float64]:
    """Return −ln of front probabilities, clipped below at `floor` and kept positive."""
    return np.asarray(-np.log(np.clip(edge, floor, 1.0)) + FLOOR)


def least_cost_path(cost: NDArray[np.floating], start: Line, end: Line) -> Line:
    """Return the cheapest 8-connected path between two pixels.

    Parameters
    ----------
    cost
        (rows, columns), positive; a diagonal step counts √2.
    start, end
        (row, column); points outside are moved to the nearest pixel.

    Returns
    -------
    Line
        Pixels from `start` to `end`.
    """
    limit = np.array(cost.shape) - 1
    ends = [tuple(int(v) for v in np.clip(np.round(point), 0, limit)) for point in (start, end)]
    search = MCP_Geometric(np.asarray(cost, float))
    search.find_costs([ends[0]], [ends[1]])
    return np.asarray(search.traceback(ends[1]), float)


def least_cost_between(cost: NDArray[np.floating], start: Line, end: Line, radius: float) -> Line:
    """Return the cheapest path from anywhere within `radius` px of `start` to anywhere near `end`."""
    starts, ends = (_disc(point, radius, cost.shape) for point in (start, end))
    search = MCP_Geometric(np.asarray(cost, float))
    total, _ = search.find_costs(starts)
    best = min(ends, key=lambda pixel: float(total[pixel]))
    return np.asarray(search.traceback(best), float)


def _disc(centre: Line, radius: float, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the pixels of an image within a distance of a point, the nearest one at least."""
    rows, columns = np.indices(shape)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    chosen = np.argwhere(distance <= max(radius, float(distance.min())))
    return [(int(row), int(column)) for row, column in chosen]
