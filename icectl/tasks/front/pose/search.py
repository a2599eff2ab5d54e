"""Fronts of an image as delivered: brought to the network's pose and scale, and back again.

Where nobody says where ice flows to, all turns are tried (`icectl.tasks.front.pose.survey`); how good an
answer is, is how certain the network is of the edge along the line, times how cleanly the mask parts ice
behind it from sea before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from icectl.arrays import F32
from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.line.passes import Predictor
from icectl.tasks.front.pose.frame import Frame, bearing_in, metres_per_pixel
from icectl.tasks.front.pose.pose import Pose, posed

OTHER = 60.0
"""Directions so many degrees apart are others; nearer ones see the same front."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a network was trained on: ice flowing up or not, metres a pixel (None: not known), texture.

    `texture` is the least of the images (`icectl.tasks.front.image.layers.texture`), by default that of the
    weights that ship.
    """

    upward: bool
    resolution: float | None = None
    texture: float = 0.134


class PoseSearch:
    """Looks at images of any pose and scale, from given directions.

    `predictor`: finds fronts in the network's pose; `quick`: the same with fewer looks (no magnifications,
    not mirrored), to look in many directions with; `training`: pose and scale of the network; `turns`:
    directions to try.
    """

    def __init__(self, predictor: Predictor, quick: Predictor, training: Training, turns: int = 12) -> None:
        self.predictor, self.quick, self.training, self.turns = predictor, quick, training, turns

    def bearings(self, told: float | None, spread: float = 0.0) -> list[float]:
        """Return the directions to try: all, those within `spread` degrees of the told one, or that alone.

        A network that was trained in all directions has the image as it lies: none is tried.
        """
        if not self.training.upward:
            return []
        tried = [360.0 * turn / self.turns for turn in range(self.turns)]
        if told is None:
            return tried
        return [at for at in tried if apart(at, told) <= spread] or [told]

    def scale(self, frame: Frame | None) -> float:
        """Return how many pixels of an image one of the network's is long."""
        own, trained = metres_per_pixel(frame), self.training.resolution
        return trained / own if own and trained else 1.0

    def as_it_lies(self, image: F32, frame: Frame | None, bearing: float | None) -> Found:
        """Return what a network that was trained in all directions finds."""
        found = self.at(image, frame, bearing_in(frame, 0.0))
        fronts = (replace(f, bearing=bearing, contrast=abs(f.contrast)) for f in found.fronts)
        return replace(found, fronts=tuple(fronts))

    def _view(self, image: F32, frame: Frame | None, bearing: float) -> Pose:
        """Return the view in which ice that flows to a bearing flows up, at the network's scale."""
        return posed((image.shape[0], image.shape[1]), frame, bearing, self.training.resolution)

    def at(self, image: F32, frame: Frame | None, bearing: float, quick: bool = False) -> Found:
        """Predict an image (rows, columns) in the pose in which ice that flows to a bearing flows up.

        Fronts, edge and mask are in the image's pixels; NaN is invalid.
        """
        pose = self._view(image, frame, bearing)
        found = (self.quick if quick else self.predictor)(pose.show(image))
        fronts = tuple(replace(f, line=pose.to_image(f.line), bearing=bearing) for f in found.fronts)
        return Found(fronts, pose.paint(found.edge), pose.paint(found.mask), found.notes)


def apart(first: float, second: float) -> float:
    """Return the angle between two bearings in degrees, 0…180."""
    return abs((first - second + 180) % 360 - 180)


def answer(fronts: Sequence[Front]) -> float:
    """Return how good a network's answer is, 0…1: certainty along the line times contrast of the mask.

    Certainty is the probability whose logit is the mean of the edge's along the line: gaps count.
    """
    return max((_answer(front) for front in fronts if len(front.along)), default=0.0)


def _answer(front: Front) -> float:
    along = np.clip(front.along, 0.02, 0.98)
    certainty = 1 / (1 + np.exp(-np.log(along / (1 - along)).mean()))
    return float(certainty * max(0.0, np.nan_to_num(front.contrast, nan=1.0)))
