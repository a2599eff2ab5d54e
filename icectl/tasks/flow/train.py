"""Training: windows of one part of the data, and what trains a network without a learner of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from icectl.run import Run
from icectl.tasks.flow.chips.windows import Windows, turn
from icectl.tasks.flow.dataset import open_dataset
from icectl.tasks.flow.options import TrainOptions
from icectl.tasks.flow.split import TRAIN, VALIDATE, check_past, split
from icectl.tasks.model import TaskModel, learn
from icectl.training import Context, FitSettings, IndexedBatches, Learner, launch

CLIP = 1.0
"""Largest norm of a gradient."""


def train(run: Run, model: TaskModel, options: TrainOptions) -> Path:
    """Split the data and train on one part; weights and logs go to ``run.out``."""
    sequences = open_dataset(run.inputs["prepare"])
    check_past(sequences, options.past)
    parts = split(sequences, options, run.seed)
    run.say(parts.sentence())
    run.notes["audit"] = parts.facts()
    launch(_learn, run, model, options)
    return run.out


def _learn(run: Run, model: TaskModel, options: TrainOptions) -> None:
    """Train in one process; see `icectl.training.launch`."""
    sequences = open_dataset(run.inputs["prepare"])
    parts = split(sequences, options, run.seed)
    windows = {
        part: Windows(sequences, np.flatnonzero(parts.of == part), options) for part in (TRAIN, VALIDATE)
    }

    def batches(size: int) -> IndexedBatches:
        return IndexedBatches(windows[TRAIN], size, run.seed, augment=turn if options.augment else None)

    def valid(size: int) -> IndexedBatches | None:
        few = not len(windows[VALIDATE])
        return None if few else IndexedBatches(windows[VALIDATE], size, run.seed, shuffle=False)

    settings = FitSettings(
        epochs=options.epochs, max_updates=options.updates, every="update",
        validate_every=options.validate_every, clip_norm=CLIP,
    )  # fmt: skip
    learn(run, model, options, {"size": sequences.size, "audit": parts.facts()}, batches, valid, settings)


class ForecastLearner(Learner):
    """Adam on 1 − correlation of both frames, and a fifth of their squared error."""

    def __init__(self, network: nn.Module, options: TrainOptions, facts: Mapping[str, Any]) -> None:
        self.network, self.modules = network, nn.ModuleDict({"network": network})
        self.options, self.facts = options, {**facts, "kept": "network"}

    def configure(self) -> Mapping[str, Optimizer]:
        """Return one Adam (Kingma and Ba 2015)."""
        return {"main": torch.optim.Adam(self.modules.parameters(), lr=self.options.lr)}

    def update(self, batch: Mapping[str, Tensor], context: Context) -> Mapping[str, Tensor]:
        """Take one step."""
        made, truth = self._forecast(batch)
        loss = context.mean(_unlike(made, truth).sum(1) + 0.2 * ((made - truth) ** 2).mean((2, 3, 4)).sum(1))
        context.backward(loss)
        context.step("main")
        return {"loss": loss}

    def validate(self, batches: Iterable[Mapping[str, Tensor]], context: Context) -> Mapping[str, float]:
        """Return the mean correlation at t2 as ``score``, and ``loss``, which is 1 − score."""

        def parts() -> Iterable[tuple[Mapping[str, Tensor], float]]:
            for batch in batches:
                loss = _unlike(*self._forecast(batch))[:, -1].mean()
                yield {"loss": loss, "score": 1 - loss}, float(len(batch["frames"]))

        return context.average(parts())

    def describe(self) -> dict[str, Any]:
        """Return what predicting needs to know."""
        return self.facts

    def _forecast(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        past = self.options.past
        made: Tensor = self.network(batch["frames"][:, :past], batch["days"])
        return made, batch["frames"][:, past:]


def _unlike(made: Tensor, truth: Tensor) -> Tensor:
    """1 − correlation of each frame, ``(n, steps)``."""
    a, b = (x.flatten(2) - x.flatten(2).mean(2, keepdim=True) for x in (made, truth))
    return 1 - F.cosine_similarity(a, b, dim=2)
