"""Training: the thickness law is fitted at once, the network of step (a) learns in the shared loop."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from icectl.errors import DataError
from icectl.run import Run
from icectl.tasks.bed.dataset import Dataset, open_dataset
from icectl.tasks.bed.fill.hide import Hide
from icectl.tasks.bed.options import TrainOptions
from icectl.tasks.bed.thickness.law import Law, fit_law
from icectl.tasks.model import WEIGHTS, TaskModel, learn
from icectl.training import Context, FitSettings, IndexedBatches, Learner, cosine_rate, launch, save_weights

Batch = Mapping[str, Tensor]

EVEN = 0.02
"""Added to a fill's mean square error, in units of the patch's variance, where errors are made relative."""


def train(run: Run, model: TaskModel, options: TrainOptions) -> Path:
    """Fit the thickness law and train the network, or the one asked for; all goes to ``run.out``.

    DataError: there is no patch of the network's size, or no glacier of known thickness.
    """
    dataset = open_dataset(run.inputs["prepare"])
    law = None if options.step == "inpaint" else _law(run, dataset, options)
    facts: dict[str, Any] = {"law": law.facts()} if law else {}
    if options.step == "thickness":
        base = {"model": run.plugin.name, "options": options.model_dump(mode="json"), "seed": run.seed}
        save_weights(run.out / WEIGHTS, nn.Identity(), {**base, **facts})
        return run.out
    patches = dataset.patches("train", options.net_size)
    if not len(patches):
        raise DataError(
            f"no patch is as large as the network's {options.net_size} pixels",
            f"prepare with --patch-size {options.net_size} or more, or train with a smaller --net-size",
        )
    launch(_learn, run, model, options, {**facts, "range": patches.known_range()})
    return run.out


def _law(run: Run, dataset: Dataset, options: TrainOptions) -> Law | None:
    samples = dataset.samples()
    if not samples:
        if options.step == "both":
            return None
        raise DataError(
            "there is no glacier of known thickness to learn from",
            "give --thickness-data FOLDER, or --step inpaint",
        )
    law = fit_law(samples)
    error = np.sqrt(law.level("", law.mean[-1])[1])
    regions = ", ".join(law.regions) or "none"
    run.say(
        f"step (b): a law of {law.kind} thickness; its level is known within a factor of {np.exp(error):.1f} "
        f"(one sigma) in new regions; regions learnt from: {regions}"
    )
    run.notes["law"] = law.facts()
    return law


def _learn(run: Run, model: TaskModel, options: TrainOptions, facts: Mapping[str, Any]) -> None:
    dataset = open_dataset(run.inputs["prepare"])
    settings = FitSettings(
        max_updates=options.updates, every="update", validate_every=options.validate_every, clip_norm=1.0
    )

    def batches(size: int) -> IndexedBatches:
        return _batches(run, dataset, options, "train", size)

    def valid(size: int) -> IndexedBatches | None:
        patches = dataset.patches("valid", options.net_size, 256)
        return _batches(run, dataset, options, "valid", size) if len(patches) else None

    result = learn(run, model, options, facts, batches, valid, settings)
    if result.scores:
        run.say(
            f"step (a): {result.scores['rmse']:.1f} m in validation holes after {result.best_step} updates, "
            f"{result.scores['start_rmse']:.1f} m where it starts from"
        )


def _batches(run: Run, dataset: Dataset, options: TrainOptions, part: str, size: int) -> IndexedBatches:
    learns = part == "train"
    patches = dataset.patches(part, options.net_size, None if learns else 256)
    hide = Hide(options.net_size, options.begin, dataset.shapes(), learns)
    return IndexedBatches(patches, size, run.seed, shuffle=learns, augment=hide)


class FillLearner(Learner):
    """Step (a): the error of heights in hidden ground, by AdamW.

    Beside a fill, errors count in units of what the fill is off in that patch: else the few patches whose
    holes hold a summit would be all that is learnt from.

    `network`: what is trained: ``network(x)`` gives heights ``(n, 1, y, x)``. `facts`: plain JSON to keep
    with the weights; ``"range"`` is what the network has seen.
    """

    def __init__(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> None:
        self.network, self.options, self.facts = network, options, dict(facts)
        self.modules: nn.Module = network
        self.share = 0.0 if options.begin == "fill" else 1.0

    def configure(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return AdamW over the network."""
        # A gradient of rounding errors alone must not move a weight by a whole step: hence the large eps.
        return {
            "generator": torch.optim.AdamW(
                self.network.parameters(), self.options.lr, (0.9, 0.99), eps=1e-5, weight_decay=5e-2
            )
        }

    def schedule(self, optimizers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Warm up and fall as a cosine where the network adds to a fill; constant else."""
        if self.options.begin == "flat":
            return {}
        total = self.options.updates
        warm = max(1, total // 20)
        falling = torch.optim.lr_scheduler.LambdaLR(
            optimizers["generator"], lambda step: cosine_rate(step, total, warm, floor=0.02)
        )
        return {"generator": falling}

    def update(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Take one gradient step."""
        x, y, valid = batch["x"], batch["y"], batch["valid"]
        loss = context.mean(self.error(self.network(x), y, x, valid), valid)
        context.backward(loss)
        context.step("generator")
        return {"inpaint": loss.detach()}

    def error(self, made: Tensor, y: Tensor, x: Tensor, valid: Tensor) -> Tensor:
        """Return the error of each pixel: absolute, or squared in units of what the fill is off."""
        if self.options.begin == "flat":
            return (made - y).abs()
        off = ((x[:, :1] - y) ** 2 * valid).sum((1, 2, 3), keepdim=True)
        off = off / valid.sum((1, 2, 3), keepdim=True).clamp(min=1) + EVEN
        return (made - y) ** 2 / off

    def validate(self, batches: Iterable[Batch], context: Context) -> Mapping[str, float]:
        """Return the RMSE (m) in the holes, that of the start, and the relative error that is minimised.

        Beside a fill, the share of what the network adds is set to the one that is best on these holes, and
        never above 1: a network that has learnt nothing is left out.
        """
        sums = torch.zeros(6, dtype=torch.float64)
        for batch in batches:
            x, y, valid = batch["x"], batch["y"], batch["valid"]
            made = self.network(x)
            metres2 = (batch["scale"] ** 2)[:, :, None, None] * valid
            scale = self.error(y + 1.0, y, x, valid) * valid
            added, missing = made - x[:, :1], y - x[:, :1]
            parts = (
                (made - y) ** 2 * metres2, missing**2 * metres2, valid,
                added**2 * scale, added * missing * scale, missing**2 * scale,
            )  # fmt: skip
            sums += torch.stack([p.sum().cpu().double() for p in parts])
        count = float(sums[2])
        names = ("made", "start", "added", "shared", "missing")
        values = {n: sums[i] / max(count, 1.0) for n, i in zip(names, (0, 1, 3, 4, 5), strict=True)}
        mean = context.average([(values, count)] if count > 0 else [])
        made_, start = mean.get("made", float("nan")) ** 0.5, mean.get("start", float("nan")) ** 0.5
        if self.options.begin == "flat" or not mean:
            return {"rmse": made_, "start_rmse": start, "loss": made_ / max(start, 1e-9)}
        self.share = min(1.0, max(0.0, mean["shared"] / max(mean["added"], 1e-12)))
        left = mean["missing"] - 2 * self.share * mean["shared"] + self.share**2 * mean["added"]
        loss = (max(left, 0.0) / max(mean["missing"], 1e-12)) ** 0.5
        return {"rmse": made_, "start_rmse": start, "loss": loss, "share": self.share}

    def images(self, batches: Iterable[Batch], context: Context) -> Mapping[str, Tensor]:
        """Return the truth, the masked patch and the fill of the first test patches, side by side."""
        batch = next(iter(batches), None)
        if batch is None:
            return {}
        made = self.network(batch["x"])
        rows = []
        for i in range(min(3, made.shape[0])):
            truth, hidden = batch["y"][i, 0], batch["x"][i, -1] > 0.5
            low, high = truth.min(), truth.max()
            shown = [truth, torch.where(hidden, low, truth), made[i, 0]]
            rows.append(
                torch.cat([((one - low) / (high - low).clamp(min=1e-6)).clamp(0, 1) for one in shown], 1)
            )
        return {"truth, hole, fill": torch.cat(rows, 0)[None]}

    def describe(self) -> dict[str, Any]:
        """Return what predicting needs to know."""
        return {**self.facts, "share": self.share}
