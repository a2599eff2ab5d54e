"""SnowModel: the five verbs of the snow task. A plugin subclasses it and supplies the network.

::

    class MyModel(SnowModel):
        def network(self, ports, options):
            return MyNetwork(ports.head, ports.inputs, …)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from icectl.contract import Metrics, OnnxNetwork
from icectl.errors import DataError
from icectl.run import Run
from icectl.splits import Split
from icectl.tasks.snow.dataset import Cube, open_cube
from icectl.tasks.snow.forecaster import Forecaster, Ports, ports
from icectl.tasks.snow.options import (
    EvaluateOptions,
    FetchOptions,
    PredictOptions,
    PrepareOptions,
    TrainOptions,
)
from icectl.tasks.snow.products import moments, predict_moment
from icectl.tasks.snow.scope import identity, scope_of, split_of

WEIGHTS = "weights.safetensors"


class SnowModel(ABC):
    """A model of the snow task; see `icectl.model.Model` for the verbs."""

    @abstractmethod
    def network(self, ports: Ports, options: Any) -> nn.Module:
        """Build the network: ``network(past, guide, base, teacher)`` to (B, F, H, W).

        `ports` says what it has to fit; `options` are the plugin's own training options.
        """

    def forecaster(self, options: TrainOptions) -> Forecaster:
        """Build the network with what surrounds it, with weights drawn from torch's generator."""
        return Forecaster(self.network(ports(options), options), options)

    def fetch(self, run: Run, options: FetchOptions) -> Path:
        """Bring scenes, or their catalogue, into ``run.out``."""
        from icectl.tasks.snow.fetch import fetch_scenes

        return fetch_scenes(run, options)

    def prepare(self, run: Run, options: PrepareOptions) -> Path:
        """Make the cube of snow masks in ``run.out``."""
        from icectl.sources.catalogue import read_catalogue
        from icectl.tasks.snow.recipe import prepare_cube

        return prepare_cube(run, read_catalogue(run.inputs["fetch"]), options)

    def train(self, run: Run, options: TrainOptions) -> Path:
        """Split, fit the linear baseline, and train; weights and logs go to ``run.out``."""
        from icectl.tasks.snow.baselines import fit_linear
        from icectl.training import launch

        cube = open_cube(run.inputs["prepare"])
        split, found = split_of(cube, options, run.seed)
        run.say(found.sentence())
        run.notes["audit"] = found.facts()
        linear = fit_linear(cube, split, options.count_filled)
        launch(learn, run, self, options, linear)
        return run.out

    def predict(self, run: Run, options: PredictOptions) -> Path:
        """Forecast whole scenes: the frames to come, and moments whose truth is known."""
        from icectl.training import inference, resolve, windows_a_call

        cube = open_cube(run.inputs["prepare"])
        forecaster, facts = self.load(run)
        trained = self.trained_options(run, facts)
        starts: list[int] = []
        if options.moments == "all":
            starts = list(range(cube.shape[0] - trained.past - trained.future + 1))
        elif options.moments == "auto":
            starts = list(scope_of(cube, facts["cube"], trained, facts["seed"]).starts)
        overlap = trained.patch // 2 if options.overlap is None else options.overlap
        wanted = moments(cube.times, trained.past, trained.future, starts)
        decision = resolve(run.compute)
        sides = (trained.patch, overlap, options.tile, windows_a_call(decision))
        with inference(forecaster, decision) as apply, run.progress("predicting") as advance:
            for moment in wanted:
                path = predict_moment(run, cube, moment, apply, *sides, advance)
                run.say(f"wrote {path.name}")
        return run.out

    def evaluate(self, run: Run, options: EvaluateOptions) -> Metrics:
        """Score the predictions beside the four baselines and the published figures."""
        from icectl.tasks.snow.evaluation import evaluate_predictions

        cube = open_cube(run.inputs["prepare"])
        forecaster, facts = self.load(run)
        trained = self.trained_options(run, facts)
        scope = scope_of(cube, facts["cube"], trained, facts["seed"])
        return evaluate_predictions(run, cube, scope, trained, forecaster.linear.numpy(), options)

    def load(self, run: Run) -> tuple[Forecaster, dict[str, Any]]:
        """Return the trained forecaster of ``run.inputs["train"]`` and the facts kept with its weights."""
        from icectl.training import load_weights

        path = run.inputs["train"] / WEIGHTS
        state, facts = load_weights(path)
        missing = {"options", "cube", "seed"} - set(facts)
        if missing:
            raise DataError(
                f"{path} holds no snow model: {', '.join(sorted(missing))} missing", "train again"
            )
        forecaster = self.forecaster(self.trained_options(run, facts))
        try:
            forecaster.load_state_dict(state)
        except RuntimeError as error:
            raise DataError(
                f"the weights in {path} do not fit the network of '{run.plugin.name}'",
                "they come from another version: train again",
            ) from error
        return forecaster, facts

    def onnx(self, run: Run) -> list[OnnxNetwork]:
        """Return the trained network with its inputs (past, season, phase)."""
        forecaster, facts = self.load(run)
        trained = self.trained_options(run, facts)
        drawn = torch.Generator().manual_seed(0)
        inputs = {
            "past": torch.rand(1, trained.past, trained.patch, trained.patch, generator=drawn),
            "season": torch.arange(trained.future)[None] % trained.past,
            "phase": torch.rand(1, trained.future, generator=drawn),
        }
        note = (
            "`past`: snow masks of patches, 0 to 1; `season`: the past frame of each future frame's season;"
            " `phase`: time of year in [0, 1); `future`: masks to come."
        )
        axes = {name: {0: "batch"} for name in inputs}
        return [OnnxNetwork(module=forecaster, inputs=inputs, outputs=("future",), axes=axes, note=note)]

    def trained_options(self, run: Run, facts: dict[str, Any]) -> TrainOptions:
        """Return the options that a model was trained with."""
        try:
            options = run.plugin.stages["train"].model_validate(facts["options"])
        except ValidationError:  # saved under an older schema: the run's own have been carried over
            options = run.options["train"]
        assert isinstance(options, TrainOptions)
        return options


