"""A sound model, and one broken in each way that the suite has to see."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from torch import nn

from icectl.contract import Column, Metrics, OnnxNetwork, Row, Table
from icectl.training import FitSettings, IndexedBatches, SingleOptimizer, fit, launch, load_weights

CRS, TRANSFORM = "EPSG:32643", from_origin(500_000, 3_500_000, 30, 30)


def write(path: Path, array: np.ndarray, crs=CRS, transform=TRANSFORM, nodata=float("nan")) -> None:
    rows, cols = array.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=rows,
        width=cols,
        dtype="float32",
        crs=crs,
        transform=transform,
        nodata=nodata,
    ) as file:
        file.write(array.astype("float32"), 1)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


class Learner(SingleOptimizer):
    def __init__(self) -> None:
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Dropout(0.2), nn.Conv2d(4, 1, 3, padding=1)]
        super().__init__(nn.Sequential(*layers), learning_rate=0.01)

    def loss(self, batch, context):
        return context.mean((self.modules(batch["x"]) - batch["y"]).square(), batch["mask"])


class Sound:
    learner = Learner

    def fetch(self, run, options):
        noise = np.random.default_rng(run.seed).normal(size=(options.side, options.side))
        write(run.out / "field.tif", noise.cumsum(0).cumsum(1) / 50)
        return run.out

    def prepare(self, run, options):
        write(run.out / "dataset.tif", read(run.inputs["fetch"] / "field.tif"))
        return run.out

    def train(self, run, options):
        launch(work, run, self, options)
        return run.out

    def settings(self, options) -> FitSettings:
        return FitSettings(max_updates=options.updates, log_every=1)

    def network(self, run) -> nn.Module:
        network = self.learner().modules
        network.load_state_dict(load_weights(run.inputs["train"] / "weights.safetensors")[0])
        return network.eval()

    def predict(self, run, options):
        field = torch.from_numpy(read(run.inputs["prepare"] / "dataset.tif"))
        with torch.no_grad():
            self.write(run, self.network(run)(field[None, None])[0, 0].numpy(), options)
        return run.out

    def write(self, run, array, options) -> None:
        write(run.out / "smooth.tif", array)

    def onnx(self, run):
        inputs = {"field": torch.rand(1, 1, 8, 8)}
        return [OnnxNetwork(module=self.network(run), inputs=inputs, axes={"field": {0: "batch", 2: "rows"}})]

    def evaluate(self, run, options):
        truth = read(run.inputs["prepare"] / "dataset.tif")
        error = float(np.abs(read(run.inputs["predict"] / "smooth.tif") - truth).mean())
        return self.table(error, float(np.abs(truth).mean()))

    def table(self, error: float, baseline: float) -> Metrics:
        rows = (
            Row(name="wobbly", kind="model", values={"mae": error}),
            Row(name="zero", kind="baseline", values={"mae": baseline}),
        )
        return Metrics(
            tables=(Table(title="t", columns=(Column(key="mae", label="MAE"),), rows=rows, primary="mae"),)
        )


def samples(run) -> list[dict[str, np.ndarray]]:
    field = read(run.inputs["prepare"] / "dataset.tif")
    rng = np.random.default_rng(0)
    cuts = [field[i : i + 8, j : j + 8][None] for i in range(0, 40, 8) for j in range(0, 40, 8)]
    return [
        {"x": cut, "y": cut.mean() + 0 * cut, "mask": rng.random(cut.shape) < (n % 4 + 1) / 4}
        for n, cut in enumerate(cuts)
    ]


def work(run, model: Sound, options):
    torch.manual_seed(run.seed)
    return fit(
        run, model.learner(), IndexedBatches(samples(run), 4, seed=run.seed), None, model.settings(options)
    )


class Lacking:
    """Has three verbs only."""

    fetch, prepare, train = Sound.fetch, Sound.prepare, Sound.train


class NoGradient(Sound):
    class learner(Learner):
        def update(self, batch, context):
            return {"loss": self.loss(batch, context)}


class InfiniteLoss(Sound):
    def train(self, run, options):
        super().train(run, options)
        (run.out / "log.jsonl").write_text('{"step": 1, "epoch": 0, "train/loss": null}\n')
        return run.out


class Pickling(Sound):
    def train(self, run, options):
        super().train(run, options)
        torch.save({"x": 1}, run.out / "model.pt")
        return run.out


_calls = itertools.count()


class Undetermined(Sound):
    class learner(Learner):
        def __init__(self) -> None:
            super().__init__()
            with torch.no_grad():
                self.modules[0].weight += 0.1 * next(_calls)


class Forgetful(Sound):
    """Keeps a momentum of its own outside the state."""

    class learner(Learner):
        def __init__(self) -> None:
            super().__init__()
            self.seen = 0.0

        def loss(self, batch, context):
            self.seen += 1.0
            return super().loss(batch, context) * self.seen


class Deaf(Sound):
    """Trains in a loop of its own that knows no signals and saves no state."""

    def train(self, run, options):
        from icectl.training import save_weights

        torch.manual_seed(run.seed)
        learner = self.learner()
        optimizer = torch.optim.SGD(learner.modules.parameters(), lr=0.01)
        for _ in range(options.updates):
            learner.modules(torch.ones(1, 1, 8, 8)).sum().backward()
            optimizer.step()
        save_weights(run.out / "weights.safetensors", learner.modules)
        (run.out / "log.jsonl").write_text('{"step": 1, "epoch": 0, "train/loss": 1.0}\n')
        return run.out


class LocalMean(Sound):
    """Divides by the valid pixels of its own share."""

    class learner(Learner):
        def loss(self, batch, context):
            errors = (self.modules(batch["x"]) - batch["y"]).square()
            return torch.where(batch["mask"], errors, 0.0).sum() / batch["mask"].sum()


class OwnDraws(Sound):
    """Draws noise by process, not by sample."""

    class learner(Learner):
        def loss(self, batch, context):
            noisy = batch["x"] + 0.1 * torch.randn_like(batch["x"])
            return context.mean((self.modules(noisy) - batch["y"]).square())


class NoCrs(Sound):
    def write(self, run, array, options) -> None:
        write(run.out / "smooth.tif", array, crs=None)


class OtherCrs(Sound):
    def write(self, run, array, options) -> None:
        write(run.out / "smooth.tif", array, crs="EPSG:3413")


class HalfAPixelOff(Sound):
    def write(self, run, array, options) -> None:
        write(run.out / "smooth.tif", array, transform=from_origin(500_015, 3_500_015, 30, 30))


class NoNodata(Sound):
    def write(self, run, array, options) -> None:
        write(run.out / "smooth.tif", array, nodata=None)


class Silent(Sound):
    def write(self, run, array, options) -> None:
        (run.out / "smooth.dat").write_bytes(array.tobytes())


class SeamsByTile(Sound):
    def write(self, run, array, options) -> None:
        array[:: options.tile] = 0
        write(run.out / "smooth.tif", array)


class Invented(Sound):
    """Scores that were never computed from the predictions."""

    def evaluate(self, run, options):
        return self.table(0.01, 1.0)


class Flat(Sound):
    """Predicts one value everywhere, as a classifier that finds nothing does."""

    def write(self, run, array, options) -> None:
        super().write(run, np.zeros_like(array), options)


class Timid(Sound):
    """Predicts chances that are all below the threshold at which they are scored."""

    def write(self, run, array, options) -> None:
        super().write(run, 0.2 + 0.1 * np.tanh(array), options)

    def evaluate(self, run, options):
        found = read(run.inputs["predict"] / "smooth.tif") > 0.5
        return self.table(float(found.mean()), 1.0)


class Fluctuating(Sound):
    def evaluate(self, run, options):
        return self.table(1.0 + next(_calls), 1.0)


class NoBaseline(Sound):
    def evaluate(self, run, options):
        table = super().evaluate(run, options).tables[0]
        from dataclasses import replace

        return Metrics(tables=(replace(table, rows=table.rows[:1]),))


class NoDecision(Sound):
    def evaluate(self, run, options):
        from dataclasses import replace

        return Metrics(tables=(replace(super().evaluate(run, options).tables[0], primary="iou"),))


class OtherWhenExported(Sound):
    """Hands other runtimes another network than it predicts with."""

    def onnx(self, run):
        from dataclasses import replace

        class Other(nn.Module):
            def forward(self, field):
                return field if torch.onnx.is_in_onnx_export() else 2 * field

        return [replace(super().onnx(run)[0], module=Other())]
