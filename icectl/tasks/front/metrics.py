"""Front errors as CALFIN and its successors print them, and the plain sums below them.

Two definitions of a distance between lines are in use, and they differ:

* *pooled* (CALFIN, CaFFe): nearest distances from predicted to true pixels and from true to
  predicted pixels, concatenated, then averaged;
* *two-way* (COBRA): the mean of the two directions' means, each from points to the other line.

Both are given over all points of all images and over images. A front that was not found has no
distance: it is counted, and the count is printed beside the mean.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.spatial import cKDTree

from icectl.arrays import F64, Bools, Floats
from icectl.tasks.front.line.lines import Line, draw, resample

Distances = F64


@dataclass(frozen=True, slots=True)
class FrontError:
    """Errors of one image. Distances are in pixels of the source image, `…_m` in metres on the ground.

    `status` is ``"found"``, ``"missed"`` (a true front, none predicted), ``"false"`` (predicted
    where there is none) or ``"none"`` (neither).
    """

    status: str
    pooled: Distances
    two_way: float
    edge_iou: float
    mask_iou: float = float("nan")
    calfin_iou: float = float("nan")
    pooled_m: Distances = field(default_factory=lambda: np.empty(0))
    two_way_m: float = float("nan")


def nearest(line: Line, other: Line) -> Distances:
    """Return the distance from each point of `line` to the nearest point of `other`."""
    return np.asarray(cKDTree(other).query(line)[0], dtype=float)


def drawn(lines: Sequence[Line], shape: tuple[int, int]) -> Bools:
    """Rasterise lines 1 px wide."""
    canvas = np.zeros(shape, bool)
    for line in lines:
        canvas |= draw(line, shape)
    return canvas


def pixels_of(lines: Sequence[Line], shape: tuple[int, int]) -> Line:
    """Return the pixels of lines, 1 px wide, as CALFIN measures them."""
    return np.argwhere(drawn(lines, shape)).astype(float)


def pooled_distances(predicted: Line, truth: Line) -> Distances:
    """Return nearest distances of two point sets, both ways, concatenated (CALFIN)."""
    return np.concatenate([nearest(predicted, truth), nearest(truth, predicted)])


def two_way_distance(predicted: Sequence[Line], truth: Sequence[Line], step: float = 0.5) -> float:
    """Return ½ (mean predicted→truth + mean truth→predicted), points every `step` to the lines (COBRA)."""
    return 0.5 * (_one_way(predicted, truth, step) + _one_way(truth, predicted, step))


def _one_way(lines: Sequence[Line], others: Sequence[Line], step: float) -> float:
    """Return the mean distance from points along `lines` to the nearest place on `others`."""
    import shapely

    points = shapely.points(np.concatenate([resample(line, step) for line in lines]))
    shapes = [shapely.LineString(o) if len(o) > 1 else shapely.Point(o[0]) for o in others if len(o)]
    return float(shapely.distance(points, shapely.union_all(shapes)).mean())


def edge_iou(predicted: Sequence[Line], truth: Sequence[Line], shape: tuple[int, int]) -> float:
    """Return the overlap of two fronts, each drawn 1 px wide and dilated 3×3."""
    kernel = np.ones((3, 3), np.uint8)
    first, second = (cv2.dilate(drawn(lines, shape).astype(np.uint8), kernel) for lines in (predicted, truth))
    union = int((first | second).sum())
    return float((first & second).sum()) / union if union else float("nan")


def calfin_mask_iou(predicted: Floats, truth: Bools) -> float:
    """Return CALFIN's overlap of two masks: of ice and of ocean, intersections and unions summed over both.

    >>> truth = np.array([[True, True, False, False]])
    >>> calfin_mask_iou(np.array([[0.9, 0.2, 0.2, 0.2]]), truth)
    0.6
    """
    ice = predicted > 0.5
    pairs = ((ice, truth), (~ice, ~truth))
    shared, union = (sum(int(op(a, b).sum()) for a, b in pairs) for op in (np.logical_and, np.logical_or))
    return shared / union if union else float("nan")


def mask_iou(predicted: Floats, truth: Bools) -> float:
    """Return the soft overlap Σ t·p / Σ max over pixels of an ice/ocean mask and probabilities."""
    together = float((predicted * truth).sum())
    union = float(predicted.sum() + truth.sum()) - together
    return together / union if union else float("nan")


def score(
    predicted: Sequence[Line],
    truth: Sequence[Line],
    shape: tuple[int, int],
    masks: tuple[Floats, Bools] | None = None,
    frame: F64 | None = None,
) -> FrontError:
    """Score one image; an empty side means no front, which is a result and never skipped.

    `predicted` and `truth`: lines in pixels; `shape`: rows and columns of the image; `masks`: predicted
    probability of ice, and the true mask; `frame`: the ground under a pixel
    (`icectl.tasks.front.pose.frame.frame_of`), for distances in metres.

    >>> line = np.array([[5.0, 1.0], [5.0, 8.0]])
    >>> error = score([line + [2, 0]], [line], (10, 10), frame=np.diag([30.0, -30.0]))
    >>> error.status, float(error.pooled.mean()), float(error.pooled_m.mean())
    ('found', 2.0, 60.0)
    """
    overlaps = (mask_iou(*masks), calfin_mask_iou(*masks)) if masks else (float("nan"),) * 2
    has_truth, has_line = any(len(line) for line in truth), any(len(line) for line in predicted)
    if not (has_truth and has_line):
        status = "missed" if has_truth else "false" if has_line else "none"
        iou = 0.0 if has_truth != has_line else float("nan")
        return FrontError(status, np.empty(0), float("nan"), iou, *overlaps)
    found, true = pixels_of(predicted, shape), pixels_of(truth, shape)
    if len(found) == 0 or len(true) == 0:
        return FrontError("missed", np.empty(0), float("nan"), 0.0, *overlaps)
    metres, two_way_m = np.empty(0), float("nan")
    if frame is not None:
        metres = pooled_distances(_on_ground(found, frame), _on_ground(true, frame))
        own, other = ([_on_ground(line, frame) for line in side] for side in (predicted, truth))
        two_way_m = two_way_distance(own, other, 0.5 * float(np.sqrt(abs(np.linalg.det(frame)))))
    pooled, overlap = pooled_distances(found, true), edge_iou(predicted, truth, shape)
    two_way = two_way_distance(predicted, truth)
    return FrontError("found", pooled, two_way, overlap, *overlaps, metres, two_way_m)


def _on_ground(points: Line, frame: F64) -> Line:
    """Return (row, column) points as metres east and north."""
    return np.asarray(points[:, ::-1] @ frame.T)


def summary(errors: Iterable[FrontError]) -> dict[str, float | None]:
    """Return all figures of a set of images, one entry an image.

    Returns ``mean_px``, ``median_px`` over points; ``image_mean_px``, ``image_median_px`` over images'
    means; ``two_way_px``; the same in ``…_m`` over the images whose scale is known; ``edge_iou``,
    ``mask_iou``, ``calfin_iou``; counts ``images``, ``fronts``, ``missed``, ``false``.
    """
    rows = list(errors)
    found = [row for row in rows if row.status == "found"]
    values: dict[str, float | None] = {}
    for unit, of, two_way in (
        ("px", [row.pooled for row in found], [row.two_way for row in found]),
        ("m", [row.pooled_m for row in found if len(row.pooled_m)], [row.two_way_m for row in found]),
    ):
        points = np.concatenate(of) if of else np.empty(0)
        means = np.array([own.mean() for own in of])
        values |= {
            f"mean_{unit}": _of(np.mean, points),
            f"median_{unit}": _of(np.median, points),
            f"image_mean_{unit}": _of(np.mean, means),
            f"image_median_{unit}": _of(np.median, means),
            f"two_way_{unit}": _of(np.mean, np.array(two_way)),
            f"worst_{unit}": _of(np.max, means),
        }
    for key in ("edge_iou", "mask_iou", "calfin_iou"):
        values[key] = _of(np.mean, np.array([getattr(row, key) for row in rows]))
    status = [row.status for row in rows]
    values |= {"images": len(rows), "missed": status.count("missed"), "false": status.count("false")}
    values["fronts"] = len(found) + status.count("missed")
    return values


def _of(function: object, values: Distances) -> float | None:
    """Apply a statistic to the finite values; None when there are none."""
    finite = values[np.isfinite(values)]
    return float(function(finite)) if len(finite) and callable(function) else None
