"""How SVG learns: ℓ2 + β·KL + ℓ2 around the peak, and optional terms (Min et al. 2019, section 3).

Parts of the loss return errors per sample, ``(n,)``; the learner averages them.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from icectl.tasks.flow.options import AHEAD
from icectl.training import Context, Learner, cosine_rate
from icectl_svg import SVGTrain
from icectl_svg.selection import told, unit
from icectl_svg.svg import SVG, Passed

PEAK_RADIUS = 12
"""Pixels around a peak that the peak's term looks at; the paper does not state them."""

BEGIN = 400
"""Batches at most that the explicit weights are fitted on."""

MARGIN = 0.01
"""Correlation by which training has to better the fitted weights before it is kept: few dates validate."""

WARM_UP = 0.1
"""Share of the updates over which the learning rate rises."""


class SVGLearner(Learner):
    """One Adam over all parts is the reference's five: Adam treats each weight by itself."""

    modules: nn.ModuleDict

    def __init__(self, network: SVG, options: SVGTrain, facts: Mapping[str, Any]) -> None:
        self.modules = nn.ModuleDict({"svg": network})
        if options.adversarial > 0:
            self.modules["critic"] = Critic(network.sizes.bands)
        self.network, self.margin = network, MARGIN
        self.options, self.facts = options, {**facts, "kept": "svg"}

    def configure(self) -> Mapping[str, Optimizer]:
        """Return Adam (Kingma and Ba 2015) for the network, and one for the critic if there is one."""
        found: dict[str, Optimizer] = {
            "main": torch.optim.Adam(self.modules["svg"].parameters(), lr=self.options.lr)
        }
        if "critic" in self.modules:
            critic = self.modules["critic"].parameters()
            found["critic"] = torch.optim.Adam(critic, lr=self.options.lr / 4, betas=(0.5, 0.999))
        return found

    def schedule(self, optimizers: Mapping[str, Optimizer]) -> Mapping[str, LRScheduler]:
        """Return a warm-up followed by half a cosine, or nothing for a constant rate."""
        if not self.options.fixed.cosine:
            return {}
        total = int(self.facts["updates"])
        warm = max(1, round(WARM_UP * total))
        return {"main": LambdaLR(optimizers["main"], lambda step: cosine_rate(step, total, warm, warm, 0.02))}

    def begin(self, batches: Iterable[Mapping[str, Tensor]]) -> bool:
        """Fit the explicit weights of past frames; training can only add to them."""
        if self.network.selection is None:
            return False
        found = []
        for batch in itertools.islice(batches, BEGIN):
            frames, past = batch["frames"], batch["frames"].shape[1] - AHEAD
            lags = batch["days"][:, -1:] - batch["days"][:, :past]
            truth = unit(frames[:, :past]) @ unit(frames[:, -1:]).transpose(1, 2)
            found.append((*told(frames[:, :past], lags, batch["cloud"][:, :past]), truth[..., 0]))
        *facts, correlations = (torch.cat(one) for one in zip(*found, strict=True))
        self.network.selection.fit((facts[0], facts[1], facts[2]), correlations)
        self.margin = 0.0
        return True

    def run(self, batch: Mapping[str, Tensor], context: Context) -> tuple[Passed, Tensor]:
        """Pass over a batch; return what was made and the frames it stands for."""
        o, frames = self.options, batch["frames"]
        teach, past = o.fixed.teach, frames.shape[1] - AHEAD
        passed: Passed = self.modules["svg"](
            frames, batch["days"], past, context.noise, teach=teach, every=teach,
            latent=o.fixed.future_latent, cloud=batch["cloud"],
        )  # fmt: skip
        return passed, frames[:, list(passed.steps)]

    def losses(self, passed: Passed, truth: Tensor, context: Context) -> dict[str, Tensor]:
        """Return every part of the loss and their weighted sum, averaged over the global batch."""
        o, made = self.options, passed.frames
        parts = {
            "l2": context.mean(squared(made, truth)),
            "kl": context.mean(passed.divergence),
            "one minus correlation": context.mean(decorrelation(made, truth)),
        }
        total = o.fixed.l2_weight * parts["l2"] + o.beta * parts["kl"]
        total = total + o.fixed.correlation_weight * parts["one minus correlation"]
        if o.peak_weight > 0:
            parts["peak"] = context.mean(around_peak(made, truth, PEAK_RADIUS))
            total = total + o.peak_weight * parts["peak"]
        return {"loss": total, **parts}

    def update(self, batch: Mapping[str, Tensor], context: Context) -> Mapping[str, Tensor]:
        """Take one step of the network, and one of the critic if there is one."""
        passed, truth = self.run(batch, context)
        losses = self.losses(passed, truth, context)
        total = losses["loss"]
        if "critic" in self.modules:
            for weight in self.modules["critic"].parameters():
                weight.requires_grad_(False)
            total = total - self.options.adversarial * context.mean(self.modules["critic"](passed.frames))
            for weight in self.modules["critic"].parameters():
                weight.requires_grad_(True)
        context.backward(total)
        context.step("main")
        if "critic" in self.modules:
            losses["critic"] = self._judge(passed.frames.detach(), truth, context)
        return losses

    def _judge(self, made: Tensor, truth: Tensor, context: Context) -> Tensor:
        """Take one step of the critic by the hinge loss."""
        critic = self.modules["critic"]
        real, false = context.mean((1 - critic(truth)).relu()), context.mean((1 + critic(made)).relu())
        context.backward(real + false)
        context.step("critic")
        return real + false

    def validate(self, batches: Iterable[Mapping[str, Tensor]], context: Context) -> Mapping[str, float]:
        """Generate from past frames alone, with the prior's mean, and correlate with t2.

        ``score`` is the mean correlation at t2; ``loss`` is 1 − score, and `MARGIN` more after training.
        """
        network = self.network

        def parts() -> Iterable[tuple[Mapping[str, Tensor], float]]:
            for batch in batches:
                frames, past = batch["frames"], batch["frames"].shape[1] - AHEAD
                made = network.generate(
                    frames[:, :past], batch["days"], silent(frames), batch["cloud"][:, :past]
                )
                loss = decorrelation(made[:, -1:], frames[:, -1:]).mean()
                yield {"loss": loss + margin, "score": 1 - loss}, float(len(frames))

        margin, self.margin = self.margin, MARGIN
        return context.average(parts())

    def describe(self) -> dict[str, Any]:
        """Return what predicting needs to know."""
        return self.facts

    def images(self, batches: Iterable[Mapping[str, Tensor]], context: Context) -> Mapping[str, Tensor]:
        """Return, for one validation window: t0, the forecast of t2, and t2."""
        batch = next(iter(batches))
        frames, past = batch["frames"][:1], batch["frames"].shape[1] - AHEAD
        made = self.network.generate(
            frames[:, :past], batch["days"][:1], silent(frames), batch["cloud"][:1, :past]
        )
        row = torch.cat([frames[0, past - 1, 0], made[0, -1, 0], frames[0, -1, 0]], dim=1)
        return {"t0, forecast of t2, t2": ((row - row.min()) / (row.max() - row.min() + 1e-6))[None]}


