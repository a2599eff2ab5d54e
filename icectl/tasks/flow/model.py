"""FlowModel: the five verbs of the flow task. A plugin subclasses it and supplies network and learner.

A network has ``generate(past, days, noise)``: ``past`` is ``(n, past, 1, size, size)`` as scaled by
`icectl.tasks.flow.windows.Scaling`, ``days`` ``(n, past + 2)`` days since the first frame, ``noise(k)``
gives ``(n, k)`` normal draws; it returns the two frames after t0, ``(n, 2, 1, size, size)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from icectl.contract import Metrics, OnnxNetwork
from icectl.errors import DataError
from icectl.run import Run
from icectl.tasks.flow.options import (
    AHEAD,
    EvaluateOptions,
    FetchOptions,
    PredictOptions,
    PrepareOptions,
    TrainOptions,
)
from icectl.training import Learner

WEIGHTS = "weights.safetensors"


class FlowModel(ABC):
    """A model of the flow task; see `icectl.model.Model` for the verbs."""

    @abstractmethod
    def network(self, options: Any, size: int) -> nn.Module:
        """Build the network for chips of `size` pixels, with weights drawn from torch's generator."""

    @abstractmethod
    def learner(self, network: nn.Module, options: Any, updates: int, facts: Mapping[str, Any]) -> Learner:
        """Return what trains `network` over at most `updates` updates; `facts` are kept with the weights.

        Its ``modules`` hold the network under the name ``svg`` or are the network itself.
        """

    def fetch(self, run: Run, options: FetchOptions) -> Path:
        """Bring scenes, or their catalogue, into ``run.out``."""
        from icectl.tasks.flow.fetching import fetch_frames

        return fetch_frames(run, options)

    def prepare(self, run: Run, options: PrepareOptions) -> Path:
        """Make the chip sequences in ``run.out``."""
        from icectl.sources.catalogue import read_catalogue
        from icectl.tasks.flow.dataset import prepare_dataset
        from icectl.tasks.flow.fetching import ground_mask

        folder = run.inputs["fetch"]
        return prepare_dataset(run, read_catalogue(folder), ground_mask(folder), options)

    def train(self, run: Run, options: TrainOptions) -> Path:
        """Split the ground and train on one side; weights and logs go to ``run.out``."""
        from icectl.tasks.flow.dataset import open_dataset
        from icectl.tasks.flow.parts import check_past, split_ground
        from icectl.training import launch

        sequences = open_dataset(run.inputs["prepare"])
        check_past(sequences, options.past)
        parts = split_ground(sequences, options)
        run.say(parts.sentence())
        run.notes["audit"] = parts.facts()
        launch(learn, run, self, options)
        return run.out

    def predict(self, run: Run, options: PredictOptions) -> Path:
        """Generate t1 and t2 of held-out chips, forecast the frames to come, and map the velocity."""
        from icectl.tasks.flow.dataset import open_dataset
        from icectl.tasks.flow.predicting import forecast, predict_chips
        from icectl.tasks.flow.velocity import map_velocity

        sequences = open_dataset(run.inputs["prepare"])
        network, trained, _ = self.load(run)
        if sequences.size != trained["size"]:
            raise DataError(
                f"the model was trained on chips of {trained['size']} pixels, these are {sequences.size}",
                f"prepare with --chip {trained['size']}",
            )
        settings = self.trained_options(run, trained)
        map_velocity(run, sequences, options)
        predict_chips(run, sequences, network, settings, options)
        if options.forecast:
            forecast(run, sequences, network, settings)
        return run.out

    def evaluate(self, run: Run, options: EvaluateOptions) -> Metrics:
        """Score the predictions beside the baselines and the paper's Table 1."""
        from icectl.tasks.flow.dataset import open_dataset
        from icectl.tasks.flow.evaluation import evaluate_predictions

        sequences = open_dataset(run.inputs["prepare"])
        _, trained, _ = self.load(run)
        return evaluate_predictions(run, sequences, self.trained_options(run, trained), options)

    def load(self, run: Run) -> tuple[nn.Module, dict[str, Any], Path]:
        """Return the trained network of ``run.inputs["train"]``, the facts kept with it, and its file."""
        from icectl.training import load_weights

        path = run.inputs["train"] / WEIGHTS
        state, facts = load_weights(path)
        if not {"options", "size"} <= set(facts):
            raise DataError(f"{path} holds no flow model", "train again")
        network = self.network(self.trained_options(run, facts), int(facts["size"]))
        own = {
            name.removeprefix("svg."): value
            for name, value in state.items()
            if not name.startswith("critic.")
        }
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            raise DataError(
                f"the weights in {path} do not fit the network of '{run.plugin.name}'",
                "they come from another version: train again",
            ) from error
        return network.eval(), facts, path

    def onnx(self, run: Run) -> list[OnnxNetwork]:
        """Return the rollout to the two frames after t0, its noise an input."""
        network, facts, _ = self.load(run)
        past, size = int(self.trained_options(run, facts).past), int(facts["size"])
        drawn = torch.Generator().manual_seed(0)
        frames = torch.rand(1, past, 1, size, size, generator=drawn)
        days = torch.arange(past + AHEAD, dtype=torch.float32)[None] * 16
        module = Rollout(network, frames, days)
        inputs = {
            "past": frames,
            "days": days,
            "noise": torch.randn(1, sum(module.draws), generator=drawn),
        }
        note = (
            "`past`: chips as scaled in training; `days` since the first frame, of past and future frames;"
            " `noise`: standard normal draws, or zeros for the latent's means; `future`: the next two frames."
        )
        axes = {name: {0: "batch"} for name in inputs}
        return [OnnxNetwork(module=module, inputs=inputs, outputs=("future",), axes=axes, note=note)]

    def trained_options(self, run: Run, facts: Mapping[str, Any]) -> TrainOptions:
        """Return the options that a model was trained with."""
        try:
            options = run.plugin.stages["train"].model_validate(facts["options"])
        except ValidationError:  # saved under an older schema: the run's own have been carried over
            options = run.options["train"]
        assert isinstance(options, TrainOptions)
        return options


