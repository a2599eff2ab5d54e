"""Two gloo processes of one thread beside one process of two threads: samples a second of a training.

Both learn from the same global batches of convlstm (its network for two cores) on two cores, so what is lost
is what communication costs. Trainings run by turns; the start of processes is not counted.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from _plain import options_of
from common import QUICK, Row, finish, paired, sizes

from icectl.contract import Plugin
from icectl.run import Compute, Run
from icectl.settings import Glacier
from icectl.tasks.snow.train import CLIP, SnowLearner
from icectl.training import FitSettings, IndexedBatches, fit, launch

WARM_UP, SIDE, ROUNDS = 3, 50, 3
SAMPLES = 240
"""Samples that are timed, whatever the batch."""


class Timed(SnowLearner):
    """The learner of the snow task, which notes when its warm-up ended."""

    started = 0.0

    def loss(self, batch: Any, context: Any) -> Any:
        """Return the loss."""
        if context.step_number == WARM_UP:
            self.started = time.perf_counter()
        return super().loss(batch, context)


def sample(number: int) -> dict[str, torch.Tensor]:
    """Return a window of random frames."""
    frames = torch.rand(8, SIDE, SIDE, generator=torch.Generator().manual_seed(number))
    everywhere = torch.ones(4, SIDE, SIDE, dtype=torch.bool)
    season, phase = torch.arange(4), torch.arange(4) / 4
    return {"past": frames[:4], "future": frames[4:], "valid": everywhere, "season": season, "phase": phase}


def train(run: Run, batch: int) -> float:
    """Train in one process of a training; return the samples a second of the whole."""
    from icectl_convlstm.network import ConvLSTMModel

    torch.set_num_threads(2 // run.compute.processes)
    options = options_of("icectl_convlstm", batch_size=batch)
    torch.manual_seed(0)
    learner = Timed(ConvLSTMModel().build(options, {}), options, {"updates": 10_000})
    samples = [sample(number) for number in range(2 * batch)]
    updates = (SAMPLES // 5 if QUICK else SAMPLES) // batch
    rarely = {"every": "update", "validate_every": 10**9}
    settings = FitSettings(max_updates=WARM_UP + updates, clip_value=CLIP, **rarely)
    fit(run, learner, IndexedBatches(samples, batch, seed=0), None, settings)
    return updates * batch / (time.perf_counter() - learner.started)


def rate(processes: int, batch: int) -> float:
    """Return the samples a second of a training in so many processes."""
    os.environ["OMP_NUM_THREADS"] = str(2 // processes)
    plugin = Plugin(name="bench", summary="", task="bench", model="bench:B", stages={})
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            verb="train", plugin=plugin, glacier=Glacier(name="demo"), out=Path(folder),
            compute=Compute(device="cpu", processes=processes), quiet=True,
        )  # fmt: skip
        found: float = launch(train, run, batch)
    return found


def main() -> None:
    """Measure three sizes of the global batch."""
    rows: list[Row] = []
    for batch in sizes(8, 16, 32):
        pairs = [(rate(2, batch), rate(1, batch)) for _ in range(1 if QUICK else ROUNDS)]
        rows.append(
            paired(f"convlstm, global batch {batch} of {SIDE}×{SIDE}", pairs, better="more", kind="loop",
                   against="one process of two threads", floor=0.9, unit="samples/s")
        )  # fmt: skip
    finish("two_processes", rows, ("torch", "lightning-fabric"))


if __name__ == "__main__":
    main()
