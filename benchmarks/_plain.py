"""One training step of each network in plain PyTorch: what a user would write without icectl.

The networks and the formulas of their losses are the plugins' own; batches, gradients, clipping, optimisers
and the running mean of weights are torch's. `CASES` builds both sides for one size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Samples = list[dict[str, Tensor]]
SNOW = {"lstm": "LSTMModel", "convlstm": "ConvLSTMModel", "unet": "UNetModel", "salstm": "SALSTMModel"}


@dataclass
class Case:
    """Both sides at one size: icectl's learner, and a function that takes one plain step on a batch."""

    learner: Any
    plain: Callable[[dict[str, Tensor]], None]
    samples: Samples
    clip: dict[str, float] = field(default_factory=dict)


def options_of(package: str, **more: Any) -> Any:
    """Return the options of ``train`` of a plugin, at its preset for two cores."""
    return import_module(package).plugin.stages["train"](preset="small", **more)


def snow(package: str, model: str, batch: int, size: int) -> Case:
    """Build lstm, convlstm, unet or salstm: masked squared error, AdamW, clipped gradients."""
    from icectl.tasks.snow.train import CLIP, SnowLearner

    options = options_of(package, batch_size=batch, patch=size)
    model_of = getattr(import_module(f"{package}.network"), model)()
    torch.manual_seed(0)
    learner = SnowLearner(model_of.build(options, {}), options, {"updates": 10_000})
    network = model_of.build(options, {}).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=options.weight_decay)

    def plain(x: dict[str, Tensor]) -> None:
        predicted = network(x["past"], x["season"], x["phase"])
        errors = torch.where(x["valid"], (predicted - x["future"]) ** 2, 0.0)
        (errors.sum() / x["valid"].sum()).backward()
        nn.utils.clip_grad_value_(network.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()

    def sample(_: int) -> dict[str, Tensor]:
        frames = torch.rand(8, size, size)
        valid = torch.rand(4, size, size) > 0.2
        season, phase = torch.arange(4), torch.arange(4) / 4
        return {"past": frames[:4], "future": frames[4:], "valid": valid, "season": season, "phase": phase}

    return Case(learner, plain, [sample(i) for i in range(4 * batch)], {"clip_value": CLIP})


def svg(batch: int, size: int) -> Case:
    """Build svg: squared error, divergence and correlation, one Adam."""
    from icectl_svg.learner import SVGLearner, decorrelation, squared
    from icectl_svg.network import sizes
    from icectl_svg.svg import SVG

    o = options_of("icectl_svg", batch_size=batch)
    torch.manual_seed(0)
    learner = SVGLearner(SVG(sizes(o, size)), o, {"updates": 10_000})
    network = SVG(sizes(o, size)).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=o.lr)
    fixed = o.fixed
    mode = {"teach": fixed.teach, "every": fixed.teach, "latent": fixed.future_latent}

    def plain(x: dict[str, Tensor]) -> None:
        frames = x["frames"]
        passed = network(frames, x["days"], o.past, lambda z: torch.randn(len(frames), z), **mode)
        truth = frames[:, list(passed.steps)]
        loss = fixed.l2_weight * squared(passed.frames, truth) + o.beta * passed.divergence
        (loss + fixed.correlation_weight * decorrelation(passed.frames, truth)).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    days = 16.0 * torch.arange(o.past + 2)
    cloud = torch.zeros(o.past + 2)
    samples = [
        {"frames": torch.rand(o.past + 2, 1, size, size), "days": days, "cloud": cloud}
        for _ in range(4 * batch)
    ]
    return Case(learner, plain, samples)


def front(batch: int, size: int) -> Case:
    """Build front-unet: its loss, AdamW, a running mean of the weights."""
    from icectl.tasks.front.network.learner import FrontLearner, front_loss
    from icectl.tasks.front.train import CLIP
    from icectl_front_unet.model import FrontUNet

    o = options_of("icectl_front_unet", batch_size=batch, crop=(size, size))
    torch.manual_seed(0)
    learner = FrontLearner(FrontUNet().build(o, {}), o, {})
    network = FrontUNet().build(o, {}).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=o.lr, weight_decay=o.weight_decay)
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(o.average), use_buffers=True)

    def plain(x: dict[str, Tensor]) -> None:
        front_loss(network(x["x"]), x["y"], o.edge_share)["loss"].mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        mean.update_parameters(network)

    samples = [{"x": torch.rand(3, size, size), "y": torch.ones(4, size, size)} for _ in range(4 * batch)]
    return Case(learner, plain, samples, {"clip_norm": CLIP})


def gan(batch: int, size: int) -> Case:
    """Build inpaint-gan's step (a): a critic's hinge loss, then reconstruction and the critic's verdict."""
    from icectl.tasks.bed.fill.inputs import CHANNELS
    from icectl_inpaint_gan.learner import GanLearner
    from icectl_inpaint_gan.networks import Generator

    o = options_of("icectl_inpaint_gan", step="inpaint", batch_size=batch, net_size=size, updates=10_000)
    torch.manual_seed(0)

    def fresh() -> GanLearner:
        return GanLearner(Generator(CHANNELS, o.width, residual=True, size=size), o, {})

    learner, part = fresh(), fresh()
    generator, critic, steps = part.network.train(), part.critic.train(), part.configure()

    def step(loss: Tensor, network: nn.Module, name: str) -> None:
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        steps[name].step()
        steps[name].zero_grad()

    def plain(x: dict[str, Tensor]) -> None:
        mask, (first, made) = x["x"][:, -1:], generator.both(x["x"])
        both = [torch.cat([part, mask], 1) for part in (x["y"], made.detach())]
        yes, no = critic(torch.cat(both)).chunk(2)
        step(F.relu(1 - yes).mean() + F.relu(1 + no).mean(), critic, "discriminator")
        error = sum((((one - x["y"]) ** 2) * x["valid"]).sum() for one in (first, made)) / x["valid"].sum()
        critic.requires_grad_(False)
        verdict = -critic(torch.cat([made, mask], 1)).mean()
        critic.requires_grad_(True)
        step(error + o.gan_weight * verdict, generator, "generator")

    def sample(_: int) -> dict[str, Tensor]:
        hole = (torch.rand(1, size, size) > 0.7).float()
        x = torch.cat([torch.randn(CHANNELS - 1, size, size), hole])
        return {"x": x, "y": torch.randn(1, size, size), "valid": hole}

    return Case(learner, plain, [sample(i) for i in range(4 * batch)], {"clip_norm": 1.0})


def cases() -> Iterator[tuple[str, Callable[[int, int], Case], tuple[tuple[int, int], ...]]]:
    """Yield each network, what builds it, and its sizes (batch, side)."""
    for name, model in SNOW.items():
        yield name, partial(snow, f"icectl_{name}", model), ((8, 50), (16, 50), (32, 50))
    yield "svg", svg, ((4, 64), (8, 64), (16, 64))
    yield "front-unet", front, ((4, 128), (8, 128), (16, 128))
    yield "inpaint-gan", gan, ((8, 32), (16, 32), (32, 32))
