"""Scenes much larger than a front: cut into domains that overlap by half, and put together again."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from icectl.arrays import F32, F64
from icectl.tasks.front.image.views import Box
from icectl.tasks.front.image.windows import window_starts
from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.line.lines import length, spaced

SAME = 32
"""Lines nearer than this part of a domain's side are one front: 600 m of 49 m pixels."""

Part = tuple[Box, tuple[Front, ...], tuple[str, ...]]
"""A domain, its fronts in the scene's pixels, and what is to be said of it."""


def domains(shape: Sequence[int], side: int) -> list[Box]:
    """Return boxes of `side` pixels that cover an image; a front shorter than half of it is whole in one."""
    tops, lefts = (window_starts(extent, side, max(1, side // 2)) for extent in shape)
    rows, columns = shape
    return [(top, left, min(top + side, rows), min(left + side, columns)) for top in tops for left in lefts]


def by_domains(image: F32, predict: Callable[[F32], Found], side: int, distance: float, most: int) -> Found:
    """Predict a large scene domain by domain; probabilities are averaged where domains overlap.

    `image`: (rows, columns), NaN where invalid; domains without a valid pixel are left out.
    `predict`: finds the fronts of one domain.
    `side`: side of a domain in pixels.
    `distance`: fronts nearer than this to a better one (centre to centre, pixels) are the same seen twice.
    `most`: most fronts to return.
    """
    total, weight = np.zeros((2, *image.shape), np.float32), np.zeros(image.shape, np.float32)
    parts: list[Part] = []
    boxes = domains(image.shape, side)
    for box in boxes:
        top, left, bottom, right = box
        part = image[top:bottom, left:right]
        if not np.isfinite(part).any():
            continue
        found = predict(part)
        total[0, top:bottom, left:right] += found.edge
        total[1, top:bottom, left:right] += found.mask
        weight[top:bottom, left:right] += 1
        parts.append((box, tuple(moved(front, (top, left)) for front in found.fronts), found.notes))
    total /= np.maximum(weight, 1)
    kept = best([front for _, fronts, _ in parts for front in fronts], distance, most)
    told = [said for _, fronts, said in parts if not kept or any(f is own for f in fronts for own in kept)]
    notes = dict.fromkeys(note for said in told for note in said)
    agreed = tuple(confirmed(front, parts, side / SAME) for front in kept)
    return Found(agreed, total[0], total[1], (f"cut into {len(boxes)} domains", *notes))


def moved(front: Front, corner: tuple[int, int]) -> Front:
    """Return a front of a part that begins at a corner (row, column), in pixels of the whole."""
    return replace(front, line=np.add(front.line, corner))


def confirmed(front: Front, parts: Sequence[Part], near: float) -> Front:
    """Return a front, in doubt if half or more of the domains that hold it whole see another or none.

    A front does not depend on where a scene is cut; much of what looks like one does.
    """
    low, high = front.line.min(axis=0) - near, front.line.max(axis=0) + near
    holding = [fronts for box, fronts, _ in parts if (box[:2] <= low).all() and (high <= box[2:]).all()]
    seen = sum(any(distance_from(front.line, other.line) < near for other in fronts) for fronts in holding)
    if 2 * seen > len(holding) or len(holding) < 2:
        return front
    return replace(front, doubt=(*front.doubt, f"seen in {seen} of {len(holding)} domains that hold it"))


def distance_from(points: F64, line: F64) -> float:
    """Return the mean distance of points from those of a line."""
    return float(cKDTree(line).query(points)[0].mean())


def best(fronts: Sequence[Front], distance: float, most: int) -> list[Front]:
    """Return the best fronts, each once: long and certain ones, and flagged ones only where no other is."""
    sure = [front for front in fronts if not front.fallback] or fronts
    ordered = sorted(sure, key=lambda f: -f.certainty * length(f.line))
    return [ordered[i] for i in spaced([centre(front) for front in ordered], distance)[:most]]


def centre(front: Front) -> F64:
    """Return the middle of a front's box."""
    return np.asarray((front.line.min(axis=0) + front.line.max(axis=0)) / 2)
