"""What `torch.compile` would gain: a step of each network, forward and backward, with it and without.

Seconds of the processor, one thread: what compiling costs (the first step), and the median of `STEPS` steps.

    OMP_NUM_THREADS=1 python benchmarks/studies/compiled.py unet front-unet convlstm salstm lstm
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from _plain import cases

STEPS = 8
PARTS = {"front-unet": ("x",)}
"""What a network is handed of a batch; snow's networks take `SNOW`."""
SNOW = ("past", "season", "phase")


def seconds(step: Callable[[], None]) -> float:
    """Return the processor's seconds of one call."""
    begun = time.process_time()
    step()
    return time.process_time() - begun


def measure(name: str, build: Callable, batch: int, side: int, compiled: bool) -> tuple[float, float]:
    """Return the seconds of the first step, and the median of those after it."""
    case = build(batch, side)
    whole = case.learner.modules
    network = (next(iter(whole.values())) if isinstance(whole, torch.nn.ModuleDict) else whole).train()
    if compiled:
        network.compile()
    samples = case.samples[:batch]
    inputs = [torch.stack([one[part] for one in samples]) for part in PARTS.get(name, SNOW)]

    def step() -> None:
        network(*inputs).square().mean().backward()
        network.zero_grad()

    return seconds(step), median(seconds(step) for _ in range(STEPS))


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("network, batch × side: step, compiled step, seconds to compile, pays after")
    for name, build, sizes in cases():
        if name in sys.argv[1:]:
            batch, side = sizes[0]
            _, plain = measure(name, build, batch, side, compiled=False)
            first, quick = measure(name, build, batch, side, compiled=True)
            gain = plain - quick
            pays = f"{first / gain:.0f} steps" if gain > 0 else "never"
            line = f"{name}, {batch} × {side}: {plain:.3f} s, {quick:.3f} s, {first:.0f} s, {pays}"
            print(line, flush=True)
