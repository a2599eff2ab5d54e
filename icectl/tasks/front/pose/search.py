"""Fronts of an image as delivered: brought to the network's pose and scale, and back again.

Where nobody says where ice flows to, all turns are tried and the network's own answer decides: how
certain it is of the edge along the line, times how cleanly the mask parts ice behind it from sea before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.line.passes import Predictor
from icectl.tasks.front.pose.frame import Frame, bearing_in
from icectl.tasks.front.pose.pose import Pose, posed

Floats = NDArray[np.float32]


OTHER = 60.0
"""Directions so many degrees from the best one are others; nearer ones see the same front."""


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
    """Finds fronts in images of any pose and scale.

    Parameters
    ----------
    predictor
        Finds fronts in the network's pose.
    quick
        The same with fewer looks (no magnifications, not mirrored), to choose the turn with.
    training
        Pose and scale of the network.
    turns
        Directions to try.
    """

    def __init__(self, predictor: Predictor, quick: Predictor, training: Training, turns: int = 12) -> None:
        self.predictor, self.quick, self.training, self.turns = predictor, quick, training, turns

    def __call__(
        self, image: Floats, frame: Frame | None, bearing: float | None, spread: float = 0.0
    ) -> Found:
        """Return the fronts of an image (rows, columns), NaN where invalid.

        Parameters
        ----------
        frame
            Its ground; None where its scale is not known.
        bearing
            Where ice flows to, degrees clockwise from north; None where nobody said.
        spread
            By how much it may be wrong; directions so far from it are tried.
        """
        if not self.training.upward:  # trained in all directions: the image stays as it lies
            found = self._at(image, frame, bearing_in(frame, 0.0))
            fronts = (replace(f, bearing=bearing, contrast=abs(f.contrast)) for f in found.fronts)
            return replace(found, fronts=tuple(fronts))
        if bearing is not None and not spread:
            return self._at(image, frame, bearing)
        tried = [360.0 * turn / self.turns for turn in range(self.turns)]
        if bearing is not None:
            tried = [at for at in tried if apart(at, bearing) <= spread] or [bearing]
        return self._searched(image, frame, tried)

    def _searched(self, image: Floats, frame: Frame | None, tried: Sequence[float]) -> Found:
        """Return what the full look finds in the direction with the best quick answers, and beside it.

        A right direction answers in its neighbours too, for a network bears turns: they count half.
        """
        turns = np.array(tried)
        between = np.abs((turns[:, None] - turns + 180) % 360 - 180)
        beside = (between > 0) & (between <= 360 / self.turns + 1e-6)
        views = (self._view(image, frame, at).show(image) for at in tried)
        quick = np.array([answer(self.quick(view).fronts) for view in views])
        scores = quick + beside @ quick / 2
        best = int(np.argmax(scores))
        rival = scores[between[best] >= OTHER].max(initial=0.0) / max(scores[best], 1e-6)
        found = self._at(image, frame, tried[best])
        return replace(found, fronts=tuple(replace(front, rival=float(rival)) for front in found.fronts))

    def _view(self, image: Floats, frame: Frame | None, bearing: float) -> Pose:
        """Return the view in which ice that flows to a bearing flows up, at the network's scale."""
        return posed((image.shape[0], image.shape[1]), frame, bearing, self.training.resolution)

    def _at(self, image: Floats, frame: Frame | None, bearing: float) -> Found:
        """Predict in one pose, and move what is found to the image's pixels."""
        pose = self._view(image, frame, bearing)
        found = self.predictor(pose.show(image))
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
