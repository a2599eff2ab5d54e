"""BedModel: the five verbs of the task; a plugin trains networks and says how they are loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from icectl.contract import Metrics
from icectl.run import Run
from icectl.tasks.bed.networks import Loader


class BedModel(ABC):
    """A model of the bed below the ice.

    A subclass implements `train` (it leaves ``weights.safetensors`` in ``run.out``) and `loader`.
    """

    def fetch(self, run: Run, options: Any) -> Path:
        """Bring an elevation model: the synthetic worlds, or one from a STAC service; own files need none.

        Published data that are asked for by name go to the user's cache.
        """
        from icectl.sources.published import bring

        bring(options.published, run.say)
        if run.scenes is not None:
            return run.out
        source = options.source if options.source != "auto" else run.glacier.source
        if source == "synthetic":
            from icectl.tasks.bed.worlds import write_worlds

            return write_worlds(run, options)
        prepared = run.options.get("prepare")
        own = getattr(prepared, "train_dem", ()) or run.glacier.dem is not None
        if own or run.glacier.bbox is None:
            return run.out
        from icectl.sources.stac import fetch_scenes

        return fetch_scenes(run, options, ("dem",))

    def prepare(self, run: Run, options: Any) -> Path:
        """Write patches of ice-free ground and pixels of known thickness; see `icectl.tasks.bed.prepare`."""
        from icectl.tasks.bed.prepare import prepare

        return prepare(run, options)

    @abstractmethod
    def train(self, run: Run, options: Any) -> Path:
        """Train on ``run.inputs["prepare"]`` and leave ``weights.safetensors`` in ``run.out``."""

    @abstractmethod
    def loader(self) -> Loader:
        """Return the module-level function that loads the networks of a finished training."""

    def predict(self, run: Run, options: Any) -> Path:
        """Write bed, thickness and spread of each glacier, and one table; see `icectl.tasks.bed.predict`."""
        from icectl.tasks.bed.predict import predict
        from icectl.training import resolve

        return predict(run, options, self.loader(), str(resolve(run.compute).torch_device()))

    def evaluate(self, run: Run, options: Any) -> Metrics:
        """Score holes in ice-free ground and thickness at measured points, beside the baselines."""
        from icectl.tasks.bed.evaluate import evaluate
        from icectl.training import resolve

        return evaluate(run, options, self.loader(), str(resolve(run.compute).torch_device()))
