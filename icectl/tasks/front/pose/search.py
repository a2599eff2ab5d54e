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
from icectl.tasks.front.line.lines import Line
from icectl.tasks.front.line.passes import Predictor
from icectl.tasks.front.pose.frame import Frame, bearing_in
from icectl.tasks.front.pose.pose import posed

Floats = NDArray[np.float32]


OTHER = 60.0
"""Directions so many degrees from the best one are others; its neighbours see the same front."""

COARSE = 0.5
"""All turns are tried at this share of the network's resolution."""


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
            found = self._at(self.predictor, image, frame, bearing_in(frame, 0.0))
            fronts = (replace(f, bearing=bearing, contrast=abs(f.contrast)) for f in found.fronts)
            return replace(found, fronts=tuple(fronts))
        if bearing is not None and not spread:
            return self._at(self.predictor, image, frame, bearing)
        tried = [360.0 * turn / self.turns for turn in range(self.turns)]
        if bearing is not None:
            tried = [at for at in tried if apart(at, bearing) <= spread] or [bearing]
        return self._searched(image, frame, tried)

    def _searched(self, image: Floats, frame: Frame | None, tried: Sequence[float]) -> Found:
        """Return what is found in the direction with the best answer.

        All turns get a quick look at half the resolution; the best of them, the best of other directions and
        the direction across the front one at full resolution; the best of these the full look.
        """
        coarse = [answer(self._at(self.quick, image, frame, at, COARSE).fronts) for at in tried]
        # A right direction answers beside it too, for the network bears turns: neighbours count half.
        beside = [own + (coarse[n - 1] + coarse[(n + 1) % len(coarse)]) / 2 for n, own in enumerate(coarse)]
        first = tried[int(np.argmax(beside))]
        others = [(own, at) for own, at in zip(coarse, tried, strict=True) if apart(at, first) >= OTHER]
        second = max(others, default=(0.0, first))[1]
        fine = {at: self._at(self.quick, image, frame, at).fronts for at in dict.fromkeys((first, second))}
        best = max(fine, key=lambda at: answer(fine[at]))
        rival = _rival([answer(fronts) for fronts in fine.values()])
        if fine[best]:
            across = flow_across(fine[best][0].line, frame, best)
            if answer(self._at(self.quick, image, frame, across).fronts) > answer(fine[best]):
                best = across
        found = self._at(self.predictor, image, frame, best)
        return replace(found, fronts=tuple(replace(front, rival=rival) for front in found.fronts))

    def _at(
        self, predictor: Predictor, image: Floats, frame: Frame | None, bearing: float, scale: float = 1.0
    ) -> Found:
        """Predict in one pose, and move what is found to the image's pixels."""
        shape = (image.shape[0], image.shape[1])
        pose = posed(shape, frame, bearing, self.training.resolution)
        if scale < 1:
            pose = pose.resized(max(1, round(scale * max(pose.size))))
        found = predictor(pose.show(image))
        fronts = tuple(replace(f, line=pose.to_image(f.line), bearing=bearing) for f in found.fronts)
        return Found(fronts, pose.paint(found.edge), pose.paint(found.mask), found.notes)


def _rival(answers: Sequence[float]) -> float:
    """Return the second of two answers as a share of the first; 0 where there is one."""
    least, best = sorted(answers)[0], max(answers)
    return least / max(best, 1e-6) if len(answers) > 1 else 0.0


def flow_across(line: Line, frame: Frame | None, near: float) -> float:
    """Return the bearing at right angles to a front's chord, of the two the one nearer to `near`."""
    row, column = line[-1] - line[0]
    along = bearing_in(frame, float(np.rad2deg(np.arctan2(column, -row))))
    return min(((along + side) % 360 for side in (90.0, 270.0)), key=lambda bearing: apart(bearing, near))


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
