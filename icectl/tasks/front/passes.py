"""Prediction of one image: the whole domain first, then each front's box from the full image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front import filters
from icectl.tasks.front.domains import by_domains
from icectl.tasks.front.found import Found, Front
from icectl.tasks.front.infer import Network, pad_to, predict_whole, predict_windows, predict_zoomed
from icectl.tasks.front.layers import LAYERS, filled, stack
from icectl.tasks.front.lines import Line, length, smooth
from icectl.tasks.front.route import least_cost_path, probability_cost
from icectl.tasks.front.vectorise import front_line
from icectl.tasks.front.views import Box, View, padded_box, view

if TYPE_CHECKING:
    from icectl.tasks.front.options import PredictOptions

Floats = NDArray[np.float32]
LOWERED = (0.2, 0.1, 0.05, 0.02)
"""Thresholds that are tried when no front passes the filters."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one pass saw in a box: probabilities in pixels of the view, fronts in pixels of the image."""

    box: Box
    edge: Floats
    mask: Floats
    fronts: tuple[Front, ...]
    notes: tuple[str, ...]


class Predictor:
    """Finds fronts with one network.

    Parameters
    ----------
    network
        Probabilities of windows (see `icectl.tasks.front.infer.Network`).
    layers
        Names of its input layers.
    options
        Windows, thresholds and filters.
    passes
        ``"whole"``, ``"one"`` or ``"two"``.
    has_mask
        Whether the network has learnt the mask of ice, so that it may support the edge.
    """

    def __init__(
        self,
        network: Network,
        layers: Sequence[str],
        options: PredictOptions,
        passes: str,
        has_mask: bool = False,
    ) -> None:
        self.network, self.options, self.passes = network, options, passes
        self._side = options.mask_support if has_mask else 0
        self._pick = [LAYERS.index(name) for name in layers]

    def __call__(self, image: Floats) -> Found:
        """Return the fronts of an image (rows, columns), NaN where invalid; a large one's by domains."""
        side = self.options.domain
        if self.passes == "whole" or max(image.shape) <= side:
            return self._domain(image)
        distance = self.options.front_distance * side
        return by_domains(image, self._domain, side, distance, self.options.fronts)

    def _domain(self, image: Floats) -> Found:
        """Return the fronts of one domain."""
        allowed = away_from_gaps(image)
        image = filled(image)
        if self.passes == "whole":
            return self._whole(self._layers(image), allowed)
        rows, columns = image.shape
        first = self._look(image, allowed, (0, 0, rows, columns), "one")
        if self.passes == "one":
            return Found(first.fronts, *painted(image.shape, [first]), first.notes)
        return self._second(image, first, allowed)

    def _layers(self, image: Floats) -> Floats:
        """Return the network's input layers of an image, or of a view of one."""
        layers = stack(image)
        return layers if self._pick == list(range(len(layers))) else layers[self._pick]

    def _whole(self, layers: Floats, allowed: Floats | None) -> Found:
        """Predict the image at its own resolution, at once or, when large, in windows."""
        edge, mask = predict_zoomed(layers, self._at_once, self.options.zooms)
        edge = edge if allowed is None else edge * allowed
        fronts, notes = self._lines(edge, mask, self.options.minimum_area, "whole", identity)
        return Found(tuple(fronts), edge, mask, tuple(notes))

    def _at_once(self, layers: Floats) -> Floats:
        """Return probabilities of an image seen at once or, when it is large, in windows."""
        if max(layers.shape[1:]) <= self.options.domain:
            return predict_whole(layers, self.network)
        return predict_windows(layers, self.network, self.options.window, self.options.window // 2)

    def _second(self, image: Floats, first: Look, allowed: Floats | None) -> Found:
        """Look at each front's box again, in the full image."""
        fronts, notes, looks = list[Front](), list(first.notes), [first]
        for front in first.fronts:
            box = padded_box(front.line, image.shape, self.options.box_padding, self.options.full_size)
            look = self._look(image, allowed, box, "two", most=1)
            fronts += look.fronts or (front,)
            notes += look.notes if look.fronts else ["pass two found no front; pass one's is kept"]
            looks.append(look)
        return Found(tuple(fronts), *painted(image.shape, looks), tuple(dict.fromkeys(notes)))

    def _look(
        self, image: Floats, allowed: Floats | None, box: Box, passes: str, most: int | None = None
    ) -> Look:
        """Predict a box resampled to ``full_size``, and find its fronts."""
        options = self.options
        shown = view(image, box, options.full_size)
        edge, mask = self._windows(shown)
        if allowed is not None:
            edge = np.asarray(edge * view(allowed, box, options.full_size).image)
        area = options.minimum_area if passes == "one" else options.minimum_area_two
        fronts, notes = self._lines(edge, mask, area, passes, shown.to_source, most)
        enlarged = max(1.0, 1 / shown.scale)
        if enlarged > 1:
            notes.append(f"enlarged {enlarged:.2f}× for pass {passes}: the source has fewer pixels")
        return Look(box, edge, mask, tuple(replace(f, enlarged=enlarged) for f in fronts), tuple(notes))

    def _windows(self, shown: View) -> tuple[Floats, Floats]:
        """Predict a view in overlapping windows; the padding is cut off again."""
        window = self.options.window
        full = pad_to(self._layers(shown.image), (self.options.full_size,) * 2)
        edge, mask = predict_windows(full, self.network, window, self.options.window_stride)
        rows, columns = shown.image.shape
        return edge[:rows, :columns], mask[:rows, :columns]

    def _lines(
        self,
        edge: Floats,
        mask: Floats,
        minimum_area: float,
        passes: str,
        to_source: Callable[[Line], Line],
        most: int | None = None,
    ) -> tuple[list[Front], list[str]]:
        """Filter the parts of an edge raster and vectorise those that pass."""
        options = self.options
        parts = filters.accept(
            filters.parts_of(edge, mask, options.box_threshold), mask, options, minimum_area
        )
        edge = supported(edge, mask, self._side)
        fronts = []
        for part in parts[:most]:
            alone = edge if len(parts) == 1 else _beside(edge, parts, part)
            line = self._line(alone, options.edge_threshold)
            if len(line) >= options.minimum_points:
                fronts.append(Front(to_source(line), part.confidence, passes))
        if fronts:
            return fronts, []
        if not options.fallback:
            return [], ["no front found"]
        return self._lowered(edge, passes, to_source)

    def _lowered(
        self, edge: Floats, passes: str, to_source: Callable[[Line], Line]
    ) -> tuple[list[Front], list[str]]:
        """Look again with lower thresholds; such fronts are flagged."""
        least = self.options.minimum_length * min(edge.shape) / 2
        for threshold in (self.options.edge_threshold, *LOWERED):
            line = (
                self._line(edge, threshold) if threshold <= self.options.edge_threshold else np.empty((0, 2))
            )
            if len(line) >= self.options.minimum_points and length(line) >= least:
                front = Front(to_source(line), filters.confidence(edge), passes, fallback=True)
                return [front], [f"no front passed the filters: taken above {threshold:g}"]
        return [], ["no front found"]

    def _line(self, edge: Floats, threshold: float) -> Line:
        """Vectorise; with ``follow=path``, walk along the ridge between the ends found."""
        options = self.options
        tree = front_line(edge, threshold, neighbours=options.neighbours, bridge=options.bridge, sigma=0)
        if options.follow == "path" and len(tree) >= 2:
            tree = least_cost_path(probability_cost(edge), tree[0], tree[-1])
        return smooth(tree, options.smoothing)


def painted(shape: tuple[int, ...], looks: Sequence[Look]) -> tuple[Floats, Floats]:
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


def supported(edge: Floats, mask: Floats, side: int) -> Floats:
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


def away_from_gaps(image: Floats, distance: int = 4) -> Floats | None:
    """Return 0 within `distance` pixels of invalid pixels, else 1: no front is read there.

    None stands for an image without any, which most are.
    """
    if np.isfinite(image).all():
        return None
    gaps = (~np.isfinite(image)).astype(np.uint8)
    size = 2 * distance + 1
    return np.asarray(1 - cv2.dilate(gaps, np.ones((size, size), np.uint8)), np.float32)


def identity(line: Line) -> Line:
    """Return the line as it is."""
    return line


def _beside(edge: Floats, parts: Sequence[filters.Part], own: filters.Part) -> Floats:
    """Return the edge raster without the other parts."""
    others = np.zeros(edge.shape, bool)
    for part in parts:
        if part is not own:
            others |= part.pixels
    return np.where(others, 0, edge).astype(np.float32)
