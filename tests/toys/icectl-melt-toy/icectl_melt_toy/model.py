"""Five verbs: a synthetic valley, its melt by degree-days with an error, a network of single pixels."""

import numpy as np
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from torch import nn

from icectl.contract import Column, Metrics, Row, Table
from icectl.raster import grid_of, read, write_cog
from icectl.training import FitSettings, IndexedBatches, SingleOptimizer, fit, launch, load_weights

MELT = 7.0  # millimetres of water a day and kelvin above freezing


class Learner(SingleOptimizer):
    """The mean squared error of melt over the pixels of the global batch."""

    def loss(self, batch, context):
        """Return it."""
        return context.mean((self.modules(batch["kelvin"]) - batch["melt"]).square())

    def describe(self):
        """Return what predicting needs to know."""
        return {"width": self.modules[0].out_features}


class Model:
    """The melt of every pixel from its temperature."""

    def fetch(self, run, options):
        """Write a map of temperature that falls with height, in kelvin above freezing."""
        y, x = np.mgrid[: options.size, : options.size] / options.size
        rough = np.random.default_rng(run.seed).normal(size=y.shape)
        kelvin = (6 - 12 * np.hypot(x - 0.5, y) + 0.3 * rough).astype("float32")
        grid = GeoBox(kelvin.shape, Affine(30, 0, 500_000, 0, -30, 3_500_000), "EPSG:32643")
        write_cog(run.out / "kelvin.tif", kelvin, grid, nodata=np.nan)
        return run.out

    def prepare(self, run, options):
        """Keep the temperature, and the melt that was measured."""
        path = run.inputs["fetch"] / "kelvin.tif"
        kelvin = read(path).filled(np.nan) + np.float32(options.warmer)
        error = np.random.default_rng(run.seed + 1).normal(scale=2, size=kelvin.shape)
        melt = np.maximum(0, MELT * np.maximum(kelvin, 0) + error).astype("float32")
        for name, values in (("kelvin", kelvin), ("melt", melt)):
            write_cog(run.out / f"{name}.tif", values, grid_of(path), nodata=np.nan)
        return run.out

    def train(self, run, options):
        """Train on the northern half."""
        launch(learn, run, options)
        return run.out

    def predict(self, run, options):
        """Write the melt of the whole map."""
        state, facts = load_weights(run.inputs["train"] / "weights.safetensors")
        network = pixel_network(facts["width"])
        network.load_state_dict(state)
        path = run.inputs["prepare"] / "kelvin.tif"
        with torch.inference_mode():
            melt = network.eval()(torch.from_numpy(read(path).filled(np.nan))[..., None])[..., 0].numpy()
        write_cog(run.out / "melt.tif", melt, grid_of(path), nodata=np.nan)
        return run.out

    def evaluate(self, run, options):
        """Score the southern half, beside the mean melt of the northern."""
        truth = read(run.inputs["prepare"] / "melt.tif").filled(np.nan)
        found = read(run.inputs["predict"] / "melt.tif").filled(np.nan)
        half = len(truth) // 2
        rows = (("melt-toy", "model", found), ("mean of the north", "baseline", truth[:half].mean()))
        table = Table(
            title="Melt of the southern half",
            columns=(Column(key="rmse", label="RMSE", unit="mm/d"),),
            rows=tuple(
                Row(
                    name=name, kind=kind, values={"rmse": float(np.sqrt(((made - truth)[half:] ** 2).mean()))}
                )
                for name, kind, made in rows
            ),
            primary="rmse",
        )
        return Metrics(tables=(table,))


def pixel_network(width):
    """Return the network: (…, 1) kelvin to (…, 1) millimetres a day."""
    return nn.Sequential(nn.Linear(1, width), nn.Softplus(), nn.Linear(width, 1))


def learn(run, options):
    """Train in one of the processes."""
    kelvin, melt = (read(run.inputs["prepare"] / f"{name}.tif").filled(np.nan) for name in ("kelvin", "melt"))
    half = len(melt) // 2
    samples = [
        {"kelvin": k[:, None], "melt": m[:, None]} for k, m in zip(kelvin[:half], melt[:half], strict=True)
    ]
    settings = FitSettings(max_updates=options.updates)
    learner = Learner(pixel_network(options.width), 0.03)
    return fit(run, learner, IndexedBatches(samples, 8, run.seed), None, settings)
