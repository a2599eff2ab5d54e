"""Advance and retreat: relative length of a glacier over time, by box or along a centre line.

*Box* (Moon and Joughin 2008): the area between the front and a fixed cross-section far up the glacier,
within two lines along the flow, divided by the width. *Centre line*: where the front crosses one line.
Both are relative to the first date; positive is advance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import shapely
import shapely.ops

from icectl.tasks.front.line.lines import Line, resample

Dated = tuple[datetime, Line]


@dataclass(frozen=True, slots=True)
class Reference:
    """Flow direction (unit vector) at an origin, and the half width across it that all fronts share."""

    origin: tuple[float, float]
    flow: tuple[float, float]
    half_width: float


def reference_of(fronts: Sequence[Line], flow: float | None = None) -> Reference | None:
    """Return flow and box from some fronts of a glacier.

    `flow` is a direction in degrees clockwise from the top. Without one it is the normal of the fronts'
    mean chord. The sign is then a choice (towards smaller rows, then columns): say so beside the numbers.
    """
    usable = [line for line in fronts if len(line) > 1]
    if not usable:
        return None
    if flow is not None:
        along = np.round([-np.cos(np.deg2rad(flow)), np.sin(np.deg2rad(flow))], 12)
    else:
        chords = np.array([_chord(line) for line in usable])
        # Fronts that run north and south have chords of either sign, which would cancel.
        chord = (chords * np.where(chords @ chords[0] < 0, -1, 1)[:, None]).mean(axis=0)
        along = np.array([-chord[1], chord[0]]) / (np.hypot(*chord) or 1.0)
        along = along if tuple(along) < (0.0, 0.0) else -along
    across = np.array([-along[1], along[0]])
    spans = np.array([[(line @ across).min(), (line @ across).max()] for line in usable])
    # The middle half of the median span: nearly every front crosses all of it.
    low, high = np.median(spans, axis=0)
    middle, half = (low + high) / 2, (high - low) / 4
    level = float(np.median([np.median(line @ along) for line in usable]))
    origin = level * along + middle * across
    return Reference((float(origin[0]), float(origin[1])), (float(along[0]), float(along[1])), float(half))


def _chord(line: Line) -> Any:
    """Return the unit vector from end to end, columns increasing."""
    chord = line[-1] - line[0]
    chord = chord / (np.hypot(*chord) or 1.0)
    return chord if (chord[1], chord[0]) >= (0, 0) else -chord


def position(line: Line, reference: Reference, method: str = "box", step: float = 0.5) -> float | None:
    """Return how far a front lies along the flow, in its own unit; None where it crosses no box or line.

    `step` is the distance of the points that the front is resampled to, in that unit.
    """
    along = np.array(reference.flow)
    across = np.array([-along[1], along[0]])
    local = (resample(line, step) - np.array(reference.origin)) @ np.stack([along, across], axis=1)
    if method == "centre-line":
        side = np.sign(local[:, 1])
        where = np.flatnonzero(side[:-1] * side[1:] <= 0)  # of several crossings the one farthest down-flow
        return float(local[where, 0].max()) if len(where) else None
    return _mean_in_box(local, reference.half_width)


def _mean_in_box(local: Line, half: float) -> float | None:
    """Return area over width of the box behind the front; None where the front leaves it uncrossed."""
    reach = float(np.abs(local).max()) + half + 10.0
    box = shapely.box(-reach, -half, reach, half)
    front = shapely.LineString(local)
    parts = shapely.get_parts(shapely.ops.split(box, front)) if front.crosses(box) else []
    behind = [p for p in parts if shapely.distance(p, shapely.Point(-reach, 0)) < 1e-6]
    touching = [p for p in behind if p.bounds[2] < reach - 1e-6]
    if not touching:
        return None
    return float(sum(p.area for p in touching) / (2 * half) - reach)


def length_series(
    fronts: Sequence[Dated], reference: Reference, method: str = "box"
) -> list[tuple[datetime, float]]:
    """Return (date, length relative to the first date) of the fronts that cross, in order of date."""
    placed = [(time, position(line, reference, method)) for time, line in sorted(fronts, key=lambda f: f[0])]
    known = [(time, value) for time, value in placed if value is not None]
    return [(time, value - known[0][1]) for time, value in known]
