"""Fronts of one image in the network's pose: seen whole, or the domain first and then each front's box."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from icectl.arrays import F32, F64
from icectl.tasks.front.image.layers import filled, stack
from icectl.tasks.front.image.views import Box, View, padded_box, view
from icectl.tasks.front.image.windows import (
    Network,
    mirrored,
    pad_to,
    predict_whole,
    predict_windows,
    predict_zoomed,
)
from icectl.tasks.front.line import filters
from icectl.tasks.front.line.found import Found, Front, Rules
from icectl.tasks.front.line.lines import Line, length, resample, smooth
from icectl.tasks.front.line.vectorise import front_line

LOWERED = (0.2, 0.1, 0.05, 0.02)
"""Thresholds that are tried when no front passes the filters."""

AT_ONCE = 4_096
"""Longer side of an image that a network sees at once; larger ones in windows."""


@dataclass(frozen=True, slots=True)
class PassResult:
    """What one pass saw in a box: probabilities in pixels of the view, fronts in pixels of the image."""

    box: Box
    edge: F32
    mask: F32
    fronts: tuple[Front, ...]
    notes: tuple[str, ...]


class Predictor:
    """Finds fronts with one network.

    `network`: probabilities of windows (see `icectl.tasks.front.image.windows.Network`); `rules`: passes,
    thresholds and filters; `has_mask`: whether the network has learnt the mask of ice, so that it may
    support the edge.
    """

    def __init__(self, network: Network, rules: Rules, has_mask: bool = False) -> None:
        self.network = mirrored(network) if rules.flip else network
        self.rules = rules
        self.has_mask = has_mask
        self._support = rules.mask_support if has_mask else 0

    def __call__(self, image: F32) -> Found:
        """Return the fronts of an image (rows, columns), NaN where invalid."""
        allowed = away_from_gaps(image)
        image = filled(image)
        if self.rules.full_size is None:
            return self._whole(image, allowed)
        first = self._look(image, allowed, (0, 0, *image.shape), "one", self.rules.minimum_area)
        return self._second(image, first, allowed)

    def _whole(self, image: F32, allowed: F32 | None) -> Found:
        """Predict the image at its own resolution, at once or, when large, in windows."""
        looks = [
            predict_zoomed(stack(smoothed(image, sigma)), self._at_once, zoom)
            for zoom, sigma in self.rules.looks
        ]
        edge, mask = np.mean(looks, axis=0)
        edge = edge if allowed is None else edge * allowed
        fronts, notes = self._lines(edge, mask, self.rules.minimum_area, "whole", identity, known=allowed)
        return Found(tuple(fronts), edge, mask, tuple(notes))

    def _at_once(self, layers: F32) -> F32:
        """Return probabilities of an image seen at once or, when it is large, in windows."""
        if max(layers.shape[1:]) <= AT_ONCE:
            return predict_whole(layers, self.network)
        return predict_windows(layers, self.network, self.rules.window, self.rules.window // 2)

    def _second(self, image: F32, first: PassResult, allowed: F32 | None) -> Found:
        """Look at each front's box again, in the full image."""
        fronts, notes, results = list[Front](), list(first.notes), [first]
        for front in first.fronts:
            box = padded_box(front.line, image.shape, self.rules.box_padding, self.rules.full_size or 1)
            again = self._look(image, allowed, box, "two", self.rules.minimum_area_two, most=1)
            fronts += again.fronts or (front,)
            notes += again.notes if again.fronts else ["pass two found no front; pass one's is kept"]
            results.append(again)
        return Found(tuple(fronts), *painted(image.shape, results), tuple(dict.fromkeys(notes)))

    def _look(
        self,
        image: F32,
        allowed: F32 | None,
        box: Box,
        passes: str,
        area: float,
        most: int | None = None,
    ) -> PassResult:
        """Predict a box resampled to ``full_size``, and find its fronts."""
        shown = view(image, box, self.rules.full_size or max(image.shape))
        edge, mask = self._windows(shown)
        known = None if allowed is None else view(allowed, box, max(shown.image.shape)).image
        edge = edge if known is None else np.asarray(edge * known)
        fronts, notes = self._lines(edge, mask, area, passes, shown.to_source, most, known)
        enlarged = max(1.0, 1 / shown.scale)
        if enlarged > 1:
            notes.append(f"enlarged {enlarged:.2f}× for pass {passes}: the source has fewer pixels")
        return PassResult(box, edge, mask, tuple(replace(f, enlarged=enlarged) for f in fronts), tuple(notes))

    def _windows(self, shown: View) -> tuple[F32, F32]:
        """Predict a view in overlapping windows; the padding is cut off again."""
        rows, columns = shown.image.shape
        full = pad_to(stack(shown.image), (max(rows, columns),) * 2)
        edge, mask = predict_windows(full, self.network, self.rules.window, self.rules.stride)
        return edge[:rows, :columns], mask[:rows, :columns]

    def _lines(
        self,
        edge: F32,
        mask: F32,
        minimum_area: float,
        passes: str,
        to_source: Callable[[Line], Line],
        most: int | None = None,
        known: F32 | None = None,
    ) -> tuple[list[Front], list[str]]:
        """Filter the parts of an edge raster and vectorise those that pass."""

        def front(line: Line, certainty: float) -> Front:
            parted = contrast(mask, line, known) if self.has_mask else float("nan")
            beside = at(edge, line, BESIDE)
            return Front(
                to_source(line), certainty, passes, along=beside, length=length(line), contrast=parted
            )

        rules = self.rules
        parts = filters.accept(filters.parts_of(edge, mask, rules.box), mask, rules, minimum_area)
        edge = supported(edge, mask, self._support)
        fronts = []
        for part in parts[:most]:
            alone = edge if len(parts) == 1 else _beside(edge, parts, part)
            line = self._line(alone, rules.edge)
            if len(line) >= rules.minimum_points:
                fronts.append(front(line, part.confidence))
        if fronts or not rules.fallback:
            return fronts, [] if fronts else ["no front found"]
        least = rules.minimum_length * min(edge.shape) / 2
        for threshold in (rules.edge, *LOWERED):
            line = self._line(edge, threshold)
            if len(line) >= rules.minimum_points and length(line) >= least:
                lowered = replace(front(line, filters.confidence(edge)), fallback=True)
                return [lowered], [f"no front passed the filters: taken above {threshold:g}"]
        return [], ["no front found"]

    def _line(self, edge: F32, threshold: float) -> Line:
        rules = self.rules
        tree = front_line(edge, threshold, neighbours=rules.neighbours, bridge=rules.bridge)
        return smooth(tree, rules.smoothing)


