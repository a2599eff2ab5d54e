"""InpaintGAN: trains both steps, and answers with them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from icectl.contract import OnnxNetwork
from icectl.errors import DataError
from icectl.run import Run
from icectl.tasks.bed.dataset import SHAPES, Hide, Holes, Pixels, kind_flags
from icectl.tasks.bed.fill import masks
from icectl.tasks.bed.fill.fill_features import mixed_patch
from icectl.tasks.bed.fill.inputs import channel_count, masked_patch, thin
from icectl.tasks.bed.fill.smooth import biharmonic, bounded
from icectl.tasks.bed.model import BedModel
from icectl.tasks.bed.networks import Networks
from icectl.training import FitSettings, IndexedBatches, fit, fitting_batch, launch, load_weights
from icectl_inpaint_gan.learners import (
    BedLearner,
    ThicknessPart,
    build_ensemble,
    build_generator,
)
from icectl_inpaint_gan.networks import Heights
from icectl_inpaint_gan.refine import straightened, symmetries

Floats = NDArray[np.float64]
DRAWS = 64
"""Pixels drawn from each glacier for one update of step (b)."""


class InpaintGAN(BedModel):
    """Maffezzoli 2023: gated inpainting of the ground, and thickness corrected by physics."""

    def train(self, run: Run, options: Any) -> Path:
        """Train both steps, or the one asked for, in one loop."""
        launch(_train, run, options)
        return run.out

    def loader(self) -> Any:
        """Return the function that loads trained networks."""
        return load

    def onnx(self, run: Run) -> list[OnnxNetwork]:
        """Return the generator of step (a) and the ensemble of step (b), whichever were trained."""
        state, facts = load_weights(run.inputs["train"] / "weights.safetensors")
        return Trained(_parts(state), facts, torch.device("cpu")).offered()


def _train(run: Run, options: Any) -> None:
    """Train in this process; a function of a module, so that several can be started."""
    folder = run.inputs["prepare"]
    pixels = None if options.step == "inpaint" else _pixels(folder, options)
    learner = BedLearner(options, pixels, run.seed)
    length = learner.updates

    def batches(size: int, part: str = "train") -> Any:
        return _batches(run, options, learner, part, length, size)

    size = fitting_batch(run, options.batch_size, lambda: BedLearner(options, pixels, run.seed), batches)
    train, test = (batches(size, part) for part in ("train", "valid"))
    settings = FitSettings(
        max_updates=length, every="update", validate_every=options.validate_every, clip_norm=1.0
    )
    result = fit(run, learner, train, test, settings)
    run.notes["steps"] = learner.describe()
    if result.scores:
        after = min(result.best_step, options.updates)
        run.say(
            f"step (a): {result.scores['rmse']:.1f} m in validation holes after {after} updates, "
            f"{result.scores['start_rmse']:.1f} m where it starts from"
        )


def _pixels(folder: Path, options: Any) -> Pixels | None:
    pixels = Pixels(folder)
    if len(pixels):
        return pixels
    if options.step == "both":
        return None
    raise DataError(
        "there is no glacier of known thickness to learn from",
        "give --thickness-data FOLDER, --synthetic-glaciers N, or --step inpaint",
    )


def _batches(
    run: Run, options: Any, learner: BedLearner, part: str, length: int, size: int
) -> IndexedBatches | None:
    """Return batches of samples that hold a patch, a glacier's pixels, or both."""
    folder, train = run.inputs["prepare"], part == "train"
    if options.step == "thickness":
        if not train:
            return None
        patches, hide = range(size * length), None
    else:
        patches = Holes(folder, part, most=None if train else 256)  # type: ignore[assignment]
        if not train and not len(patches):
            return None
        shapes = masks.Shapes.load(folder / SHAPES)
        hide = Hide(options.masks, options.net_size, options.begin, shapes, train)
    draws = None if learner.depth is None or not train else _Draws(learner.depth)
    augment = _Sample(hide, draws)
    return IndexedBatches(patches, size, run.seed, shuffle=train, augment=augment)


