"""Fronts of an image as delivered: brought to the network's pose and scale, and back again.

Where nobody says where ice flows to, all turns are tried and the network's own answer decides: how
certain it is of the edge along the line, times how cleanly the mask parts ice behind it from sea before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.line.lines import Line, length
from icectl.tasks.front.line.passes import Predictor
from icectl.tasks.front.pose.frame import Frame, bearing_in
from icectl.tasks.front.pose.pose import posed

Floats = NDArray[np.float32]


OTHER = 60.0
"""Directions so many degrees from the best one are others; its neighbours see the same front."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a network was trained on: ice flowing up or not, and metres per pixel (None: not known)."""

    upward: bool
    resolution: float | None = None


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

    def __call__(self, image: Floats, frame: Frame | None, bearing: float | None) -> Found:
        """Return the fronts of an image (rows, columns), NaN where invalid.

        Parameters
        ----------
        frame
            Its ground; None where its scale is not known.
        bearing
            Where ice flows to, degrees clockwise from north; None where nobody said.
        """
        if not self.training.upward:  # trained in all directions: the image stays as it lies
            found = self._at(self.predictor, image, frame, bearing_in(frame, 0.0))
            fronts = (replace(f, bearing=bearing, contrast=abs(f.contrast)) for f in found.fronts)
            return replace(found, fronts=tuple(fronts))
        if bearing is not None:
            return self._at(self.predictor, image, frame, bearing)
        bearing, rival = self.best_bearing(image, frame)
        found = self._at(self.predictor, image, frame, bearing)
        return replace(found, fronts=tuple(replace(front, rival=rival) for front in found.fronts))

    def best_bearing(self, image: Floats, frame: Frame | None) -> tuple[float, float]:
        """Return the direction with the best answer, of all turns and across the front found there.

        Beside it stands how good the best answer in another direction is, as a share of this one.
        """
        tried = [self._try(image, frame, 360.0 * turn / self.turns) for turn in range(self.turns)]
        best = max(tried, key=lambda one: one[1])
        if best[2] is None:
            return best[0], 0.0
        others = [score for bearing, score, _ in tried if apart(bearing, best[0]) >= OTHER]
        across = self._try(image, frame, flow_across(best[2], frame, best[0]))
        best = max(best, across, key=lambda one: one[1])
        return best[0], max(others, default=0.0) / max(best[1], 1e-6)

    def _try(self, image: Floats, frame: Frame | None, bearing: float) -> tuple[float, float, Line | None]:
        """Return a direction, how good the network's answer is in it, and the best front."""
        fronts = self._at(self.quick, image, frame, bearing).fronts
        return bearing, answer(fronts), fronts[0].line if fronts else None

    def _at(self, predictor: Predictor, image: Floats, frame: Frame | None, bearing: float) -> Found:
        """Predict in one pose, and move what is found to the image's pixels."""
        shape = (image.shape[0], image.shape[1])
        pose = posed(shape, frame, bearing, self.training.resolution)
        found = predictor(pose.show(image))
        fronts = tuple(replace(f, line=pose.to_image(f.line), bearing=bearing) for f in found.fronts)
        return Found(fronts, pose.paint(found.edge), pose.paint(found.mask), found.notes)


def flow_across(line: Line, frame: Frame | None, near: float) -> float:
    """Return the bearing at right angles to a front's chord, of the two the one nearer to `near`."""
    row, column = line[-1] - line[0]
    along = bearing_in(frame, float(np.rad2deg(np.arctan2(column, -row))))
    return min(((along + side) % 360 for side in (90.0, 270.0)), key=lambda bearing: apart(bearing, near))


def apart(first: float, second: float) -> float:
    """Return the angle between two bearings in degrees, 0…180."""
    return abs((first - second + 180) % 360 - 180)


def answer(fronts: Sequence[Front]) -> float:
    """Return how good a network's answer is, 0…1: certainty along the line times contrast of the mask."""
    return max(
        (
            float(f.along.mean()) * max(0.0, np.nan_to_num(f.contrast, nan=1.0))
            for f in fronts
            if length(f.line) > 0
        ),
        default=0.0,
    )
