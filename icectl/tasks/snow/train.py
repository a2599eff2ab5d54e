"""Training of a forecaster: mean squared error over the pixels that count (equation 1 of Müller 2023)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from icectl.run import Run
from icectl.splits import TRAIN, VALIDATE, Split, audit
from icectl.tasks.model import TaskModel, learn
from icectl.tasks.snow.baselines import fit_linear
from icectl.tasks.snow.dataset import Cube, ground, open_dataset
from icectl.tasks.snow.masks.windows import WindowBatches
from icectl.tasks.snow.options import TrainOptions
from icectl.tasks.snow.split import split
from icectl.training import Context, FitSettings, SingleOptimizer, cosine_rate, launch

WARM_UP = 0.1
"""Share of the updates over which the learning rate rises."""

VALIDATION_WINDOWS = 256
"""Windows scored at a validation, evenly drawn from the validation part."""

CLIP = 3.0
"""Bound of each gradient's value, as in the authors' code."""


def train(run: Run, model: TaskModel, options: TrainOptions) -> Path:
    """Split, fit the linear baseline, and train; weights and logs go to ``run.out``."""
    cube = open_dataset(run.inputs["prepare"])
    made = split(cube, options, run.seed)
    found = audit(made)
    run.say(found.sentence())
    run.notes["audit"] = found.facts()
    whole = split(cube, options.model_copy(update={"validate_every": 0}), run.seed)
    fits = {
        name: fit_linear(cube, one, options.count_filled).tolist()
        for name, one in (("linear", made), ("rival", whole))  # the guide; and what it is scored beside
    }
    facts = {"seed": run.seed, "cube": cube.identity, "audit": found.facts(), **fits}
    launch(_learn, run, model, options, facts)
    return run.out


def _learn(run: Run, model: TaskModel, options: TrainOptions, facts: Mapping[str, Any]) -> None:
    cube = open_dataset(run.inputs["prepare"])
    made = split(cube, options, run.seed)
    settings = FitSettings(
        epochs=options.epochs,
        max_updates=options.updates,
        every="update",
        validate_every=options.validate_every or 100,  # without a validation, only the state is saved
        patience=options.patience,
        clip_value=CLIP,
    )

    run = run.at(seed=run.seed + 1000 * options.draw)  # of first weights and order

    def batches(size: int) -> WindowBatches:
        return training_batches(cube, made, options, size, run.seed)

    def valid(size: int) -> WindowBatches | None:
        return validation_batches(cube, made, options, size, run.seed) if options.validate_every else None

    learn(run, model, options, facts, batches, valid, settings)


def validation_batches(cube: Cube, made: Split, options: TrainOptions, size: int, seed: int) -> WindowBatches:
    """Return batches of `VALIDATION_WINDOWS` windows of the validation part."""
    return WindowBatches(
        cube, made.grid, made.windows == VALIDATE, size, seed, shuffle=False,
        limit=VALIDATION_WINDOWS, count_filled=options.count_filled, reuse=True,
        terrain=ground(cube) if "terrain" in options.guides else None,
    )  # fmt: skip


def training_batches(cube: Cube, made: Split, options: TrainOptions, size: int, seed: int) -> WindowBatches:
    """Return shuffled batches of the training windows; a series too short for a cut in time is not mixed."""
    terrain = ground(cube) if "terrain" in options.guides else None
    mix = options.mix_years if made.cut is not None else 0.0
    return WindowBatches(
        cube, made.grid, made.windows == TRAIN, size, seed,
        count_filled=options.count_filled, mix_years=mix, reuse=True, terrain=terrain,
    )  # fmt: skip


class SnowLearner(SingleOptimizer):
    """The loss, the optimiser (AdamW) and its schedule.

    `forecaster`: what is trained. `options`: options of the training. `facts`: plain JSON to keep with the
    weights; ``"updates"`` is their number at most, for the schedule.
    """

    def __init__(self, forecaster: nn.Module, options: TrainOptions, facts: Mapping[str, Any]) -> None:
        super().__init__(forecaster, options.lr, options.weight_decay)
        self.options, self.facts = options, dict(facts)

    def loss(self, batch: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return the mean squared error over valid pixels of the global batch."""
        told = context.training and self.options.as_published  # true frames, to be fed back
        predicted = self.modules(*inputs(batch), batch["future"] if told else None)
        return context.mean((predicted - batch["future"]) ** 2, batch["valid"])

    def schedule(self, optimizers: Mapping[str, Optimizer]) -> Mapping[str, LRScheduler]:
        """Return a warm-up followed by half a cosine, or nothing for a constant rate."""
        if self.options.as_published:
            return {}
        total = int(self.facts["updates"])
        warm = max(1, round(WARM_UP * total))
        return {"main": LambdaLR(optimizers["main"], lambda step: cosine_rate(step, total, warm, warm))}

    def describe(self) -> dict[str, Any]:
        """Return what predicting needs to know."""
        return self.facts

    def images(self, batches: Any, context: Context) -> Mapping[str, Tensor]:
        """Return truth above forecast of the first validation window."""
        batch = next(iter(batches))
        predicted = self.modules(*inputs({name: value[:1] for name, value in batch.items()}))
        rows = torch.cat([torch.cat(list(f[0]), dim=1) for f in (batch["future"][:1], predicted)], dim=0)
        return {"truth above forecast": rows[None].clamp(0, 1)}


def inputs(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return what a forecaster is called with, out of a batch: past, season, phase, terrain."""
    return batch["past"], batch["season"], batch["phase"], batch.get("terrain")
