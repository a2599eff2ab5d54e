"""A glacier's dates read together: a front far from those of near dates is looked for again.

No label is used. Every front votes for the pixels around it; a vote counts by how near its date is
and how sure its image was. Where a front hardly meets the votes of the others, the image is read
again inside their corridor, along the cheapest path between their ends. Fronts that did advance
or retreat are supported by their neighbours in time and stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from icectl.tasks.front.baselines import left_to_right
from icectl.tasks.front.lines import Line, draw, smooth
from icectl.tasks.front.route import FLOOR, least_cost_between

LEAST = 5
"""Fewest images of a series."""

REACH = 10.0
"""Width (Gaussian σ, px) of a front's votes; fronts of near dates lie about so far apart."""

FAR_VOTE = 0.01
"""Weight of a vote, however far its date."""

CORRIDOR = 0.1
"""Votes, as a share of the most, that bound the corridor; outside, probabilities count a hundredth."""

ENDS_WITHIN = 8.0
"""The path starts and ends within so many pixels of the others' mean ends."""


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a series: its date, its edge probabilities, and the line found in it or None."""

    time: datetime
    edge: NDArray[np.float32]
    line: Line | None


def read_again(
    members: Sequence[Member], *, days: float = 500.0, agreement: float = 0.25, smoothing: float = 1.0
) -> dict[int, Line]:
    """Return new lines, by position, for the members that disagree with the others or have none.

    Parameters
    ----------
    members
        Images of one glacier on one grid.
    days
        Votes fade by 1/e in this time.
    agreement
        A front disagrees whose mean vote is below this share of the series' median.
    smoothing
        Smoothing of the new lines (px).
    """
    found = np.array([m.line is not None and len(m.line) > 1 for m in members])
    if found.sum() < LEAST:
        return {}
    shape = members[0].edge.shape
    lines = [
        left_to_right(m.line) if ok and m.line is not None else None
        for m, ok in zip(members, found, strict=True)
    ]
    drawn = [np.zeros(shape, bool) if line is None else draw(line, (shape[0], shape[1])) for line in lines]
    weights = _weights(members, drawn, found, days)
    near = np.stack([_near(pixels) for pixels in drawn])
    odd = ~found
    for _ in range(2):  # the second round votes without those that disagree
        counted = weights * ~odd[None]
        votes = np.einsum("ij,jrc->irc", counted / counted.sum(axis=1, keepdims=True), near)
        support = np.array([votes[i][drawn[i]].mean() if ok else 0.0 for i, ok in enumerate(found)])
        odd = support < agreement * np.median(support[found])
        if odd.all() or (~odd).sum() < LEAST - 1:
            return {}
    ends = np.array([line[[0, -1]] if line is not None else np.zeros((2, 2)) for line in lines])
    new = {}
    for i in (int(n) for n in np.flatnonzero(odd)):
        share = weights[i] * ~odd
        goal = np.tensordot(share / share.sum(), ends, axes=1)
        new[i] = smooth(_follow(members[i].edge, votes[i], goal), max(smoothing, 2.0))
    return new


def _weights(
    members: Sequence[Member], drawn: Sequence[NDArray[np.bool_]], found: NDArray[np.bool_], days: float
) -> NDArray[np.float64]:
    """Return how much image j counts for image i: by time, and by the fourth power of its certainty."""
    times = np.array([m.time.timestamp() for m in members]) / 86400
    sure = np.array(
        [float(m.edge[p].mean()) if p.any() else 0.0 for m, p in zip(members, drawn, strict=True)]
    )
    weights = np.exp(-np.abs(times[:, None] - times[None]) / days) * sure[None] ** 4 + FAR_VOTE
    weights *= found[None]
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights)


def _near(pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return about 1 on a line, fading with the distance from it."""
    # A Gaussian across a straight line peaks at 1 / (σ √(2π)).
    blurred = gaussian_filter(pixels.astype(float), REACH) * REACH * np.sqrt(2 * np.pi)
    return np.asarray(np.minimum(1.0, blurred))


def _follow(edge: NDArray[np.float32], votes: NDArray[np.float64], ends: Line) -> Line:
    """Return the cheapest path through the corridor between the neighbourhoods of two ends."""
    inside = np.where(votes > CORRIDOR * votes.max(), 1.0, 1e-2)
    cost = -np.log(np.clip(edge, 1e-3, 1.0) * inside) + FLOOR
    return least_cost_between(cost, ends[0], ends[1], ENDS_WITHIN)
