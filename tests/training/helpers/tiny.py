"""Tiny learners and workers, importable by name in spawned processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from icectl.contract import Plugin
from icectl.run import Compute, Run
from icectl.settings import Glacier
from icectl.training import (
    FitResult,
    FitSettings,
    IndexedBatches,
    Learner,
    SingleOptimizer,
    fit,
    fitting_batch,
    resolve,
)
from icectl.training import fabric as fabrics

PLUGIN = Plugin(name="tiny", summary="A tiny model.", task="tiny", model="tiny:Tiny", stages={})


def run_in(out: Path, processes: int = 1, precision: str = "32-true", seed: int = 3) -> Run:
    out.mkdir(parents=True, exist_ok=True)
    compute = Compute(device="cpu", processes=processes, precision=precision)
    return Run(
        verb="train",
        plugin=PLUGIN,
        glacier=Glacier(name="demo"),
        out=out,
        compute=compute,
        seed=seed,
        quiet=True,
    )


def dataset(count: int = 24, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Images with about a third of the pixels masked, unevenly over the samples."""
    rng = np.random.default_rng(seed)
    samples = []
    for index in range(count):
        x = rng.normal(size=(2, 8, 8)).astype("float32")
        y = np.tanh(x.sum(0, keepdims=True)) + 0.1 * rng.normal(size=(1, 8, 8)).astype("float32")
        mask = rng.random((1, 8, 8)) < (index % 3 + 1) / 4
        samples.append({"x": x, "y": y.astype("float32"), "mask": mask})
    return samples


def batches(run: Run) -> tuple[IndexedBatches, IndexedBatches]:
    return IndexedBatches(dataset(), 6, seed=run.seed), IndexedBatches(dataset(5, 9), 2, shuffle=False)


class Masked(SingleOptimizer):
    """A convolution with batch normalisation and dropout, and a masked loss."""

    def __init__(self, dropout: float = 0.25) -> None:
        super().__init__(
            nn.Sequential(
                nn.Conv2d(2, 6, 3, padding=1, bias=False),  # before BN a bias has no gradient but rounding
                nn.BatchNorm2d(6),
                nn.ReLU(),
                nn.Dropout2d(dropout),
                nn.Dropout(dropout),
                nn.Conv2d(6, 1, 3, padding=1),
            ),
            learning_rate=0.01,
        )

    def loss(self, batch, context):
        return context.mean((self.modules(batch["x"]) - batch["y"]).square(), batch["mask"])

    def schedule(self, optimizers):
        return {"main": torch.optim.lr_scheduler.ExponentialLR(optimizers["main"], 0.99)}

    def describe(self):
        return {"kind": "masked"}


class Adversarial(Learner):
    """Two networks, two optimisers, keyed noise, and a part that most steps leave without a gradient."""

    def __init__(self) -> None:
        generator = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ELU(), nn.Conv2d(6, 1, 1)
        )
        critic = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(36, 1)
        )
        self.modules = nn.ModuleDict({"generator": generator, "critic": critic, "idle": nn.Linear(2, 2)})

    def configure(self):
        parts = self.modules
        own = [*parts["generator"].parameters(), *parts["idle"].parameters()]
        return {
            "generator": torch.optim.AdamW(own, lr=0.01, weight_decay=0.1),
            "critic": torch.optim.Adam(parts["critic"].parameters(), lr=0.01, betas=(0.5, 0.999)),
        }

    def update(self, batch, context) -> Mapping[str, torch.Tensor]:
        generator, critic = self.modules["generator"], self.modules["critic"]
        fake = generator(torch.cat([batch["x"], context.noise(1, 8, 8)], 1))
        critic_loss = context.mean(torch.relu(1 - critic(batch["y"]))) + context.mean(
            torch.relu(1 + critic(fake.detach()))
        )
        context.backward(critic_loss)
        context.step("critic")
        loss = context.mean((fake - batch["y"]).abs(), batch["mask"]) - 0.1 * context.mean(critic(fake))
        context.backward(loss)
        context.step("generator")
        self.modules["critic"].zero_grad(set_to_none=True)
        return {"loss": loss, "critic": critic_loss}

    def validate(self, batches, context):
        def parts():
            for batch in batches:
                fake = self.modules["generator"](torch.cat([batch["x"], context.noise(1, 8, 8)], 1))
                yield {"loss": context.mean((fake - batch["y"]).abs(), batch["mask"])}, context.size(batch)

        return context.average(parts())


def train_all(run: Run, updates: dict[str, int]) -> dict[tuple[str, str], FitResult]:
    """Train both learners in every precision in one launch, since starting processes costs seconds."""
    results = {}
    for precision, count in updates.items():
        compute = Compute(device="cpu", processes=run.compute.processes, precision=precision)
        decision = resolve(compute)
        with fabrics.using(fabrics.build(decision, several=compute.processes > 1)):
            for name, kind in (("masked", Masked), ("adversarial", Adversarial)):
                out = run.out / precision / name
                out.mkdir(exist_ok=True, parents=True)
                results[precision, name] = train_one(run.at(out=out, compute=compute), kind, count)
    run.notes["seen"] = run.out.name
    return results


def train_one(run: Run, kind: type[Learner], updates: int) -> FitResult:
    torch.manual_seed(run.seed)
    settings = FitSettings(max_updates=updates, log_every=1, every="update", validate_every=updates)
    train, valid = (
        IndexedBatches(dataset(), 6, seed=run.seed),
        IndexedBatches(dataset(5, 9), 2, shuffle=False),
    )
    return fit(run, kind(), train, valid, settings)


def train_masked(run: Run, settings: FitSettings) -> FitResult:
    train, valid = (
        IndexedBatches(dataset(), 6, seed=run.seed),
        IndexedBatches(dataset(5, 9), 2, shuffle=False),
    )
    return fit(run, Masked(), train, valid, settings)


class Suicidal(Masked):
    """Rank 1 kills itself at update 3, as the system does to a process that takes too much memory."""

    def update(self, batch, context):
        if context.step_number == 3 and context.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().update(batch, context)


def train_suicidal(run: Run) -> FitResult:
    settings = FitSettings(max_updates=8, checkpoint_every=2)
    return fit(run, Suicidal(), IndexedBatches(dataset(), 6, seed=run.seed), None, settings)


def train_auto(run: Run) -> int:
    """Find the batch that fits, and train with it."""
    samples = dataset(64)

    def batches(size: int) -> IndexedBatches:
        return IndexedBatches(samples, size, seed=run.seed)

    size = fitting_batch(run, 0, Masked, batches)
    fit(run, Masked(), batches(size), None, FitSettings(max_updates=2))
    return size
