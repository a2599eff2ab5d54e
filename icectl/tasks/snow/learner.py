"""Training of a forecaster: mean squared error over the pixels that count (equation 1 of Müller 2023)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from icectl.tasks.snow.codec import Teacher
from icectl.tasks.snow.forecaster import Forecaster
from icectl.tasks.snow.options import TrainOptions
from icectl.training import Context, SingleOptimizer

WARM_UP = 0.1
"""Share of the updates over which the learning rate rises."""


class SnowLearner(SingleOptimizer):
    """The loss, the optimiser (AdamW) and its schedule.

    Parameters
    ----------
    forecaster
        What is trained.
    options
        Options of the training.
    updates
        Number of updates at most, for the schedule.
    facts
        Plain JSON to keep with the weights.
    """

    modules: Forecaster

    def __init__(
        self, forecaster: Forecaster, options: TrainOptions, updates: int, facts: Mapping[str, Any]
    ) -> None:
        super().__init__(forecaster, options.lr, options.weight_decay)
        self.options, self.updates, self.facts = options, updates, dict(facts)

    def loss(self, batch: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return the mean squared error over valid pixels of the global batch."""
        predicted = self.modules(
            batch["past"], batch["season"], batch["phase"], self._teacher(batch, context)
        )
        return context.mean((predicted - batch["future"]) ** 2, batch["valid"])

    def _teacher(self, batch: Mapping[str, Tensor], context: Context) -> Teacher | None:
        """Return the true frames and where they are fed back, drawn by (seed, step, sample)."""
        if not context.training or self.options.teacher_forcing == 0:
            return None
        chosen = context.uniform(batch["future"].shape[1]) < self.options.teacher_forcing
        return batch["future"], chosen

    def schedule(self, optimizers: Mapping[str, Optimizer]) -> Mapping[str, LRScheduler]:
        """Return a warm-up followed by half a cosine, or nothing for a constant rate."""
        if self.options.schedule == "constant":
            return {}
        total = self.updates
        return {"main": LambdaLR(optimizers["main"], lambda step: rate(step, total))}

    def describe(self) -> dict[str, Any]:
        """Return what predicting needs to know."""
        return self.facts

    def images(self, batches: Any, context: Context) -> Mapping[str, Tensor]:
        """Return truth above forecast of the first validation window."""
        batch = next(iter(batches))
        predicted = self.modules(batch["past"][:1], batch["season"][:1], batch["phase"][:1])
        rows = torch.cat([torch.cat(list(f[0]), dim=1) for f in (batch["future"][:1], predicted)], dim=0)
        return {"truth above forecast": rows[None].clamp(0, 1)}


def rate(step: int, total: int) -> float:
    """Return the share of the full learning rate at `step` of `total`."""
    warm = max(1, round(WARM_UP * total))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))
