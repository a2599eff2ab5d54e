"""The five verbs of the front task; a plugin adds a network (`FrontModel.learner`, `.trained`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icectl.contract import OnnxNetwork
from icectl.errors import DataError
from icectl.tasks.front.dataset import Entry, FrontData, open_data
from icectl.training import FitSettings, IndexedBatches, fit, fitting_batch, launch, load_weights

if TYPE_CHECKING:
    from torch import nn

    from icectl.contract import Metrics
    from icectl.run import Run
    from icectl.tasks.front.infer import Network
    from icectl.tasks.front.options import (
        EvaluateOptions,
        FetchOptions,
        PredictOptions,
        PrepareOptions,
        TrainOptions,
    )
    from icectl.training import Learner

WEIGHTS = "weights.safetensors"


class FrontModel(ABC):
    """All of the front task but the network."""

    @abstractmethod
    def learner(self, options: TrainOptions, facts: Mapping[str, Any]) -> Learner:
        """Return what is trained; `facts` (plain JSON) must come back from its ``describe``."""

    @abstractmethod
    def trained(self, state: Mapping[str, Any], facts: Mapping[str, Any], device: str) -> Network:
        """Return trained weights as a function of numpy arrays."""

    def probabilities(self, state: Mapping[str, Any], facts: Mapping[str, Any]) -> nn.Module | None:
        """Return trained weights as a module, (windows, bands, rows, columns) to (windows, 2, rows, columns).

        Only ``icectl export --onnx`` asks for it; without one the model is not exported that way.
        """
        return None

    def onnx(self, run: Run) -> list[OnnxNetwork]:
        """Return the network that finds edge and ice mask in windows of any size."""
        import torch

        state, facts = load_weights(run.inputs["train"] / WEIGHTS)
        module = self.probabilities(state, facts)
        if module is None:
            return []
        bands = len(facts["layers"])
        example = torch.rand(1, bands, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        note = (
            f"`layers`: {', '.join(facts['layers'])} in [-1, 1], sides multiples of 32;"
            " `probabilities`: front edge and ice mask."
        )
        axes = {"layers": {0: "batch", 2: "rows", 3: "columns"}}
        return [
            OnnxNetwork(
                module=module, inputs={"layers": example}, outputs=("probabilities",), axes=axes, note=note
            )
        ]

    def fetch(self, run: Run, options: FetchOptions) -> Path:
        """See `icectl.tasks.front.fetching`."""
        from icectl.tasks.front.fetching import fetch

        return fetch(run, options)

    def prepare(self, run: Run, options: PrepareOptions) -> Path:
        """See `icectl.tasks.front.preparing`."""
        from icectl.tasks.front.preparing import prepare

        return prepare(run, options)

    def train(self, run: Run, options: TrainOptions) -> Path:
        """Train on the images with the role train, keep what does best on those with valid."""
        check_trainable(open_data(run.inputs["prepare"]))
        result = launch(work, run, self, options)
        run.notes["training"] = {
            "best loss": result.best,
            "at update": result.best_step,
            "updates": result.steps,
            "stopped": result.stopped,
            "seconds": round(result.seconds, 1),
        }
        return run.out

    def predict(self, run: Run, options: PredictOptions) -> Path:
        """Find fronts in every image of the data set; labels are not looked at."""
        from icectl.tasks.front.predicting import predict

        state, facts = load_weights(run.inputs["train"] / WEIGHTS)
        return predict(run, options, self.trained(state, facts, _device(run)), facts)

    def evaluate(self, run: Run, options: EvaluateOptions) -> Metrics:
        """Score the predicted fronts of images that were not trained on."""
        from icectl.tasks.front.evaluating import evaluate
        from icectl.training import read_metadata

        return evaluate(run, options, read_metadata(run.inputs["train"] / WEIGHTS))


def work(run: Run, model: FrontModel, options: TrainOptions) -> Any:
    """Train in one process of possibly several."""
    from icectl.tasks.front.augment import Recipe
    from icectl.tasks.front.baselines import training_facts
    from icectl.tasks.front.samples import Drawer, Samples, WholeImages

    data = open_data(run.inputs["prepare"])
    train, valid = data.of("train"), data.of("valid")
    recipe = Recipe(
        size=options.crop,
        turns=data.flow == "unknown",
        angle=options.turn_angle,
        scale=options.zoom,
        shift=options.shift,
        tone=options.tone,
        contrast=options.contrast,
        stretch=options.stretch,
        sharpen=options.sharpen,
        noise=options.noise,
        width=options.edge_width,
    )
    samples = Samples(data, train, options.layers, balance=options.balance, size=options.train_size)

    def batches(size: int) -> IndexedBatches:
        return IndexedBatches(samples, size, run.seed, augment=Drawer(recipe))

    size = fitting_batch(run, options.batch_size, lambda: model.learner(options, {}), batches)
    whole = WholeImages(data, valid, options.layers, options.edge_width, size=options.train_size)
    facts = {
        "seen": [entry.id for entry in (*train, *valid)],
        "has_mask": data.flow != "unknown" or any(entry.has_mask for entry in train),
        **training_facts(train),
    }
    settings = FitSettings(
        max_updates=options.updates,
        every="update",
        validate_every=options.validate_every,
        patience=options.patience,
        clip_norm=options.clip,
        checkpoint_every=options.validate_every,
        log_every=min(50, options.validate_every),
    )
    scored = IndexedBatches(whole, 1, shuffle=False)
    return fit(run, model.learner(options, facts), batches(size), scored, settings)


def check_trainable(data: FrontData) -> None:
    """Refuse a data set with nothing to train or to validate on."""
    for role in ("train", "valid"):
        if not any(_has_front(entry) for entry in data.of(role)):
            raise DataError(
                f"no labelled image is left to {role} on, of {len(data.entries)}",
                "give labels (--labels), more images, or smaller --test-share, --valid-share and --guard",
            )


def _has_front(entry: Entry) -> bool:
    return bool(entry.lines)


def _device(run: Run) -> str:
    """Return torch's name of the device that one process gets."""
    from icectl.training import resolve

    return resolve(run.compute).device
