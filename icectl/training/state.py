"""What a saved state holds: where a training stands, its parts, and what bit-equality depends on."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from icectl.errors import DataError, brief
from icectl.run import Run

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from icectl.training.context import Context
    from icectl.training.learner import Learner

_OTHER = "the options may have changed: train anew with --force, or delete the file"


@dataclass
class Position:
    """Where a training stands; saved and restored as plain values."""

    step: int = 0
    epoch: int = 0
    batch: int = 0  # global batches of this epoch already learnt from
    best: float | None = None
    best_step: int = 0
    stale: int = 0  # validations since the best
    stopped: str = ""
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    count: int = 0  # updates since the last line of the log


@dataclass
class Parts:
    """What a training moves: networks, optimisers, schedules, and sums for the log's next line."""

    run: Run
    learner: Learner
    fabric: Fabric
    context: Context
    optimizers: Mapping[str, Optimizer]
    schedules: Mapping[str, LRScheduler]
    sums: dict[str, Tensor] = field(default_factory=dict)


def gather(parts: Parts) -> dict[str, Any]:
    """Return networks, optimisers, schedules, precision, each process's own part, and where made."""
    return {
        "modules": dict(parts.learner.modules.state_dict()),
        "optimizers": {name: one.state_dict() for name, one in parts.optimizers.items()},
        "schedules": {name: one.state_dict() for name, one in parts.schedules.items()},
        "precision": dict(parts.fabric.strategy.precision.state_dict()),
        "ranks": _gathered(
            {**_random_state(parts.context.device), "sums": dict(parts.sums)}, parts.context.world
        ),
        "made_with": _circumstances(parts),
    }


def restore(parts: Parts, state: dict[str, Any], path: Path) -> dict[str, Any]:
    """Put a loaded state back into the parts; return the values of its position.

    DataError: the state belongs to another network or lacks a part.
    """
    try:
        parts.learner.modules.load_state_dict(state.pop("modules"))
        for name, one in parts.optimizers.items():
            one.load_state_dict(state["optimizers"][name])
        for name, schedule in parts.schedules.items():
            schedule.load_state_dict(state["schedules"][name])
        parts.fabric.strategy.precision.load_state_dict(state.pop("precision"))
        ranks = state.pop("ranks")
        _compare(parts, state.pop("made_with"))
        del state["optimizers"], state["schedules"]
    except (KeyError, RuntimeError, ValueError) as error:
        said = f"{path} belongs to another network or training: {brief(error)}"
        raise DataError(said, _OTHER) from error
    if parts.context.rank < len(ranks):
        mine, device = ranks[parts.context.rank], parts.context.device
        parts.sums = {name: value.to(device) for name, value in mine["sums"].items()}
        _set_random_state(mine, device)
    return state


def _gathered(mine: dict[str, Any], world: int) -> list[Any]:
    if world == 1:
        return [mine]
    every: list[Any] = [None] * world
    dist.all_gather_object(every, mine)
    return every


def _random_state(device: torch.device) -> dict[str, Any]:
    kind, words, *rest = np.random.get_state(legacy=True)
    python = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": [str(kind), [int(word) for word in words], *rest],
        "python": [python[0], list(python[1]), python[2]],
    }


def _set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    kind, words, *rest = state["numpy"]
    np.random.set_state((kind, np.asarray(words, dtype=np.uint32), *rest))
    python = state["python"]
    random.setstate((python[0], tuple(python[1]), python[2]))


def _circumstances(parts: Parts) -> dict[str, Any]:
    """Return what bit-equality depends on."""
    return {
        "threads": torch.get_num_threads(),
        "processes": parts.context.world,
        "device": parts.context.device.type,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "icectl": version("icectl"),
    }


def _compare(parts: Parts, before: Mapping[str, Any]) -> None:
    now = _circumstances(parts)
    changed = [f"{name} {before.get(name)} → {now[name]}" for name in now if before.get(name) != now[name]]
    if changed and parts.context.rank == 0:
        parts.run.warn(
            f"the training was begun under other circumstances ({', '.join(changed)}): "
            "it goes on, but not bit-equal to an unbroken one"
        )
