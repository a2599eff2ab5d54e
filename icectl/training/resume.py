"""What a state holds besides the position, and putting it back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

from icectl.errors import DataError

if TYPE_CHECKING:
    from icectl.training.trainer import Trainer

_OTHER = "the options may have changed: train anew with --force, or delete the file"


def gather(trainer: Trainer) -> dict[str, Any]:
    """Return networks, optimisers, schedules, precision, each process's own part, and where made."""
    return {
        "modules": dict(trainer.learner.modules.state_dict()),
        "optimizers": {name: one.state_dict() for name, one in trainer.bare.items()},
        "schedules": {name: one.state_dict() for name, one in trainer.schedules.items()},
        "precision": dict(trainer.fabric.strategy.precision.state_dict()),
        "ranks": _gathered(
            {**_random_state(trainer.context.device), "sums": dict(trainer.sums)}, trainer.context.world
        ),
        "made_with": _circumstances(trainer),
    }


def restore(trainer: Trainer, state: dict[str, Any], path: Path) -> dict[str, Any]:
    """Put a loaded state back into the trainer; return the values of its position.

    Raises
    ------
    DataError
        The state belongs to another network or lacks a part.
    """
    try:
        trainer.learner.modules.load_state_dict(state.pop("modules"))
        for name, one in trainer.bare.items():
            one.load_state_dict(state["optimizers"][name])
        for name, schedule in trainer.schedules.items():
            schedule.load_state_dict(state["schedules"][name])
        trainer.fabric.strategy.precision.load_state_dict(state.pop("precision"))
        ranks = state.pop("ranks")
        _compare(trainer, state.pop("made_with"))
        del state["optimizers"], state["schedules"]
    except (KeyError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path} belongs to another network or training: {first}", _OTHER) from error
    if trainer.context.rank < len(ranks):
        mine, device = ranks[trainer.context.rank], trainer.context.device
        trainer.sums = {name: value.to(device) for name, value in mine["sums"].items()}
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


def _circumstances(trainer: Trainer) -> dict[str, Any]:
    """Return what bit-equality depends on."""
    return {
        "threads": torch.get_num_threads(),
        "processes": trainer.context.world,
        "device": trainer.context.device.type,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "icectl": version("icectl"),
    }


def _compare(trainer: Trainer, before: Mapping[str, Any]) -> None:
    now = _circumstances(trainer)
    changed = [f"{name} {before.get(name)} → {now[name]}" for name in now if before.get(name) != now[name]]
    if changed and trainer.context.rank == 0:
        trainer.run.warn(
            f"the training was begun under other circumstances ({', '.join(changed)}): "
            "it goes on, but not bit-equal to an unbroken one"
        )
