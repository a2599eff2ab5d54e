"""InpaintGAN: trains both steps, and answers with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from icectl.errors import DataError
from icectl.run import Run
from icectl.tasks.bed import masks
from icectl.tasks.bed.dataset import SHAPES, Hide, Holes, Pixels, kind_flags
from icectl.tasks.bed.fill import biharmonic, bounded
from icectl.tasks.bed.inputs import masked_patch, thin
from icectl.tasks.bed.model import BedModel
from icectl.tasks.bed.networks import Networks
from icectl.training import FitSettings, IndexedBatches, fit, launch, load_weights, resolve, save_weights
from icectl_inpaint_gan.learners import InpaintLearner, ThicknessLearner, build_ensemble, build_generator

Floats = NDArray[np.float64]
STEPS = ("inpaint", "thickness")
DRAWS = 64
"""Pixels drawn from each glacier for one update of step (b)."""


class InpaintGAN(BedModel):
    """Maffezzoli 2023: gated inpainting of the ground, and thickness corrected by physics."""

    def train(self, run: Run, options: Any) -> Path:
        """Train the steps asked for, one after the other, and leave one file of weights."""
        for step in STEPS:
            if options.step in ("both", step):
                (run.out / step).mkdir(exist_ok=True)
                launch(_train_step, run.at(out=run.out / step), options, step)
        _gather(run)
        return run.out

    def loader(self) -> Any:
        """Return the function that loads trained networks."""
        return load


def _train_step(run: Run, options: Any, step: str) -> None:
    """Train one step; a function of a module, so that it can be started in several processes."""
    return _train_inpaint(run, options) if step == "inpaint" else _train_thickness(run, options)


def _train_inpaint(run: Run, options: Any) -> None:
    folder = run.inputs["prepare"]
    shapes = masks.Shapes.load(folder / SHAPES)
    made = {
        part: IndexedBatches(
            Holes(folder, part, most=None if part == "train" else 128),
            options.batch_size,
            run.seed,
            shuffle=part == "train",
            augment=Hide(options.masks, options.net_size, options.start, shapes, part == "train"),
        )
        for part in ("train", "test")
    }
    settings = FitSettings(
        max_updates=options.updates, every="update", validate_every=options.validate_every, clip_norm=1.0
    )
    result = fit(run, InpaintLearner(options), made["train"], made["test"], settings)
    scores = result.scores
    run.say(
        f"step (a): {scores.get('rmse', float('nan')):.1f} m in test holes after {result.best_step} updates, "
        f"{scores.get('start_rmse', float('nan')):.1f} m where it starts from"
    )


class _Draws:
    """``count`` virtual samples: each is a glacier drawn by weight, and some of its pixels."""

    def __init__(self, pixels: Pixels, weights: NDArray[np.float64], count: int) -> None:
        self.pixels, self.weights, self.count = pixels, weights, count
        self.tables = [pixels.features(i) for i in range(len(pixels))]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index

    def draw(self, _: int, rng: np.random.Generator) -> Mapping[str, NDArray[np.float32]]:
        """Return features (c, n), thickness (1, n), prior (1, n) and the glacier's number."""
        glacier = int(rng.choice(len(self.weights), p=self.weights))
        x, y, prior = self.tables[glacier]
        at = rng.integers(0, x.shape[1], DRAWS)
        return {
            "x": x[:, at],
            "y": y[None, at],
            "prior": prior[None, at],
            "glacier": np.array([glacier], dtype=np.float32),
        }


def _train_thickness(run: Run, options: Any) -> None:
    pixels = Pixels(run.inputs["prepare"])
    if not len(pixels):
        raise DataError(
            "there is no glacier of known thickness to learn from",
            "give --thickness-data FOLDER, --synthetic-glaciers N, or --step inpaint",
        )
    learner = ThicknessLearner(options, pixels, run.seed)
    draws = _Draws(pixels, learner.weights, 16 * options.thickness_updates)
    batches = IndexedBatches(draws, 16, run.seed, augment=draws.draw)
    fit(run, learner, batches, None, FitSettings(max_updates=options.thickness_updates, tensorboard=False))


def _gather(run: Run) -> None:
    """Put the weights of both steps into one file, with what is needed to build the networks again."""
    parts, facts = nn.ModuleDict(), {}
    for step in STEPS:
        file = run.out / step / "weights.safetensors"
        if file.is_file():
            state, described = load_weights(file)
            facts.update({k: v for k, v in described.items() if k in STEPS})
            facts[f"{step}_training"] = described.get("training", {})
            holder = nn.Module()
            for name, value in state.items():
                holder.register_buffer(name.replace(".", "/"), value)
            parts[step] = holder
    save_weights(run.out / "weights.safetensors", parts, facts)
    run.notes["steps"] = json.loads(json.dumps(facts))


@lru_cache(maxsize=2)
def load(folder: Path, device: str) -> Networks:
    """Return the networks of a finished training (kept, so that a region loads them once a worker)."""
    state, facts = load_weights(folder / "weights.safetensors")
    return Trained(_parts(state), facts, torch.device(device))