class Rollout(nn.Module):
    """A network's ``generate`` as a function of tensors; all draws come in as one, (n, sum of `draws`)."""

    def __init__(self, network: nn.Module, past: Tensor, days: Tensor) -> None:
        super().__init__()
        self.network = network
        self.draws: list[int] = []  # how many numbers each step asks for, in order
        network.generate(past, days, self._count)  # type: ignore[operator]

    def _count(self, length: int) -> Tensor:
        self.draws.append(length)
        return torch.zeros(1, length)

    def forward(self, past: Tensor, days: Tensor, noise: Tensor) -> Tensor:
        """Return the frames after t0, ``(n, 2, 1, size, size)``."""
        parts = iter(torch.split(noise, self.draws, 1))
        future: Tensor = self.network.generate(past, days, lambda length: next(parts))  # type: ignore[operator]
        return future


def learn(run: Run, model: FlowModel, options: TrainOptions) -> None:
    """Train `model` in one process of a training; see `icectl.training.launch`."""
    from icectl.tasks.flow.dataset import open_dataset
    from icectl.tasks.flow.parts import TRAIN, VALIDATE, split_ground
    from icectl.tasks.flow.windows import Windows, turn
    from icectl.training import FitSettings, IndexedBatches, fit, fitting_batch

    sequences = open_dataset(run.inputs["prepare"])
    parts = split_ground(sequences, options)
    windows = {
        part: Windows(sequences, np.flatnonzero(parts.of == part), options) for part in (TRAIN, VALIDATE)
    }
    augment = turn if options.augment else None

    def batches(size: int) -> IndexedBatches:
        return IndexedBatches(windows[TRAIN], size, run.seed, augment=augment)

    def fresh() -> Learner:
        return model.learner(model.network(options, sequences.size), options, 1, {})

    size = fitting_batch(run, options.batch_size, fresh, batches)
    train, valid = batches(size), None
    if len(windows[VALIDATE]):
        valid = IndexedBatches(windows[VALIDATE], size, run.seed, shuffle=False)
    torch.manual_seed(run.seed)
    network = model.network(options, sequences.size)
    updates = min(options.epochs * len(train), options.updates or options.epochs * len(train))
    facts = {
        "model": run.plugin.name,
        "options": options.model_dump(mode="json"),
        "size": sequences.size,
        "seed": run.seed,
        "audit": parts.facts(),
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    learner = model.learner(network, options, updates, facts)
    settings = FitSettings(
        epochs=options.epochs, max_updates=options.updates, every="update",
        validate_every=options.validate_every, patience=options.patience, clip_norm=1.0,
    )  # fmt: skip
    fit(run, learner, train, valid, settings)
