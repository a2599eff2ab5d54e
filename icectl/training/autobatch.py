"""``--batch-size auto``: try updates of growing batches until memory is full."""

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
from icectl.training.devices import resolve
from icectl.training.learner import Learner
from icectl.workspace import read_record, write_json

_SHARE = 0.8
"""Part of the free machine memory that a training on CPUs may fill."""


UPDATES_AN_EPOCH = 16
"""No batch is made so large that an epoch has fewer updates."""

MAX_BATCH = 4096
"""The largest batch that is tried."""

KEPT = "batch_size.json"
"""Where a run keeps the batch that was found, so that a resumed training goes on with it."""


def fitting_batch(
    run: Run, wanted: int, learner: Callable[[], Learner], batches: Callable[[int], Batches]
) -> int:
    """Return `wanted`, or for 0 (``--batch-size auto``) the largest global batch that fits into memory.

    A batch is tried up to a sixteenth of the samples, and `MAX_BATCH`; a resumed training keeps the one that
    it began with, also on another device.

    Parameters
    ----------
    run
        The training; what is found is noted there and kept in ``run.out``.
    wanted
        The option ``batch_size`` (`icectl.contract.BatchSize`).
    learner, batches
        Make a fresh learner, and the training batches of a given size.
    """
    if wanted:
        return wanted
    fabric, path = fabrics.current(run), run.out / KEPT
    kept = 0
    if fabric.global_rank == 0 and path.is_file():
        kept = read_record(path, {"batch_size": int}, "record of a batch size")["batch_size"]
    kept = int(fabric.broadcast(kept)) if fabric.world_size > 1 else int(kept)
    if kept:
        run.notes["batch_size"] = kept
        return kept
    limit = max(1, min(len(batches(1)) // UPDATES_AN_EPOCH, MAX_BATCH))
    found = auto_batch_size(run, learner, batches, limit)
    if fabric.global_rank == 0:
        write_json(path, {"batch_size": found})
    return found


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
        alone = (
            fabric if world == 1 else fabrics.build(resolve(replace(run.compute, processes=1)), several=False)
        )
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
        optimizers = {name: wrapped(fabric, o) for name, o in one.configure().items()}
        context.use(one.modules, optimizers, one.keyed_dropout)
        with context.at(0, 0, batch["index"].tolist()):
            one.update(context.put(batch), context)
        budget.note(size)

    return memory.trial(attempt)(size)


def available_memory() -> int:
    """Return the free memory of this machine in bytes (what the system could give without swapping)."""
    free = meters.told(Path("/proc/meminfo"), "MemAvailable")
    return free or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
