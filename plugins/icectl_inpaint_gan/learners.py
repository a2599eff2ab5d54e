"""What is minimised in either step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from icectl.tasks.bed.dataset import Pixels
from icectl.tasks.bed.fill.inputs import channel_count
from icectl.training import Context, Learner
from icectl_inpaint_gan.networks import Discriminator, Generator
from icectl_inpaint_gan.thickness import ThicknessEnsemble

Batch = Mapping[str, Tensor]

EVEN = 0.02
"""Added to a fill's mean square error, in units of the patch's variance, where errors are made relative."""

GATE_GAIN = 3.0
"""How much faster than the rest a refiner's few linear weights learn."""


def build_generator(options: Any) -> Generator:
    """Return the generator that training options describe."""
    return Generator(
        channel_count(options.begin),
        options.width,
        fine=options.fine,
        residual=options.begin == "fill",
        size=options.net_size,
    )


def build_ensemble(options: Any, channels: int) -> ThicknessEnsemble:
    """Return the thickness networks that training options describe."""
    return ThicknessEnsemble(channels, options.thickness_width, options.members)


class InpaintPart:
    """Step (a): heights by reconstruction and, unless its weight is 0, an adversary.

    The reconstruction error is over hidden ground of both stages; the paper's code takes it over the whole
    image, where known pixels are copied and add nothing but a constant.
    """

    def __init__(self, options: Any) -> None:
        self.options = options
        self.generator = build_generator(options)
        self.critic: Discriminator | None = None
        parts: dict[str, nn.Module] = {"generator": self.generator}
        if options.gan_weight > 0:
            self.critic = Discriminator(2, options.critic_width, _layers(options.net_size))
            parts["discriminator"] = self.critic
        self.parts = parts

    def configure(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return Adam (β 0.5, 0.999; the paper's code), or AdamW for a fill's residual."""
        return {name: self._optimizer(part) for name, part in self.parts.items()}

    def _optimizer(self, part: nn.Module) -> torch.optim.Optimizer:
        rate = self.options.lr
        if self.options.begin == "flat":
            return torch.optim.Adam(part.parameters(), lr=rate, betas=(0.5, 0.999))
        # A gradient of rounding errors alone must not move a weight by a whole step: hence the large eps.
        gate = [p for name, p in part.named_parameters() if ".gate." in name]
        rest = [p for name, p in part.named_parameters() if ".gate." not in name]
        groups: list[dict[str, Any]] = [{"params": rest}]
        if gate:
            groups.append({"params": gate, "lr": GATE_GAIN * rate, "weight_decay": 0.0})
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), eps=1e-5, weight_decay=5e-2)

    def schedule(self, optimizers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Warm up and fall as a cosine for residuals; constant for the paper's networks."""
        if self.options.begin == "flat":
            return {}
        total = self.options.updates

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(1, total // 20))
            return float(warm) * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / total)))))

        return {"generator": torch.optim.lr_scheduler.LambdaLR(optimizers["generator"], factor)}

    def update(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Let the discriminator learn, then the generator."""
        x, y, valid = batch["x"], batch["y"], batch["valid"]
        first, second = self.generator(x)
        logs: dict[str, Tensor] = {}
        if self.critic is not None:
            loss = self._judge(self.critic, y, second.detach(), x, context)
            context.backward(loss)
            context.step("discriminator")
            logs["discriminator"] = loss.detach()
        loss = context.mean(self._error(second, y, x, valid), valid)
        if self.generator.fine is not None:
            loss = loss + context.mean(self._error(first, y, x, valid), valid)
        logs["reconstruction"] = loss.detach()
        if self.critic is not None:
            self.critic.requires_grad_(False)  # only the generator learns from its own mistakes
            fake = self.critic(torch.cat([second, x[:, -1:]], 1))
            self.critic.requires_grad_(True)
            adversary = -fake if self.options.gan_loss == "hinge" else F.softplus(-fake)
            loss = loss + self.options.gan_weight * context.mean(adversary)
        context.backward(loss)
        context.step("generator")
        return {**logs, "inpaint": loss.detach()}

    def _error(self, made: Tensor, y: Tensor, x: Tensor, valid: Tensor) -> Tensor:
        """Return the error of each pixel; beside a fill, in units of what the fill is off in that patch.

        Else the few patches whose holes hold a summit would be all that is learnt from.
        """
        error = (made - y) ** 2 if self.options.reconstruction == "l2" else (made - y).abs()
        if self.options.begin == "flat":
            return error
        off = ((x[:, :1] - y) ** 2 * valid).sum((1, 2, 3), keepdim=True)
        off = off / valid.sum((1, 2, 3), keepdim=True).clamp(min=1) + EVEN
        return error / (off if self.options.reconstruction == "l2" else off.sqrt())

    def _judge(
        self, critic: Discriminator, real: Tensor, fake: Tensor, x: Tensor, context: Context
    ) -> Tensor:
        """Return the discriminator's loss: hinge, or the minimax of the slides as cross-entropy."""
        mask = x[:, -1:]
        both = critic(torch.cat([torch.cat([real, mask], 1), torch.cat([fake, mask], 1)]))
        yes, no = both.chunk(2)
        if self.options.gan_loss == "hinge":
            return context.mean(F.relu(1 - yes)) + context.mean(F.relu(1 + no))
        return context.mean(F.softplus(-yes)) + context.mean(F.softplus(no))

    def validate(self, batches: Iterable[Batch], context: Context) -> Mapping[str, float]:
        """Return the RMSE (m) in the hole, the start's own, and the ratio that is minimised.

        Beside a fill that is the ratio of errors relative to each patch (see `_error`): in metres, a few
        rugged places would decide.
        """
        sums = torch.zeros(5, dtype=torch.float64)
        for batch in batches:
            x, y, valid = batch["x"], batch["y"], batch["valid"]
            made = self.generator(x)[1]
            metres2 = (batch["scale"] ** 2)[:, :, None, None] * valid
            for i, answer in enumerate((made, x[:, :1])):
                sums[i] += ((answer - y) ** 2 * metres2).sum().cpu().double()
                sums[3 + i] += (self._error(answer, y, x, valid) * valid).sum().cpu().double()
            sums[2] += valid.sum().cpu().double()
        names = ("made", "start", "", "made_error", "start_error")
        values = {name: sums[i] / sums[2] for i, name in enumerate(names) if name}
        mean = context.average([(values, float(sums[2]))] if sums[2] > 0 else [])
        made_, start = mean.get("made", float("nan")) ** 0.5, mean.get("start", float("nan")) ** 0.5
        loss = made_ / max(start, 1e-9)
        if self.options.begin == "fill":
            power = 0.5 if self.options.reconstruction == "l2" else 1.0
            loss = (mean.get("made_error", float("nan")) / max(mean.get("start_error", 0.0), 1e-9)) ** power
        return {"rmse": made_, "start_rmse": start, "loss": loss}

    def images(self, batches: Iterable[Batch], context: Context) -> Mapping[str, Tensor]:
        """Return the truth, the masked patch and the fill of the first test patches, side by side."""
        batch = next(iter(batches), None)
        if batch is None:
            return {}
        made = self.generator(batch["x"])[1]
        rows = []
        for i in range(min(3, made.shape[0])):
            truth, hidden = batch["y"][i, 0], batch["x"][i, -1] > 0.5
            low, high = truth.min(), truth.max()
            planes = [truth, torch.where(hidden, low, truth), made[i, 0]]
            rows.append(
                torch.cat([((p - low) / (high - low).clamp(min=1e-6)).clamp(0, 1) for p in planes], 1)
            )
        return {"truth, masked, filled": torch.cat(rows, 0)[None].float().cpu()}

    def describe(self) -> dict[str, Any]:
        """Return what is needed to build the generator again."""
        return {"inpaint": {k: getattr(self.options, k) for k in ("width", "fine", "net_size", "begin")}}


class BedLearner(Learner):
    """Both steps in one training: they share no weight, and each ends after its own number of updates."""

    def __init__(self, options: Any, pixels: Pixels | None, seed: int) -> None:
        self.options = options
        self.inpaint = InpaintPart(options) if options.step != "thickness" else None
        self.depth = None if pixels is None else ThicknessPart(options, pixels, seed)
        parts: dict[str, nn.Module] = dict(self.inpaint.parts) if self.inpaint else {}
        if self.depth is not None:
            parts["thickness"] = self.depth.ensemble
        self.modules = nn.ModuleDict(parts)

    @property
    def updates(self) -> int:
        """Updates until both steps have had theirs."""
        own = [int(self.options.updates)] if self.inpaint is not None else []
        return max(own + ([int(self.options.thickness_updates)] if self.depth is not None else []))

    def configure(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return the optimisers of both steps."""
        found = [part.configure() for part in (self.inpaint, self.depth) if part is not None]
        return {name: one for each in found for name, one in each.items()}

    def schedule(self, optimizers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schedules of both steps."""
        found = [part.schedule(optimizers) for part in (self.inpaint, self.depth) if part is not None]
        return {name: one for each in found for name, one in each.items()}

    def update(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Let each step learn that has updates left."""
        logs: dict[str, Tensor] = {}
        if self.inpaint is not None and context.step_number < self.options.updates:
            logs.update(self.inpaint.update(batch, context))
        if self.depth is not None and context.step_number < self.options.thickness_updates:
            logs.update(self.depth.update(batch, context))
        return logs

    def validate(self, batches: Iterable[Batch], context: Context) -> Mapping[str, float]:
        """Return the scores of step (a); none is the best before step (b) has ended."""
        if self.inpaint is None:
            return {}
        scores = dict(self.inpaint.validate(batches, context))
        if self.depth is not None and context.step_number < self.options.thickness_updates:
            scores["loss"] = float("nan")
        return scores

    def images(self, batches: Iterable[Batch], context: Context) -> Mapping[str, Tensor]:
        """Return fills of test patches."""
        return {} if self.inpaint is None else self.inpaint.images(batches, context)

    def describe(self) -> dict[str, Any]:
        """Return what is needed to build the networks again."""
        found = [part.describe() for part in (self.inpaint, self.depth) if part is not None]
        return {name: one for each in found for name, one in each.items()}


def _layers(size: int) -> int:
    """Return how many halvings a discriminator of patches of that size makes (6 for 256)."""
    return max(3, min(6, int(np.log2(size)) - 2))


class ThicknessPart:
    """Step (b): each member learns from some 70 % of the glaciers; the others tell how far off it is."""

    def __init__(self, options: Any, pixels: Pixels, seed: int) -> None:
        self.options, self.pixels = options, pixels
        features = [pixels.features(i)[0] for i in range(len(pixels))]
        self.ensemble = build_ensemble(options, features[0].shape[0])
        rng = np.random.default_rng([seed, 60])
        self.seen = rng.random((len(pixels), options.members)) < 0.7
        self.weights = glacier_weights(pixels.kinds, options.modelled_weight)
        part = [f[:, rng.integers(0, f.shape[1], 100)] for f in features]
        self.ensemble.standardise(torch.from_numpy(np.concatenate(part, axis=1).T))

    def configure(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return AdamW over all members."""
        rate = self.options.thickness_lr
        return {"thickness": torch.optim.AdamW(self.ensemble.parameters(), lr=rate, weight_decay=1e-2)}

    def schedule(self, optimizers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Let the learning rate fall as a cosine."""
        total = self.options.thickness_updates

        def factor(step: int) -> float:
            return 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / total))))

        return {"thickness": torch.optim.lr_scheduler.LambdaLR(optimizers["thickness"], factor)}

    def update(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Take one gradient step of all members at once."""
        noise = 0.2 * context.noise(*batch["features"].shape[1:])
        made = self.ensemble(batch["features"], batch["prior"], noise)
        scale = batch["prior"].mean(-1, keepdim=True) + 10.0
        error = F.smooth_l1_loss(
            made / scale, batch["depth"].expand_as(made) / scale, reduction="none", beta=0.5
        )
        seen = torch.from_numpy(self.seen[batch["glacier"][:, 0].long().cpu().numpy()])
        loss = context.mean(error, (seen.to(error)[:, :, None]).expand_as(error))
        context.backward(loss)
        context.step("thickness")
        return {"thickness": loss.detach()}

    def describe(self) -> dict[str, Any]:
        """Return what is needed to build the networks again and to state their error."""
        return {
            "thickness": {
                "width": self.options.thickness_width,
                "members": self.options.members,
                "channels": self.ensemble.channels,
                "kind": answer_kind(self.pixels.kinds),
                **self.unseen(),
            }
        }

    def unseen(self) -> dict[str, float]:
        """Return the errors on glaciers by the members that have not seen them.

        `volume_error` is the spread of ln(predicted / known mean thickness), `pixel_error` that of a pixel's
        thickness over its prediction, once the glacier's mean is right.
        """
        means, locals_ = [], []
        kind = answer_kind(self.pixels.kinds)
        device = next(self.ensemble.parameters()).device
        for i in range(len(self.pixels)):
            if self.pixels.kinds[i] != kind or self.seen[i].all():
                continue
            x, y, prior = self.pixels.features(i)
            with torch.no_grad():
                made = self.ensemble(
                    torch.from_numpy(x[None]).to(device), torch.from_numpy(prior[None, None]).to(device)
                )
            answer = made[0].float().cpu().numpy()[~self.seen[i]].mean(0)
            means.append(float(np.log((answer.mean() + 1.0) / (y.mean() + 1.0))))
            scaled = answer * y.mean() / max(answer.mean(), 1e-6)
            locals_.append(float(np.sqrt(np.mean((scaled - y) ** 2)) / max(y.mean(), 1e-6)))
        if len(means) < 3:
            return {"volume_error": 0.3, "pixel_error": 0.4, "unseen": float(len(means))}
        return {
            "volume_error": float(np.sqrt(np.mean(np.square(means)))),
            "pixel_error": float(np.median(locals_)),
            "unseen": float(len(means)),
        }


def answer_kind(kinds: list[str]) -> str:
    """Return the kind of truth whose flag is set in predictions: the best there is to learn from."""
    return next((k for k in ("measured", "synthetic", "modelled") if k in kinds), "measured")


def glacier_weights(kinds: list[str], modelled: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the chance of drawing each glacier: measured ones alike, all others together `modelled` of
    those.
    """
    measured = np.array([k == "measured" for k in kinds])
    if not measured.any() or measured.all():
        return np.full(len(kinds), 1.0 / len(kinds))
    other = modelled * measured.sum() / (~measured).sum()
    weight = np.where(measured, 1.0, other)
    return np.asarray(weight / weight.sum())