BESIDE = 3
"""An edge's probability is the largest within a square of this side around a point of the line (px)."""

APART = 8
"""Ice is looked for so many pixels behind a front, and sea so many before it."""

LEAST_SEEN = 0.5
"""Least share of a front's points with valid pixels on both sides."""


def at(raster: F32, points: Line, widened: int = 1, outside: float | None = None) -> F64:
    """Return a raster's values at points (row, column), the largest within a square of side `widened`.

    Outside the raster they are those of its border, or `outside`.
    """
    if widened > 1:
        raster = cv2.dilate(np.ascontiguousarray(raster, np.float32), np.ones((widened, widened), np.uint8))
    columns, rows = (np.ascontiguousarray(points[None, :, axis], np.float32) for axis in (1, 0))
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    values = cv2.remap(
        np.ascontiguousarray(raster, np.float32), columns, rows, cv2.INTER_LINEAR,
        borderMode=border, borderValue=outside or 0.0,
    )  # fmt: skip
    return np.asarray(values[0], float)


def contrast(mask: F32, line: Line, known: F32 | None = None) -> float:
    """Return how much more ice is behind a front than before it, −1…1.

    Behind is on the right of the line run through from left to right: below, where ice flows up. A line
    beside which the mask hardly changes parts nothing, whatever edge it follows. Points that are not in the
    image, or 0 in `known`, say nothing; where most are, the line is the image's border and parts nothing.
    """
    if len(line) < 2:
        return 0.0
    points = resample(smooth(line, APART / 2))
    points = points if points[0, 1] <= points[-1, 1] else points[::-1]
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    behind = APART * np.stack([along[:, 1], -along[:, 0]], axis=1)
    seen = np.ones(mask.shape, np.float32) if known is None else known
    inside = np.min([at(seen, points + side, outside=0.0) for side in (behind, -behind)], axis=0) > 0.5
    if inside.mean() < LEAST_SEEN:
        return 0.0
    return float((at(mask, points + behind) - at(mask, points - behind))[inside].mean())


