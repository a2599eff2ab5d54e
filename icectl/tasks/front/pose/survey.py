"""Fronts of a scene whose ice may flow anywhere: what is seen in all directions, then a closer look at each.

A network is surest of a front that fills its view as the fronts of its training did. So a scene is looked at
in domains that overlap by half and in every direction, quickly; each front that is seen there is looked at
again, in full, in a box around it. What is said of it is said of that look.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from icectl.arrays import F32, F64
from icectl.tasks.front.image.views import Box
from icectl.tasks.front.line.domains import centre, distance_from, domains, moved
from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.line.lines import spaced
from icectl.tasks.front.pose.doubt import confidence, reasons_of
from icectl.tasks.front.pose.frame import Frame
from icectl.tasks.front.pose.search import OTHER, PoseSearch, answer, apart

LOOK = 200
"""Side of the box around a front that is looked at again, in the network's pixels; longer fronts get twice
their extent. Training crops are 256 × 192."""

SEEN = 0.2
"""Least answer of a quick look that is looked at again."""

ALIKE = 24
"""Lines nearer than this in the mean (the network's pixels), in directions side by side, are one front."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A front that a quick look saw, in the scene's pixels, and how good that answer is, 0…1."""

    front: Front
    answer: float


def survey(
    image: F32,
    frame: Frame | None,
    search: PoseSearch,
    bearings: Sequence[float],
    side: int,
    spacing: float,
    most: int,
) -> Found:
    """Return the fronts of a scene (rows, columns), NaN where invalid.

    `frame`: its ground; None where its scale is not known.
    `search`: the network, and its quick look.
    `bearings`: where ice may flow to, degrees clockwise from north.
    `side`: side of a domain in the scene's pixels.
    `spacing`: fronts nearer than this to a surer one (centre to centre, pixels) are not returned.
    `most`: most fronts to return.

    Edge and mask are those of the quick looks, each domain in its best direction, and of the looks at boxes
    over them.
    """
    boxes = domains(image.shape, side)
    proposals, seen = quick_looks(image, frame, search, bearings, boxes)
    scale = search.scale(frame)
    looks: list[tuple[Front, Box, Found]] = []
    for proposal in distinct(proposals, ALIKE * scale):
        box = box_around(proposal.front.line, image.shape, LOOK * scale)
        part = image[box[0] : box[2], box[1] : box[3]]
        found = search.at(part, frame, proposal.front.bearing or 0.0)
        rival = rival_of(proposal, proposals, LOOK * scale)
        reasons = reasons_of(part, frame, search.training)
        for front in found.fronts:
            looks.append((replace(moved(front, box[:2]), rival=rival, doubt=reasons), box, found))
    sure = sorted((front for front, _, _ in looks), key=confidence, reverse=True)
    kept = [sure[i] for i in spaced([centre(front) for front in sure], spacing)[:most]]
    for front, (top, left, bottom, right), found in looks:
        if any(front is own for own in kept):
            seen[:, top:bottom, left:right] = found.edge, found.mask
    said = [f"cut into {len(boxes)} domains"] if len(boxes) > 1 else []
    return Found(tuple(kept), seen[0], seen[1], (*said, *(() if kept else ("no front found",))))


def quick_looks(
    image: F32, frame: Frame | None, search: PoseSearch, bearings: Sequence[float], boxes: Sequence[Box]
) -> tuple[list[Proposal], F32]:
    """Return what quick looks at boxes in all directions propose, and edge and mask ``(2, rows, columns)``.

    Those are of each box's best direction, averaged where boxes overlap.
    """
    proposals, total = list[Proposal](), np.zeros((2, *image.shape), np.float32)
    weight = np.zeros(image.shape, np.float32)
    for top, left, bottom, right in boxes:
        part = image[top:bottom, left:right]
        if not np.isfinite(part).any():
            continue
        looks = [search.at(part, frame, bearing, quick=True) for bearing in bearings]
        best = max(looks, key=lambda found: answer(found.fronts))
        total[:, top:bottom, left:right] += best.edge, best.mask
        weight[top:bottom, left:right] += 1
        for front in (front for found in looks for front in found.fronts):
            proposals.append(Proposal(moved(front, (top, left)), answer([front])))
    return proposals, np.asarray(total / np.maximum(weight, 1), np.float32)


def distinct(proposals: Sequence[Proposal], near: float) -> Iterator[Proposal]:
    """Yield the best proposal of each front: several domains and directions see the same."""
    kept: list[Front] = []
    for proposal in sorted(proposals, key=lambda p: -p.answer):
        if proposal.answer < SEEN:
            return
        front = proposal.front
        if not any(beside(front, other) and distance_from(front.line, other.line) < near for other in kept):
            kept.append(front)
            yield proposal


def beside(front: Front, other: Front) -> bool:
    """Tell whether two fronts were seen in directions that are not others."""
    return apart(front.bearing or 0.0, other.bearing or 0.0) < OTHER


def rival_of(proposal: Proposal, proposals: Sequence[Proposal], reach: float) -> float:
    """Return the best answer in another direction within reach, as a share of a proposal's own."""
    front, middle = proposal.front, centre(proposal.front)
    others = (p for p in proposals if not beside(front, p.front))
    near = [p.answer for p in others if np.hypot(*(centre(p.front) - middle)) < reach]
    return min(1.0, max(near, default=0.0) / max(proposal.answer, 1e-6))


def box_around(line: F64, shape: Sequence[int], least: float) -> Box:
    """Return a square of twice a line's extent or of `least` pixels around it, moved into the image."""
    low, high = line.min(axis=0), line.max(axis=0)
    half = int(np.ceil(max(least / 2, float((high - low).max()))))
    corner = ((low + high) / 2).round().astype(int) - half
    top, left = (
        int(np.clip(c, 0, max(0, length - 2 * half))) for c, length in zip(corner, shape, strict=True)
    )
    return top, left, min(top + 2 * half, shape[0]), min(left + 2 * half, shape[1])
