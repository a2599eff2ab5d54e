"""``--batch-size auto``: try updates of growing batches until memory is full."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

from icectl.run import Run
from icectl.training import fabric as fabrics
from icectl.training import memory, meters
from icectl.training.batches import Batches
from icectl.training.context import Context, wrapped
from icectl.training.devices import Decision, resolve
from icectl.training.learner import Learner

_SHARE = 0.8
"""Part of the free machine memory that a training on CPUs may fill."""


def auto_batch_size(
    run: Run, learner: Callable[[], Learner], batches: Callable[[int], Batches], limit: int
) -> int:
    """Return the largest global batch up to `limit` whose update fits into memory.

    A fresh learner makes one update at each size, on the device that the training will use. GPUs
    say when they are full; a CPU's memory is judged by growth, since the system would kill first.

    Parameters
    ----------
    learner, batches
        Make a learner, and the training batches of a given size.
    limit
        The largest batch worth having (for the samples there are, and for the learning).
    """
    fabric = fabrics.current(run)
    world = fabric.world_size
    if fabric.global_rank == 0:
        alone = fabric if world == 1 else fabrics.build(_one(run), several=False)
        budget = _Budget(alone.device)
        found = memory.find_batch_size(
            lambda size: budget.allows(size) and _fits(alone, run, learner, batches, size, budget), limit
        )
    else:
        found = 0
    found = int(fabric.broadcast(found)) * world if world > 1 else found
    found = min(found, limit)
    run.notes["batch_size"] = found
    run.say(f"batch size {found} (the largest up to {limit} that fits into memory)")
    return found


class _Budget:
    """Judges by the growth of this process whether a larger batch fits beside the free memory."""

    def __init__(self, device: torch.device) -> None:
        self.watch = device.type != "cuda"
        self.free, self.start, self.seen = available_memory(), meters.peak_memory(), (0, 0)

    def allows(self, size: int) -> bool:
        """Return whether memory suffices if it grows with the batch as it did so far."""
        largest, grown = self.seen
        return not self.watch or not largest or grown / largest * size < _SHARE * self.free

    def note(self, size: int) -> None:
        """Remember what a batch of `size` took."""
        self.seen = max(self.seen, (size, meters.peak_memory() - self.start))


def _fits(
    fabric: Fabric,
    run: Run,
    learner: Callable[[], Learner],
    batches: Callable[[int], Batches],
    size: int,
    budget: _Budget,
) -> bool:
    def attempt(size: int) -> None:
        batch = next(iter(batches(size).epoch(0)))
        one, context = learner(), Context(fabric, run.seed)
        one.modules.to(fabric.device).train()
        context.use(one, {name: wrapped(fabric, o) for name, o in one.configure().items()})
        with context.at(0, 0, batch["index"].tolist()):
            one.update(context.put(batch), context)
        budget.note(size)

    return memory.trial(attempt)(size)


def _one(run: Run) -> Decision:
    return resolve(replace(run.compute, processes=1))


def available_memory() -> int:
    """Return the free memory of this machine in bytes (what the system could give without swapping)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
