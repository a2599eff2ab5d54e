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
    from icectl.training.settings import FitResult, FitSettings, cosine_rate

_HOMES = {
    "applying": ("inference", "windows_a_call"),
    "autobatch": ("auto_batch_size", "fitting_batch"),
    "batches": ("Batches", "IndexedBatches"),
    "checkpoint": ("load_weights", "read_metadata", "save_weights"),
    "context": ("Context",),
    "devices": ("Decision", "DeviceInfo", "list_devices", "outer_rank", "resolve"),
    "learner": ("Learner", "SingleOptimizer"),
    "loop": ("fit",),
    "memory": ("find_batch_size",),
    "meters": ("Meter",),
    "processes": ("launch",),
    "sampling": ("permutation", "sample_rng"),
    "settings": ("FitResult", "FitSettings", "cosine_rate"),
}
"""The module of each name."""

__all__ = [
    "Batches", "Context", "Decision", "DeviceInfo", "FitResult", "FitSettings", "IndexedBatches",
    "Learner", "Meter", "SingleOptimizer", "auto_batch_size", "cosine_rate", "find_batch_size", "fit",
    "fitting_batch", "inference", "launch", "list_devices", "load_weights", "outer_rank", "permutation",
    "read_metadata", "resolve", "sample_rng", "save_weights", "windows_a_call",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` when it is first asked for."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
