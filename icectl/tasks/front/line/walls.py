"""Isolation from the coastline: a front is what lies between the walls of its fjord."""

from dataclasses import replace

import numpy as np

from icectl.arrays import Bools
from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.line.lines import length, resample
from icectl.tasks.front.line.passes import at
from icectl.tasks.front.line.polygons import join_ends

SHORTEST = 4.0
"""Shorter pieces (px) between the walls are no front."""

SPECK = 8
"""So many pixels of wall in the midst of a front do not end it."""


def within(found: Found, fjord: Bools) -> Found:
    """Return fronts cut at a fjord's walls and joined to them where they nearly reach.

    `found`: fronts of an image; `fjord`: (rows, columns), True in the fjord.

    A front outside the fjord is dropped, with a note.
    """
    fronts, notes = [], list(found.notes)
    for front in found.fronts:
        inside = between(front, fjord)
        if inside is None:
            notes.append("no front found: the candidate lies outside the fjord")
        else:
            fronts.append(inside)
    return replace(found, fronts=tuple(fronts), notes=tuple(dict.fromkeys(notes)))


def between(front: Front, fjord: Bools) -> Front | None:
    """Return the longest part of a front inside a fjord, carried on to the walls; None without one."""
    points = resample(front.line)
    off = np.flatnonzero(at(fjord.astype(np.float32), points) >= 0.5)
    if not len(off):
        return None
    runs = np.split(off, np.flatnonzero(np.diff(off) > SPECK) + 1)
    longest = max(runs, key=len)
    line = points[longest[0] : longest[-1] + 1]
    if length(line) < SHORTEST:
        return None
    along = front.along
    if len(along):
        share = np.linspace(longest[0], longest[-1], len(line)) / max(1, len(points) - 1)
        along = np.interp(share, np.linspace(0, 1, len(along)), along)
    joined = join_ends(fjord, line)
    if joined is not None and len(along):
        along = np.r_[along[0], along, along[-1]]
    return replace(front, line=line if joined is None else joined, along=along)
