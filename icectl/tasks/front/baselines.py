"""What a network must beat: a straight line, the previous date, and two paths with nothing learnt.

What they know of the training set (median end points and centre, as shares of the image in the
training's pose) is kept with the weights, so that they can be drawn on any other glacier.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.filters import sobel
from skimage.graph import MCP_Geometric

from icectl.arrays import F32, F64, Floats
from icectl.tasks.front.dataset import Entry
from icectl.tasks.front.image.layers import filled, stretch
from icectl.tasks.front.line.lines import Line, resample
from icectl.tasks.front.pose.pose import Pose

STRAIGHT, PREVIOUS = "straight line", "previous date"
BETWEEN_ENDS, ACROSS = "path between median ends", "path between median end columns"


def baselines(
    image: F32, pose: Pose, facts: Mapping[str, Any], before: Sequence[Line] = ()
) -> dict[str, Sequence[Line]]:
    """Return the fronts that simple methods draw in one image, by their names.

    `image`: (rows, columns), NaN where invalid.
    `pose`: the view in which ice flows as in the training, the network's own, for a fair comparison.
    `facts`: what the weights carry of the training fronts: ``median_ends``, ``median_centre``.
    `before`: the true fronts of the glacier's image before, if there is one.
    """
    drawn: dict[str, Sequence[Line]] = {PREVIOUS: before}
    if facts.get("median_ends") is None:
        return drawn | {STRAIGHT: (), BETWEEN_ENDS: (), ACROSS: ()}
    cost = gradient_cost(stretch(filled(pose.show(image))))
    ends = np.asarray(facts["median_ends"]) * np.array(pose.size) - 0.5
    lines = {
        STRAIGHT: straight_line(facts, pose.size),
        BETWEEN_ENDS: least_cost_path(cost, *ends),
        ACROSS: path_across(cost, *ends[:, 1]),
    }
    return drawn | {name: (pose.to_image(line),) for name, line in lines.items()}


def training_facts(lines: Sequence[tuple[Line, tuple[int, int]]]) -> dict[str, Any]:
    """Return median left end, right end and centre of fronts, each with its image's size, as shares of it."""
    ends, centres = [], []
    for line, size in lines:
        share = (left_to_right(line) + 0.5) / np.array(size)
        ends.append(share[[0, -1]])
        centres.append(resample(share, 0.01).mean(axis=0))
    if not ends:
        return {"median_ends": None, "median_centre": None}
    return {
        "median_ends": np.median(ends, axis=0).tolist(),
        "median_centre": np.median(centres, axis=0).tolist(),
    }


def left_to_right(line: Line) -> Line:
    """Return the line so that it starts at its left end (its upper end, when they are level)."""
    first, last = line[0], line[-1]
    return line if (first[1], first[0]) <= (last[1], last[0]) else line[::-1]


def straight_line(facts: Mapping[str, Any], shape: tuple[int, int]) -> Line:
    """Return a straight line with the training fronts' median ends, moved to their median centre."""
    ends, centre = np.asarray(facts["median_ends"]), np.asarray(facts["median_centre"])
    moved = ends + centre - ends.mean(axis=0)
    return np.asarray(moved * np.array(shape) - 0.5)


def previous_fronts(entries: Sequence[Entry]) -> dict[str, Sequence[Line]]:
    """Return for each image the true fronts of its glacier's image before; none for the first.

    `entries` are all labelled images, whatever their role: what was mapped before is known. Only an image
    on the same grid tells where its front is in this one.
    """
    before: dict[str, Sequence[Line]] = {}
    latest: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda e: (e.time, e.id)):
        if entry.lines is None:
            continue
        last = latest.get(entry.glacier)
        if last is not None and entry.dated and (last.shape, last.place) == (entry.shape, entry.place):
            before[entry.id] = last.lines or ()
        if entry.lines:
            latest[entry.glacier] = entry
    return before


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
