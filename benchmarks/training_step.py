"""Our training loop beside a bare PyTorch loop over the same network and the same tensors.

    python benchmarks/training_step.py [--processes]

Both loops run alternately in one process, three times each; the best of each counts. With
``--processes`` two gloo processes of one thread are measured beside one process of two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from icectl.contract import Plugin
from icectl.run import Compute, Run
from icectl.settings import Glacier
from icectl.training import FitSettings, IndexedBatches, SingleOptimizer, fit, launch

UPDATES, WARM_UP, BATCH, SIZE = 40, 5, 16, 50
PLUGIN = Plugin(name="bench", summary="", task="bench", model="bench:Bench", stages={})


def network() -> nn.Module:
    """Return a small convolutional network of 4 → 4 channels."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(4, 32, 3, padding=1), nn.ReLU()]
    for _ in range(3):
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(32, 4, 3, padding=1))


def dataset() -> list[dict[str, torch.Tensor]]:
    """Return samples of random images with masks."""
    generator = torch.Generator().manual_seed(0)
    shape = (4, SIZE, SIZE)
    return [
        {
            "x": torch.randn(shape, generator=generator),
            "y": torch.randn(shape, generator=generator),
            "mask": torch.rand(shape, generator=generator) > 0.2,
        }
        for _ in range(4 * BATCH)
    ]


class Timed(SingleOptimizer):
    """A masked regression that notes when its warm-up ended."""

    started = 0.0

    def loss(self, batch, context):
        """Return the masked squared error."""
        if context.step_number == WARM_UP:
            self.started = time.perf_counter()
        return context.mean((self.modules(batch["x"]) - batch["y"]).square(), batch["mask"])


def run_in(folder: str, processes: int = 1) -> Run:
    """Return a Run on the CPU."""
    compute = Compute(device="cpu", processes=processes)
    return Run(
        verb="train",
        plugin=PLUGIN,
        glacier=Glacier(name="demo"),
        out=Path(folder),
        compute=compute,
        quiet=True,
    )


def ours(run: Run, updates: int) -> float:
    """Return updates a second of `icectl.training.fit`."""
    learner = Timed(network())
    batches = IndexedBatches(dataset(), BATCH, seed=0)
    settings = FitSettings(max_updates=updates + WARM_UP, tensorboard=False, log_every=10)
    fit(run, learner, batches, None, settings)
    return updates / (time.perf_counter() - learner.started)


def bare(updates: int) -> float:
    """Return updates a second of a plain loop: stack, forward, masked loss, backward, step."""
    model, data = network(), dataset()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    started, step, generator = 0.0, 0, torch.Generator().manual_seed(0)
    while step < updates + WARM_UP:
        order = torch.randperm(len(data), generator=generator).tolist()
        for first in range(0, len(order), BATCH):
            if step == WARM_UP:
                started = time.perf_counter()
            chosen = [data[i] for i in order[first : first + BATCH]]
            x, y, mask = (torch.stack([one[name] for one in chosen]) for name in ("x", "y", "mask"))
            errors = (model(x) - y).square()
            loss = torch.where(mask, errors, 0.0).sum() / mask.sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            if step == updates + WARM_UP:
                break
    return updates / (time.perf_counter() - started)


def side_by_side() -> dict[str, float]:
    """Measure both loops alternately and return the best of each."""
    torch.set_num_threads(1)
    best = {"ours": 0.0, "bare": 0.0}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            best["ours"] = max(best["ours"], ours(run_in(folder), UPDATES))
        best["bare"] = max(best["bare"], bare(UPDATES))
    return {**best, "ratio": best["ours"] / best["bare"]}


def two_processes() -> dict[str, float]:
    """Return samples a second of one process with two threads, and of two with one."""
    best = {1: 0.0, 2: 0.0}
    for _ in range(2):
        for processes in best:
            os.environ["OMP_NUM_THREADS"] = str(2 // processes)
            torch.set_num_threads(2 // processes)
            with tempfile.TemporaryDirectory() as folder:
                best[processes] = max(
                    best[processes], launch(ours, run_in(folder, processes), UPDATES) * BATCH
                )
    return {"one of two threads": best[1], "two of one thread": best[2], "ratio": best[2] / best[1]}


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", action="store_true", help="two gloo processes beside one")
    values = two_processes() if parser.parse_args().processes else side_by_side()
    json.dump({name: round(value, 3) for name, value in values.items()}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