def _parts(state: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    found: dict[str, dict[str, torch.Tensor]] = {step: {} for step in STEPS}
    for name, value in state.items():
        step, rest = name.split(".", 1)
        found[step][rest.replace("/", ".")] = value
    return found


class Trained:
    """Networks of a finished training; see `icectl.tasks.bed.networks.Networks`."""

    def __init__(
        self, parts: Mapping[str, Mapping[str, torch.Tensor]], facts: Mapping[str, Any], device: torch.device
    ) -> None:
        self.device = device
        self.has_inpaint, self.has_thickness = "inpaint" in facts, "thickness" in facts
        self.volume_error = self.pixel_error = 0.4
        if self.has_inpaint:
            self.sizes = SimpleNamespace(**facts["inpaint"])
            self.generator = build_generator(self.sizes).to(device).eval()
            weights = {
                k.removeprefix("generator."): v
                for k, v in parts["inpaint"].items()
                if k.startswith("generator.")
            }
            self.generator.load_state_dict(weights)
        if self.has_thickness:
            known = facts["thickness"]
            self.kind, self.members = known["kind"], known["members"]
            self.volume_error, self.pixel_error = known["volume_error"], known["pixel_error"]
            sizes = SimpleNamespace(thickness_width=known["width"], members=known["members"])
            self.ensemble = build_ensemble(sizes, known["channels"]).to(device).eval()
            self.ensemble.load_state_dict(parts["thickness"])

    def thickness(self, channels: NDArray[np.float32], prior: NDArray[np.float32]) -> Floats:
        """Return the members' thickness ``(members, y, x)``."""
        flat = channels.reshape(channels.shape[0], -1)
        x = np.concatenate([flat, kind_flags(self.kind, flat.shape[1])])
        out = np.empty((self.members, flat.shape[1]))
        with torch.inference_mode():
            for start in range(0, flat.shape[1], 65_536):
                part = slice(start, start + 65_536)
                tensors = [
                    torch.from_numpy(a).to(self.device)
                    for a in (x[None, :, part], prior.reshape(1, 1, -1)[..., part])
                ]
                out[:, part] = self.ensemble(*tensors)[0].double().cpu().numpy()
        return out.reshape(self.members, *prior.shape)

    def inpaint(
        self, heights: Floats, hidden: NDArray[np.bool_], rounds: int, seed: int
    ) -> tuple[Floats, Floats]:
        """Return mean and spread of fills over masks that are shifted, turned and grown a little.

        The window is padded to a square and averaged to the network's size; its answer, or what it adds
        to the
        biharmonic fill, is brought back by linear interpolation.
        """
        rng = np.random.default_rng([seed, 61])
        base = bounded(biharmonic, heights, hidden)
        made = [self._once(heights, hidden, base, rng, number) for number in range(rounds)]
        mean = np.mean(made, axis=0)
        spread = np.std(made, axis=0) if rounds > 1 else np.zeros(mean.shape)
        return np.where(hidden, mean, heights), np.where(hidden, spread, 0.0)

    def _once(
        self, heights: Floats, hidden: NDArray[np.bool_], base: Floats, rng: np.random.Generator, number: int
    ) -> Floats:
        mask = ndimage.binary_dilation(hidden, iterations=number) if number in (1, 2) else hidden
        mask = hidden if mask.all() else mask
        size = self.sizes.net_size
        side = -(-max(heights.shape) // size) * size
        pads = [(int(rng.integers(0, side - n + 1)), n) for n in heights.shape]
        widths = [(before, side - n - before) for before, n in pads]
        square, masked = np.pad(base, widths, mode="edge"), np.pad(mask, widths, mode="edge")
        if masked.all():
            masked = np.pad(mask, widths)
        turns = int(rng.integers(4)) if number else 0
        square, masked = np.rot90(square, turns), np.rot90(masked, turns)
        average, blocks = thin(np.where(masked, 0.0, square), masked, size)
        if blocks.all():  # no whole block is known: nothing for the network to see
            return base
        patch = masked_patch(np.where(blocks, 0.0, average), blocks, self.sizes.start)
        with torch.inference_mode():
            x = torch.from_numpy(patch.channels[None]).to(self.device)
            answer = self.generator(x)[1][0, 0].double().cpu().numpy()
        if self.sizes.start == "fill":
            change = (answer - patch.channels[0].astype(np.float64)) * patch.scale
            wide = _widen(change, side)
            result = square + np.where(masked, wide, 0.0)
        else:
            result = np.where(masked, _widen(patch.metres(answer), side), square)
        result = np.rot90(result, -turns)
        corner = tuple(slice(before, before + n) for before, n in pads)
        return np.asarray(result[corner])


def _widen(values: Floats, side: int) -> Floats:
    """Bring a square to `side` pixels by linear interpolation."""
    axis = (np.arange(side) + 0.5) * values.shape[0] / side - 0.5
    return np.asarray(
        ndimage.map_coordinates(values, np.meshgrid(axis, axis, indexing="ij"), order=1, mode="nearest")
    )


def device_of(run: Run) -> str:
    """Return torch's name of the device that a run decides for."""
    return str(resolve(run.compute).torch_device())