def mixing(split: Split, options: TrainOptions) -> float:
    """Return the share of windows to mix: none where the series is too short for a cut in time."""
    return options.mix_years if split.cut is not None else 0.0


def learn(run: Run, model: SnowModel, options: TrainOptions, linear: Any) -> None:
    """Train `model` in one process of a training; see `icectl.training.launch`."""
    from icectl.splits import TRAIN, VALIDATE
    from icectl.tasks.snow.learner import SnowLearner
    from icectl.tasks.snow.windows import WindowBatches
    from icectl.training import FitSettings, fit, fitting_batch

    cube: Cube = open_cube(run.inputs["prepare"])
    split, found = split_of(cube, options, run.seed)
    common: dict[str, Any] = {"seed": run.seed, "count_filled": options.count_filled, "reuse": True}
    mix = mixing(split, options)

    def batches(size: int) -> WindowBatches:
        return WindowBatches(cube, split.grid, split.windows == TRAIN, size, mix_years=mix, **common)

    def fresh() -> SnowLearner:
        return SnowLearner(model.forecaster(options), options, 1, {})

    size = fitting_batch(run, options.batch_size, fresh, batches)
    torch.manual_seed(run.seed)
    forecaster = model.forecaster(options)
    forecaster.set_linear(linear)
    train = batches(size)
    valid = WindowBatches(
        cube, split.grid, split.windows == VALIDATE, size, shuffle=False,
        limit=options.validation_windows, **common,
    )  # fmt: skip
    updates = options.epochs * len(train)
    updates = min(updates, options.updates or updates)
    facts = {
        "model": run.plugin.name,
        "options": options.model_dump(mode="json"),
        "cube": identity(cube),
        "seed": run.seed,
        "audit": found.facts(),
        "parameters": sum(p.numel() for p in forecaster.parameters()),
    }
    learner = SnowLearner(forecaster, options, updates, facts)
    settings = FitSettings(
        epochs=options.epochs,
        max_updates=options.updates,
        every="update",
        validate_every=options.validate_every,
        patience=options.patience,
        clip_value=options.clip,
    )
    fit(run, learner, train, valid, settings)
