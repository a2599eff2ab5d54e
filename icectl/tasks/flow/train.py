"""Training: windows of one part of the data, and what trains a network without a learner of its own."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from icectl.run import Run
from icectl.tasks.flow.chips.windows import Drawn, Windows, turn
from icectl.tasks.flow.dataset import Sequences, open_dataset
from icectl.tasks.flow.options import AHEAD, TrainOptions
from icectl.tasks.flow.split import TRAIN, VALIDATE, Parts, check_past, split
from icectl.tasks.model import TaskModel, learn
from icectl.training import Context, FitSettings, IndexedBatches, Learner, launch

CHECKED = 500
"""Windows, about, that a split in time validates on: all of the ground would take longer than training."""

CLIP = 1.0
"""Largest norm of a gradient."""


def train(run: Run, model: TaskModel, options: TrainOptions) -> Path:
    """Split the data and train on one part; weights and logs go to ``run.out``."""
    sequences = open_dataset(run.inputs["prepare"])
    if options.split == "ground":
        check_past(sequences, options.past)
    parts = split(sequences, options, run.seed)
    run.say(parts.sentence())
    run.notes["audit"] = parts.facts()
    launch(_learn, run, model, options)
    return run.out


def _learn(run: Run, model: TaskModel, options: TrainOptions) -> None:
    sequences = open_dataset(run.inputs["prepare"])
    parts = split(sequences, options, run.seed)
    training, checking = _windows(sequences, parts, options)

    def changed(sample: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        sample = training.draw(sample, rng) if isinstance(training, Drawn) else sample
        return turn(sample, rng) if options.augment else sample

    def batches(size: int) -> IndexedBatches:
        return IndexedBatches(training, size, run.seed, augment=changed)

    def valid(size: int) -> IndexedBatches | None:
        return IndexedBatches(checking, size, run.seed, shuffle=False) if len(checking) else None

    settings = FitSettings(
        epochs=options.epochs, max_updates=options.updates, every="update",
        validate_every=options.validate_every, clip_norm=CLIP,
    )  # fmt: skip
    facts = {"size": sequences.size, "bands": sequences.bands, "audit": parts.facts()}
    learn(run, model, options, facts, batches, valid, settings)


def _windows(sequences: Sequences, parts: Parts, options: TrainOptions) -> tuple[Windows, Windows]:
    """Return what is trained and what is validated on."""
    one, other = (parts.sequences(part) for part in (TRAIN, VALIDATE))
    if not parts.targets:
        return tuple(Windows(sequences, s, parts.every, options.normalise) for s in (one, other))  # type: ignore[return-value]
    training = Drawn(sequences, one, parts.targets[TRAIN], options.past, options.normalise)
    ends = [(first, past) for first, past in parts.every if past + AHEAD - 1 in parts.targets[VALIDATE]]
    shortest = min((past for _, past in ends), default=0)  # batches hold windows of one length
    alike = [(first + past - shortest, shortest) for first, past in ends]
    some = other[:: max(1, len(other) * len(alike) // CHECKED)]
    return training, Windows(sequences, some, alike, options.normalise)


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
        past = batch["frames"].shape[1] - AHEAD
        made: Tensor = self.network(batch["frames"][:, :past], batch["days"])
        return made, batch["frames"][:, past:]


def _unlike(made: Tensor, truth: Tensor) -> Tensor:
    """1 − correlation of each frame, ``(n, steps)``."""
    a, b = (x.flatten(2) - x.flatten(2).mean(2, keepdim=True) for x in (made, truth))
    return 1 - F.cosine_similarity(a, b, dim=2)


class Rollout(nn.Module):
    """``generate`` of a network with all its draws coming in as one tensor, ``(n, sum of draws)``."""

    def __init__(
        self, network: nn.Module, generate: Callable[..., Tensor], past: Tensor, days: Tensor, cloud: Tensor
    ) -> None:
        super().__init__()
        self.network, self.generate = network, generate
        self.draws: list[int] = []  # how many numbers each step asks for, in order
        generate(past, days, self._count, cloud)

    def _count(self, length: int) -> Tensor:
        self.draws.append(length)
        return torch.zeros(1, length)

    def forward(
        self, past: Tensor, days: Tensor, cloud: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Return the frames after t0, ``(n, 2, 1, size, size)``."""
        parts = iter(() if noise is None else torch.split(noise, self.draws, 1))
        return self.generate(past, days, lambda length: next(parts), cloud)
