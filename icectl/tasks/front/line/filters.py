"""CALFIN's filters: which connected parts of a predicted edge are fronts (Cheng et al. 2021)."""

from dataclasses import dataclass

import cv2
import numpy as np

from icectl.arrays import F32, F64, Bools
from icectl.tasks.front.line.found import Rules
from icectl.tasks.front.line.lines import spaced

BAND = 15
"""Side of the square by which a front is widened to look at the mask beside it (px)."""

CERTAIN_ABOVE = 0.05
"""Pixels below this probability say nothing of an edge's confidence."""

WEIGHTS = (2.0, 2.5, 1.5)
"""Of the ranks in confidence, length and nearness to the centre, when fronts compete."""

VIEW = 256
"""Lengths are shares of this many pixels, or of the shorter side of an image that is smaller."""


@dataclass(frozen=True, slots=True)
class Part:
    """A candidate: box (first row, first column, after last row, after last column), and its scores."""

    pixels: Bools
    box: tuple[int, int, int, int]
    area: int
    span: float
    confidence: float
    band_bias: float

    @property
    def centre(self) -> F64:
        """Centre of the box (row, column)."""
        top, left, bottom, right = self.box
        return np.array([(top + bottom - 1) / 2, (left + right - 1) / 2])


def confidence(probability: F32) -> float:
    """Return 2·mean|p − ½| over pixels with p > 0.05; 0 where there are none."""
    said = probability[probability > CERTAIN_ABOVE]
    return float(2 * np.abs(said - 0.5).mean()) if said.size else 0.0


def parts_of(edge: F32, mask: F32, threshold: float) -> list[Part]:
    """Return the 8-connected parts of an edge raster above a threshold, with their scores."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (edge > threshold).astype(np.uint8), connectivity=8
    )
    kernel, reach = np.ones((BAND, BAND), np.uint8), BAND // 2
    parts = []
    for number in range(1, count):
        left, top, width, height, area = (int(v) for v in stats[number])
        box = (top, left, top + height, left + width)
        around = np.s_[max(0, top - reach) : box[2] + reach, max(0, left - reach) : box[3] + reach]
        pixels = labels == number
        beside = cv2.dilate(pixels[around].astype(np.uint8), kernel).astype(bool)
        bias = abs(float(mask[around][beside].mean()) - 0.5)
        sure = confidence(edge[around][beside])
        parts.append(Part(pixels, box, area, float(np.hypot(height, width)), sure, bias))
    return parts


def view_side(shape: tuple[int, ...], rules: Rules) -> int:
    """Return the pixels that shares of length are of."""
    full = rules.full_size or VIEW
    return min(full, *shape) if max(shape) < full else full


def accept(parts: list[Part], mask: F32, rules: Rules, minimum_area: float) -> list[Part]:
    """Return the parts that pass every filter, best first, at most ``rules.fronts``."""
    if not parts or not mask_is_plausible(mask, rules):
        return []
    side = view_side(mask.shape, rules)
    largest = max(part.area for part in parts)
    least = max(minimum_area * mask.size, rules.minimum_relative * largest)
    kept = [
        part
        for part in parts
        if part.area >= least
        and part.span >= rules.minimum_length * side
        and part.confidence >= rules.edge_confidence
        and part.band_bias <= rules.band_bias
    ]
    ordered = [kept[i] for i in np.argsort(_ranked(kept, mask.shape), kind="stable")] if kept else []
    apart = spaced([part.centre for part in ordered], rules.front_distance * side)
    return [ordered[i] for i in apart[: rules.fronts]]


def mask_is_plausible(mask: F32, rules: Rules) -> bool:
    """Tell whether ice and ocean both take their share of the scene."""
    ice = float((mask > rules.mask).mean())
    return max(ice, 1 - ice) / max(min(ice, 1 - ice), 1e-9) <= rules.mask_ratio


def _ranked(parts: list[Part], shape: tuple[int, ...]) -> F64:
    """Return CALFIN's weighted sum of ranks; the lowest is the best."""
    middle = (np.array(shape) - 1) / 2
    scores = (
        [-part.confidence for part in parts],
        [-part.span for part in parts],
        [float(np.hypot(*(part.centre - middle))) for part in parts],
    )
    ranks = [np.argsort(np.argsort(score, kind="stable"), kind="stable") for score in scores]
    return np.asarray(sum(weight * rank for weight, rank in zip(WEIGHTS, ranks, strict=True)), float)