class _Draws:
    """Draws a glacier by weight, and some of its pixels."""

    def __init__(self, part: ThicknessPart) -> None:
        self.weights = part.weights
        self.tables = [part.pixels.features(i) for i in range(len(part.pixels))]

    def __call__(self, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Return features (c, n), thickness (1, n), prior (1, n) and the glacier's number."""
        glacier = int(rng.choice(len(self.weights), p=self.weights))
        x, y, prior = self.tables[glacier]
        at = rng.integers(0, x.shape[1], DRAWS)
        return {
            "features": x[:, at],
            "depth": y[None, at],
            "prior": prior[None, at],
            "glacier": np.array([glacier], dtype=np.float32),
        }


class _Sample:
    """Makes one training sample of both steps from a raw patch."""

    def __init__(self, hide: Hide | None, draws: _Draws | None) -> None:
        self.hide, self.draws = hide, draws

    def __call__(self, patch: Any, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of whichever steps are trained."""
        sample = {} if self.hide is None else self.hide(patch, rng)
        return sample if self.draws is None else {**sample, **self.draws(rng)}


@lru_cache(maxsize=2)
def load(folder: Path, device: str) -> Networks:
    """Return the networks of a finished training (kept, so that a region loads them once a worker)."""
    state, facts = load_weights(folder / "weights.safetensors")
    return Trained(_parts(state), facts, torch.device(device))


def _parts(state: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    found: dict[str, dict[str, torch.Tensor]] = {"generator": {}, "discriminator": {}, "thickness": {}}
    for name, value in state.items():
        part, rest = name.split(".", 1)
        found[part][rest] = value
    return found


class Trained:
    """Networks of a finished training; see `icectl.tasks.bed.networks.Networks`."""

    def __init__(
        self, parts: Mapping[str, Mapping[str, torch.Tensor]], facts: Mapping[str, Any], device: torch.device
    ) -> None:
        self.device = device
        self.has_inpaint, self.has_thickness = "inpaint" in facts, "thickness" in facts
        self.volume_error, self.pixel_error, self.kind = 0.4, 0.4, ""
        if self.has_inpaint:
            self.sizes = SimpleNamespace(**facts["inpaint"])
            self.generator = build_generator(self.sizes).to(device).eval()
            self.generator.load_state_dict(parts["generator"])
        if self.has_thickness:
            known = facts["thickness"]
            self.kind, self.members = known["kind"], known["members"]
            self.volume_error, self.pixel_error = known["volume_error"], known["pixel_error"]
            sizes = SimpleNamespace(thickness_width=known["width"], members=known["members"])
            self.ensemble = build_ensemble(sizes, known["channels"]).to(device).eval()
            self.ensemble.load_state_dict(parts["thickness"])

    def offered(self) -> list[OnnxNetwork]:
        """Return the networks for other runtimes."""
        drawn = torch.Generator().manual_seed(0)
        found = []
        if self.has_inpaint:
            side = self.sizes.net_size
            x = torch.randn(1, channel_count(self.sizes.begin), side, side, generator=drawn)
            x[:, -1] = 0
            x[:, -1, side // 4 : side // 2, side // 4 : side // 2] = 1
            found.append(
                OnnxNetwork(
                    name="generator", module=Heights(self.generator), inputs={"patch": x},
                    outputs=("heights",), axes={"patch": {0: "batch"}},
                    note="`patch`: normalised heights, slopes, (distance into the hole,) mask; `heights`"
                    " normalised alike.",
                )
            )  # fmt: skip
        if self.has_thickness:
            features = torch.randn(1, self.ensemble.channels, 16, generator=drawn)
            prior = 100 * torch.rand(1, 1, 16, generator=drawn)
            axes = {0: "batch", 2: "pixels"}
            found.append(
                OnnxNetwork(
                    name="thickness", module=self.ensemble, inputs={"features": features, "prior": prior},
                    outputs=("thickness",), axes={"features": axes, "prior": axes},
                    note="`prior`: thickness in m by physics; `thickness` in m by each member.",
                )
            )  # fmt: skip
        return found

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
        if self.sizes.begin == "fill":
            return self._refined(heights, hidden, rounds)
        base = bounded(biharmonic, heights, hidden)
        made = [self._once(heights, hidden, base, rng, number) for number in range(rounds)]
        mean = np.mean(made, axis=0)
        spread = np.std(made, axis=0) if rounds > 1 else np.zeros(mean.shape)
        return np.where(hidden, mean, heights), np.where(hidden, spread, 0.0)

    def _refined(self, heights: Floats, hidden: NDArray[np.bool_], rounds: int) -> tuple[Floats, Floats]:
        """Return the biharmonic fill with the network's addition, the mean over all turns of the window.

        The spread is that of masks grown by up to ``rounds - 1`` pixels (two at most) and of the turns.
        """
        made, between = self._added(heights, hidden)
        others = [made]
        for grown in range(1, min(rounds, 3)):
            mask = ndimage.binary_dilation(hidden, iterations=grown)
            others.append(made if mask.all() else self._added(heights, mask)[0])
        spread = np.sqrt(np.var(others, axis=0) + between**2) if rounds > 1 else np.zeros(made.shape)
        return np.where(hidden, made, heights), np.where(hidden, spread, 0.0)

    def _added(self, heights: Floats, hidden: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return the filled ground and what the eight turns of the window disagree by."""
        size = self.sizes.net_size
        side = -(-max(heights.shape) // size) * size
        widths = [((side - n) // 2, side - n - (side - n) // 2) for n in heights.shape]
        square, masked = (np.pad(a, widths, mode="edge") for a in (np.where(hidden, 0.0, heights), hidden))
        if masked.all():
            masked = np.pad(hidden, widths)
        base = bounded(biharmonic, heights, hidden)
        patch = mixed_patch(square, masked, size, base if base.shape == square.shape else None)
        with torch.inference_mode():
            x = torch.from_numpy(patch.channels[None]).to(self.device)
            turned = straightened(self.generator(symmetries(x))[1] - symmetries(x[:, :1]))
        changes = turned[:, 0, 0].double().cpu().numpy() * patch.scale
        # Within a block of the rim, the ground is known: what is added fades out there.
        ramp = np.minimum(ndimage.distance_transform_edt(hidden) * size / side, 1.0)
        corner = tuple(
            slice(before, before + n) for (before, _), n in zip(widths, heights.shape, strict=True)
        )
        mean, spread = (_widen(a, side)[corner] * ramp for a in (changes.mean(0), changes.std(0)))
        return base + mean, spread

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
        patch = masked_patch(np.where(blocks, 0.0, average), blocks)
        with torch.inference_mode():
            x = torch.from_numpy(patch.channels[None]).to(self.device)
            answer = self.generator(x)[1][0, 0].double().cpu().numpy()
        result = np.rot90(np.where(masked, _widen(patch.metres(answer), side), square), -turns)
        corner = tuple(slice(before, before + n) for before, n in pads)
        return np.asarray(result[corner])


def _widen(values: Floats, side: int) -> Floats:
    """Bring a square to `side` pixels by linear interpolation."""
    axis = (np.arange(side) + 0.5) * values.shape[0] / side - 0.5
    return np.asarray(
        ndimage.map_coordinates(values, np.meshgrid(axis, axis, indexing="ij"), order=1, mode="nearest")
    )
