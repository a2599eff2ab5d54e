"""How sure a front is, calibrated on glaciers left out, and why it may be wrong, in words."""

from dataclasses import replace

import numpy as np

from icectl.arrays import F32
from icectl.tasks.front.image.layers import texture
from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.pose.frame import Frame, bearing_in, metres_per_pixel
from icectl.tasks.front.pose.pose import posed
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

LENGTHS = (35.0, 70.0)
"""Fronts shorter than the second (px of the network) are less certain, as short pieces mostly are none."""

SMOOTH = 0.7
"""Images with less of the training's least texture are in doubt; resampling takes up to a fifth of it."""

VALID = 0.2
"""Least share of valid pixels."""


FITTED = {"offset": -7.874, "edge": 1.127, "contrast": 0.963, "rival": -2.780, "length": 7.943}
"""Logistic regression on fronts of glaciers left out, in any pose and upright (docs/results/front.md)."""


def confidence(front: Front) -> float:
    """Return the probability, 0…1, that a front lies within 500 m of the true one; none without contrast."""
    terms = features(front)
    logit = FITTED["offset"] + sum(FITTED[name] * value for name, value in terms.items())
    return float(np.clip(terms["contrast"] / PARTED, 0, 1) / (1 + np.exp(-logit)))


def features(front: Front) -> dict[str, float]:
    """Return what speaks for a front.

    ``edge``: the mean logit of the edge's probability along the line. ``contrast``: of the mask across it.
    ``rival``: how good the answer in another direction is. ``length``: 0…1 between `LENGTHS`.
    """
    along = np.clip(front.along if len(front.along) else np.array([0.0]), 0.02, 0.98)
    return {
        "edge": float(np.log(along / (1 - along)).mean()),
        "contrast": 1.0 if np.isnan(front.contrast) else front.contrast,
        "rival": front.rival,
        "length": float(np.clip((front.length - LENGTHS[0]) / (LENGTHS[1] - LENGTHS[0]), 0, 1)),
    }


def reasons_of(image: F32, frame: Frame | None, training: Training) -> tuple[str, ...]:
    """Return why an image is unlike those that a network was trained on, in words."""
    reasons = []
    own, trained = metres_per_pixel(frame), training.resolution
    if own is None and trained is not None:
        reasons.append("scale unknown: neither a CRS nor --resolution")
    elif own and trained and own / trained > SCALES:
        reasons.append(f"coarse: {own:.0f} m a pixel, trained at {trained:.0f} m")
    if np.isfinite(image).mean() < VALID:
        reasons.append("most of the image is missing")
    view = posed((image.shape[0], image.shape[1]), frame, bearing_in(frame, 0.0), trained)
    if not reasons and texture(view.show(image)) < SMOOTH * training.texture:
        reasons.append("smoother than all images of the training, as under cloud")
    return tuple(reasons)


def judged(found: Found, least: float) -> Found:
    """Return what is believed of an image's fronts, each with its confidence and further doubts."""
    fronts, notes = [], list(found.notes)
    for front in found.fronts:
        sure = confidence(front)
        if sure < least:
            notes.append(f"no front found: the best candidate has a confidence of {sure:.2f}")
            continue
        fronts.append(replace(front, confidence=sure, doubt=(*_doubts(front, sure), *front.doubt)))
    return replace(found, fronts=tuple(fronts), notes=tuple(dict.fromkeys(notes)))


def _doubts(front: Front, sure: float) -> tuple[str, ...]:
    if sure >= FLAGGED:
        return ()
    terms, said = features(front), [f"confidence {sure:.2f}"]
    if terms["edge"] < CERTAIN:
        said.append("the edge is uncertain along the line")
    if terms["contrast"] < PARTED:
        said.append("the mask hardly parts ice from sea")
    if terms["rival"] > RIVAL:
        said.append("ice may flow another way: the answer there is nearly as good")
    if terms["length"] < 1:
        said.append(f"the line is short ({front.length:.0f} pixels of the network)")
    return (": ".join([said[0], " and ".join(said[1:])]) if len(said) > 1 else said[0],)
