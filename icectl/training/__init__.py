"""Devices, processes, the training loop, checkpoints, and what a run costs.

This package is part of the surface that plugins import. Importing it is cheap: each name
is loaded on first use, so that neither torch nor Fabric is paid for by a listing.

A model is trained in three steps: build a `Learner` (the networks, the loss, the
optimisers), wrap the data in `Batches`, and call `fit` inside `launch`:

    def train(self, run, options):
        launch(work, run, options)          # one process, or as many as the user asked for
        return run.out

    def work(run, options):                 # a function of a module, so that it can be spawned
        return fit(run, MyLearner(options), batches, valid, FitSettings(epochs=options.epochs))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icectl.training.applying import inference, windows_a_call
    from icectl.training.autobatch import auto_batch_size, fitting_batch
    from icectl.training.batches import Batches, IndexedBatches
    from icectl.training.checkpoint import load_weights, read_metadata, save_weights
    from icectl.training.context import Context
    from icectl.training.devices import Decision, DeviceInfo, list_devices, outer_rank, resolve
    from icectl.training.learner import Learner, SingleOptimizer
    from icectl.training.loop import fit
    from icectl.training.memory import find_batch_size
    from icectl.training.meters import Meter
    from icectl.training.processes import launch
    from icectl.training.sampling import permutation, sample_rng
    from icectl.training.settings import FitResult, FitSettings

_HOMES = {
    "Batches": "batches",
    "IndexedBatches": "batches",
    "Context": "context",
    "Decision": "devices",
    "DeviceInfo": "devices",
    "FitResult": "settings",
    "FitSettings": "settings",
    "Learner": "learner",
    "Meter": "meters",
    "SingleOptimizer": "learner",
    "auto_batch_size": "autobatch",
    "fitting_batch": "autobatch",
    "find_batch_size": "memory",
    "fit": "loop",
    "inference": "applying",
    "launch": "processes",
    "list_devices": "devices",
    "load_weights": "checkpoint",
    "outer_rank": "devices",
    "permutation": "sampling",
    "read_metadata": "checkpoint",
    "resolve": "devices",
    "sample_rng": "sampling",
    "save_weights": "checkpoint",
    "windows_a_call": "applying",
}

__all__ = [
    "Batches",
    "Context",
    "Decision",
    "DeviceInfo",
    "FitResult",
    "FitSettings",
    "IndexedBatches",
    "Learner",
    "Meter",
    "SingleOptimizer",
    "auto_batch_size",
    "find_batch_size",
    "fit",
    "fitting_batch",
    "inference",
    "launch",
    "list_devices",
    "load_weights",
    "outer_rank",
    "permutation",
    "read_metadata",
    "resolve",
    "sample_rng",
    "save_weights",
    "windows_a_call",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
