"""A training step of every network beside a plain PyTorch loop over the same network and tensors.

Both take turns step by step, so that each pair meets the same machine: icectl's `fit` asks for its next batch
when its update, its log and its bookkeeping are done; then the plain loop stacks the same samples and takes
one step (see `_plain.py`). A turn is `BLOCK` steps of each, with one line of the log in it (by default icectl
writes one in 50 steps); the ratio is the median over turns. One thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _plain import Case, cases
from common import Row, finish, paired, sizes

from icectl.contract import Plugin
from icectl.run import Compute, Run
from icectl.settings import Glacier
from icectl.training import FitSettings, IndexedBatches, fit

BLOCK, BLOCKS, WARM_UP = 5, 9, 3
LONGEST = 7.0
"""Seconds for one network at one size; at least three turns are made."""


class Turns:
    """Batches for `fit` that let the plain loop take its step between two of ours."""

    def __init__(self, case: Case, batch: int) -> None:
        self.batches, self.case, self.size = IndexedBatches(case.samples, batch, seed=0), case, batch
        self.pairs: list[tuple[float, float]] = []

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, epoch: int, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[Any]:
        """Yield batches; measure what happens until the next one is asked for, then the other side."""
        ours = self.batches.epoch(epoch, rank, world, start)
        order = iter(np.random.default_rng(epoch).permutation(len(self.case.samples)))
        while True:
            begun = time.perf_counter()
            batch = next(ours, None)
            if batch is None:
                return
            yield batch
            middle = time.perf_counter()
            chosen = [self.case.samples[next(order)] for _ in range(self.size)]
            self.case.plain({name: torch.stack([one[name] for one in chosen]) for name in chosen[0]})
            self.pairs.append((middle - begun, time.perf_counter() - middle))


def measure(case: Case, batch: int) -> list[tuple[float, float]]:
    """Return the seconds of both sides, turn by turn."""
    turns = Turns(case, batch)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            verb="train", plugin=Plugin(name="bench", summary="", task="bench", model="bench:B", stages={}),
            glacier=Glacier(name="demo"), out=Path(folder), compute=Compute(device="cpu"), quiet=True,
        )  # fmt: skip
        rarely = {"every": "update", "validate_every": 10**9, "log_every": BLOCK, **case.clip}
        first = FitSettings(max_updates=WARM_UP + 2, **rarely)
        fit(run, case.learner, turns, None, first)
        each = sum(turns.pairs[-1])
        blocks = int(min(BLOCKS, max(3, LONGEST / (each * BLOCK))))
        turns.pairs.clear()
        (Path(folder) / "state.safetensors").unlink()
        # Two steps more: the last is never followed by another batch, and the first is a warm-up.
        longer = FitSettings(max_updates=BLOCK * blocks + 2, **rarely)
        fit(run, case.learner, turns, None, longer)
    steps = turns.pairs[1:]
    blocks = [np.sum(steps[i : i + BLOCK], axis=0) / BLOCK for i in range(0, len(steps), BLOCK)]
    return [(float(ours), float(plain)) for ours, plain in blocks]


def main() -> None:
    """Measure every network at every size."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    for name, build, every in cases():
        for batch, side in sizes(*every):
            label = f"{name}, batch {batch} of {side}×{side}"
            pairs = measure(build(batch, side), batch)
            rows.append(paired(label, pairs, against="plain PyTorch", kind="loop", floor=0.97))
    finish("training_step", rows, ("torch", "lightning-fabric"))


if __name__ == "__main__":
    main()