def silent(like: Tensor) -> Any:
    """Return noise that is zero: the latent is then the prior's mean."""
    return lambda latent: like.new_zeros(like.shape[0], latent)


def squared(made: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of frames ``(n, steps, bands, rows, cols)``, summed over steps."""
    return ((made - truth) ** 2).mean((2, 3, 4)).sum(1)


def peak_mask(truth: Tensor, radius: int) -> Tensor:
    """Disc of `radius` pixels around the brightest place of each frame: 1 inside, 0 outside.

    The place is the maximum of the frame smoothed over 5×5 pixels, so that one speckle is no peak
    (Min et al. 2019 name the area but not how its centre is found).
    """
    frames = truth.flatten(0, 1).mean(1, keepdim=True)
    smooth = F.avg_pool2d(frames, 5, 1, 2, count_include_pad=False)
    rows, cols = frames.shape[-2:]
    y, x = torch.unravel_index(smooth.flatten(1).argmax(1), (rows, cols))
    ys = torch.arange(rows, device=truth.device)[None, :, None] - y[:, None, None]
    xs = torch.arange(cols, device=truth.device)[None, None] - x[:, None, None]
    disc = (ys**2 + xs**2 <= radius**2).to(truth.dtype)
    result: Tensor = disc.reshape(*truth.shape[:2], 1, rows, cols)
    return result


def around_peak(made: Tensor, truth: Tensor, radius: int) -> Tensor:
    """Mean squared error inside the disc around each frame's peak, summed over steps: ``(n,)``."""
    disc = peak_mask(truth, radius)
    inside = ((made - truth) ** 2 * disc).sum((2, 3, 4))
    return (inside / (disc.sum((2, 3, 4)) * made.shape[2])).sum(1)


def decorrelation(made: Tensor, truth: Tensor) -> Tensor:
    """1 − correlation of each frame, averaged over bands and summed over steps: ``(n,)``."""
    a, b = (x.flatten(3) - x.flatten(3).mean(3, keepdim=True) for x in (made, truth))
    score = (a * b).sum(3) / (a.norm(dim=3) * b.norm(dim=3) + 1e-3)
    result: Tensor = (1 - score).mean(2).sum(1)
    return result


class Critic(nn.Module):
    """Patch discriminator: does a frame look real at each place? Spectral norms, no batch statistics."""

    def __init__(self, bands: int, width: int = 16) -> None:
        super().__init__()
        widths = (bands, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [
                nn.utils.parametrizations.spectral_norm(nn.Conv2d(before, after, 4, 2, 1)),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, frames: Tensor) -> Tensor:
        """Return a score for each frame ``(n, steps, bands, rows, cols)``: ``(n,)``."""
        scores: Tensor = self.layers(frames.flatten(0, 1)).mean((1, 2, 3))
        return scores.reshape(frames.shape[:2]).mean(1)
