"""What a network must beat: a straight line, the previous date, and an untrained path.

What they know of the training set (median end points and centre, as shares of the image) is kept
with the weights, so that they can be drawn on any other glacier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.dataset import Entry
from icectl.tasks.front.layers import filled, stretch
from icectl.tasks.front.lines import Line, resample
from icectl.tasks.front.route import gradient_cost, least_cost_path


def training_facts(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return median left end, right end and centre of the training fronts, as shares of the image."""
    ends, centres = [], []
    for entry in entries:
        if entry.lines:
            line = left_to_right(entry.lines[0])
            share = (line + 0.5) / np.array(entry.shape)
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


def straight_line(facts: Mapping[str, Any], shape: tuple[int, int]) -> Line | None:
    """Return a straight line with the training fronts' median ends, moved to their median centre."""
    if facts.get("median_ends") is None:
        return None
    ends, centre = np.asarray(facts["median_ends"]), np.asarray(facts["median_centre"])
    moved = ends + centre - ends.mean(axis=0)
    return np.asarray(moved * np.array(shape) - 0.5)


def gradient_path(facts: Mapping[str, Any], image: NDArray[np.float32]) -> Line | None:
    """Return the least-cost path over the brightness gradient between the training fronts' median ends."""
    if facts.get("median_ends") is None:
        return None
    shape = (image.shape[0], image.shape[1])
    start, end = np.asarray(facts["median_ends"]) * np.array(shape) - 0.5
    return least_cost_path(gradient_cost(stretch(filled(image))), start, end)


def previous_fronts(entries: Sequence[Entry]) -> dict[str, Sequence[Line]]:
    """Return for each image the true fronts of its glacier's image before; none for the first.

    `entries` are all labelled images, whatever their role: what was mapped before is known.
    """
    before: dict[str, Sequence[Line]] = {}
    latest: dict[str, Sequence[Line]] = {}
    for entry in sorted(entries, key=lambda e: (e.time, e.id)):
        if entry.lines is None:
            continue
        if entry.glacier in latest and entry.dated:
            before[entry.id] = latest[entry.glacier]
        if entry.lines:
            latest[entry.glacier] = entry.lines
    return before