def painted(shape: tuple[int, ...], looks: Sequence[PassResult]) -> tuple[F32, F32]:
    """Return edge and mask on the image's pixels; later looks lie over earlier ones, the first has it all."""
    everywhere = (0, 0, *shape)
    last = max(number for number, look in enumerate(looks) if look.box == everywhere)
    edge, mask = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for look in looks[last:]:
        top, left, bottom, right = look.box
        for whole, part in ((edge, look.edge), (mask, look.mask)):
            inside = whole[top:bottom, left:right]
            cv2.resize(np.ascontiguousarray(part), inside.shape[::-1], dst=inside)
    return edge, mask


FULL_SUPPORT = 0.5
"""An edge counts in full where the mask changes by this much or more."""


def supported(edge: F32, mask: F32, side: int) -> F32:
    """Weaken an edge where the mask of ice hardly changes within a square of `side` pixels.

    A front parts ice from sea, so both outputs of a network must see it; crevasses, the snow line and
    ridges of rock are edges too, but not of the mask.
    """
    if side < 1:
        return edge
    kernel = np.ones((side, side), np.uint8)
    mask = np.ascontiguousarray(mask, np.float32)
    change = cv2.dilate(mask, kernel) - cv2.erode(mask, kernel)
    return np.asarray(edge * np.minimum(change / np.float32(FULL_SUPPORT), 1), np.float32)


def smoothed(image: F32, sigma: float) -> F32:
    """Return an image blurred by a Gaussian of `sigma` pixels; 0 leaves it as it is."""
    return image if sigma == 0 else np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


NARROW = 13
"""Gaps narrower than this (px) hide no front: the stripes of Landsat 7 since 2003 take up to 9 px of 49 m."""


def away_from_gaps(image: F32, distance: int = 4) -> F32 | None:
    """Return 0 within `distance` pixels of invalid pixels, else 1: no front is read there.

    Narrow gaps do not count, as `filled` bridges them. None stands for an image without wide ones.
    """
    gaps = (~np.isfinite(image)).astype(np.uint8)
    size = 2 * distance + 1
    if gaps.any():
        bordered = np.pad(gaps, NARROW, mode="symmetric")
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (NARROW, NARROW))
        wide = cv2.morphologyEx(bordered, cv2.MORPH_OPEN, disc)
        gaps = np.ascontiguousarray(wide[NARROW:-NARROW, NARROW:-NARROW])
    if not gaps.any():
        return None
    return np.asarray(1 - cv2.dilate(gaps, np.ones((size, size), np.uint8)), np.float32)


def identity(line: Line) -> Line:
    """Return the line as it is."""
    return line


def _beside(edge: F32, parts: Sequence[filters.Part], own: filters.Part) -> F32:
    """Return the edge raster without the other parts."""
    others = np.zeros(edge.shape, bool)
    for part in parts:
        if part is not own:
            others |= part.pixels
    return np.where(others, 0, edge).astype(np.float32)
