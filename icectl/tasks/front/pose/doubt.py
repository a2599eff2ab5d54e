"""How sure a front is, calibrated on glaciers left out, and why it may be wrong, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.pose.frame import Frame, metres_per_pixel
from icectl.tasks.front.pose.search import Training

FLAGGED = 0.8
"""Fronts below this confidence are in doubt."""

SCALES = 2.0
"""Metres per pixel may differ from those of the training by this factor before the scale is in doubt."""

CERTAIN = 2.0
"""Mean logit of the edge's probability below which the edge is uncertain (a probability of 0.88)."""

PARTED = 0.3
"""Contrast below which the mask hardly parts ice from sea: confidence falls with it, to none at 0."""

RIVAL = 0.8
"""Answers in another direction above this share of the best leave the direction in doubt."""

VALID = 0.2
"""Least share of valid pixels."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Probability that a front is right: a logistic function of the network's answer, none without contrast.

    Parameters
    ----------
    weights
        ``offset``, and the slopes of the mean logit of the edge's probability along the line (``edge``), of
        the mask's contrast across it (``contrast``) and of how good the answer in another direction is
        (``rival``); None takes those fitted on glaciers left out (docs/results/front.md).
    """

    weights: Mapping[str, float] | None = None

    def __call__(self, front: Front) -> float:
        """Return the probability that a front lies within 500 m of the true one, 0…1."""
        own = FITTED if self.weights is None else self.weights
        terms = dict(zip(("edge", "contrast", "rival"), features(front), strict=True))
        logit = own["offset"] + sum(own[name] * terms[name] for name in terms)
        return float(np.clip(terms["contrast"] / PARTED, 0, 1) / (1 + np.exp(-logit)))


FITTED = {"offset": -3.335, "edge": 1.641, "contrast": 0.325, "rival": -0.767}


def features(front: Front) -> tuple[float, float, float]:
    """Return what speaks for a front: the mean logit of the edge's probability, the contrast, the rival."""
    along = np.clip(front.along if len(front.along) else np.array([0.0]), 0.02, 0.98)
    contrast = 1.0 if np.isnan(front.contrast) else front.contrast
    return float(np.log(along / (1 - along)).mean()), contrast, front.rival


def reasons_of(image: NDArray[np.float32], frame: Frame | None, training: Training) -> tuple[str, ...]:
    """Return why an image is unlike those that a network was trained on, in words."""
    reasons = []
    own, trained = metres_per_pixel(frame), training.resolution
    if own is None and trained is not None:
        reasons.append("scale unknown: neither a CRS nor --resolution")
    elif own and trained and own / trained > SCALES:
        reasons.append(f"coarse: {own:.0f} m a pixel, trained at {trained:.0f} m")
    if np.isfinite(image).mean() < VALID:
        reasons.append("most of the image is missing")
    return tuple(reasons)


def judged(found: Found, doubt: Doubt, least: float, reasons: Sequence[str] = ()) -> Found:
    """Return what is believed of an image's fronts, each with its confidence and the doubts there are."""
    fronts, notes = [], list(found.notes)
    for front in found.fronts:
        sure = doubt(front)
        if sure < least:
            notes.append(f"no front found: the best candidate has a confidence of {sure:.2f}")
            continue
        fronts.append(replace(front, confidence=sure, doubt=(*_doubts(front, sure), *reasons)))
    return replace(found, fronts=tuple(fronts), notes=tuple(dict.fromkeys(notes)))


def _doubts(front: Front, sure: float) -> tuple[str, ...]:
    """Return what speaks against a front."""
    if sure >= FLAGGED:
        return ()
    edge, contrast, rival = features(front)
    said = [f"confidence {sure:.2f}"]
    if edge < CERTAIN:
        said.append("the edge is uncertain along the line")
    if contrast < PARTED:
        said.append("the mask hardly parts ice from sea")
    if rival > RIVAL:
        said.append("ice may flow another way: the answer there is nearly as good")
    return (": ".join([said[0], " and ".join(said[1:])]) if len(said) > 1 else said[0],)
