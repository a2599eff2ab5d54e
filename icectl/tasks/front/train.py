"""Stage three: train on the images with the role train, keep what does best on those with valid."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from icectl.errors import DataError
from icectl.run import Run
from icectl.tasks.front.dataset import FrontData, open_dataset
from icectl.tasks.front.model import FrontModel
from icectl.tasks.front.options import TrainOptions
from icectl.training import FitSettings, IndexedBatches, launch

CLIP = 5.0
"""Bound of the gradient's norm."""


def train(run: Run, model: FrontModel, options: TrainOptions) -> Path:
    """Train in as many processes as were asked for; leave weights and logs in ``run.out``."""
    check_trainable(open_dataset(run.inputs["prepare"]))
    launch(work, run, model, options)
    return run.out


def work(run: Run, model: FrontModel, options: TrainOptions) -> Any:
    """Train in one process of possibly several."""
    from icectl.tasks.front.image.augment import RECIPES
    from icectl.tasks.front.image.samples import Drawer, Samples, WholeImages
    from icectl.tasks.model import learn

    data = open_dataset(run.inputs["prepare"])
    train, valid = data.of("train"), data.of("valid")
    recipe = replace(
        RECIPES[options.augment], size=options.crop, turns=data.flow == "unknown", width=options.edge_width
    )
    samples = Samples(data, train, balance=options.balance, size=options.train_size)
    whole = WholeImages(data, valid, options.edge_width, size=options.train_size)

    def batches(size: int) -> IndexedBatches:
        return IndexedBatches(samples, size, run.seed, augment=Drawer(recipe))

    settings = FitSettings(
        max_updates=options.updates,
        every="update",
        validate_every=options.validate_every,
        clip_norm=CLIP,
        checkpoint_every=options.validate_every,
        log_every=min(50, options.validate_every),
    )
    scored = IndexedBatches(whole, 1, shuffle=False)
    return learn(run, model, options, facts_of(data), batches, lambda size: scored, settings)


def facts_of(data: FrontData) -> Mapping[str, Any]:
    """Return what is kept with the weights: images seen, pose and scale of the training, what baselines know.

    ``pose`` is where ice flowed to in the training's images, or ``"unknown"`` (any);
    ``resolution`` their median metres per pixel, or None; ``texture`` the least of their textures; ``radar``
    whether they are radar images, or both.
    """
    from icectl.tasks.front.baselines import training_facts
    from icectl.tasks.front.image.layers import texture
    from icectl.tasks.front.image.samples import pose_of

    posed = [(entry, pose_of(data, entry)) for entry in data.of("train") if entry.lines]
    used = data.of("train", "valid")
    scales = [entry.resolution for entry in used if entry.resolution is not None]
    return {
        "seen": [entry.id for entry in used],
        "pose": data.flow,
        "resolution": round(float(np.median(scales)), 3) if scales else None,
        "texture": round(min(texture(data.image(entry)) for entry in used), 4),
        "radar": sorted({entry.radar for entry in used}),
        "has_mask": data.flow != "unknown" or any(entry.has_mask for entry in data.of("train")),
        **training_facts([(pose.to_view((entry.lines or ())[0]), pose.size) for entry, pose in posed]),
    }


def check_trainable(data: FrontData) -> None:
    """Refuse a data set with nothing to train or to validate on."""
    for role in ("train", "valid"):
        if not any(entry.lines for entry in data.of(role)):
            raise DataError(
                f"no labelled image is left to {role} on, of {len(data.entries)}",
                "give labels (--labels), more images, or smaller --test-share, --valid-share and --guard",
            )
