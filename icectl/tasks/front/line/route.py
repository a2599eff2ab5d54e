"""Least-cost paths over an image: baselines with nothing learnt."""

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.filters import sobel
from skimage.graph import MCP_Geometric

from icectl.arrays import F64, Floats
from icectl.tasks.front.line.lines import Line

FLOOR = 0.02
"""Smallest cost of a pixel relative to the largest: keeps paths short on strong edges."""


def gradient_cost(image: Floats, sigma: float = 1.0) -> F64:
    """Return a cost that is low on strong brightness edges.

    `image`: (rows, columns) brightness in any unit; `sigma`: gaussian smoothing in pixels before the Sobel
    filter.

    Returns ``FLOOR + exp(-g / ḡ)`` with gradient g and its mean ḡ over the image.
    """
    slope = sobel(gaussian_filter(np.asarray(image, float), sigma))
    mean = float(slope.mean())
    return np.asarray(FLOOR + np.exp(-slope / mean)) if mean > 0 else np.ones_like(slope)


def least_cost_path(cost: Floats, start: Line, end: Line) -> Line:
    """Return the cheapest 8-connected path between two pixels.

    `cost`: (rows, columns), positive; a diagonal step counts √2. `start` and `end`: (row, column); points
    outside are moved to the nearest pixel.

    Returns pixels from `start` to `end`.
    """
    limit = np.array(cost.shape) - 1
    ends = [tuple(int(v) for v in np.clip(np.round(point), 0, limit)) for point in (start, end)]
    search = MCP_Geometric(np.asarray(cost, float))
    search.find_costs([ends[0]], [ends[1]])
    return np.asarray(search.traceback(ends[1]), float)


def path_across(cost: Floats, first: float, last: float) -> Line:
    """Return the cheapest path from anywhere in one column to anywhere in another.

    >>> cost = np.ones((3, 4)); cost[1] = 0.1
    >>> path_across(cost, 0, 3).tolist()
    [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]
    """
    rows, columns = cost.shape
    start, end = (int(np.clip(round(column), 0, columns - 1)) for column in (first, last))
    search = MCP_Geometric(np.asarray(cost, float))
    total, _ = search.find_costs([(row, start) for row in range(rows)])
    return np.asarray(search.traceback((int(np.argmin(total[:, end])), end)), float)
