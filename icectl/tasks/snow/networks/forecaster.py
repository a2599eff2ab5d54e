"""The network with all that surrounds it: derived channels, and what is known of each future frame."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from icectl.tasks.snow.masks.terrain import CHANNELS
from icectl.tasks.snow.networks.codec import Codec, FlatCodec, TokenCodec
from icectl.tasks.snow.networks.heads import Head
from icectl.tasks.snow.options import THRESHOLD, TrainOptions

DROPOUT = 0.1
"""Share of units dropped in training."""

WIDTH = 8
"""Channels at full resolution of networks whose cells hold vectors."""

GUIDE_CHANNELS = {"season": 1, "linear": 1, "calendar": 2, "terrain": len(CHANNELS)}
"""Channels of each guide, and their order: references first, so that a mixed head finds them."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a network has to fit: sizes, channels, the head, and the dropout to use.

    `inputs` are the channels of a past frame, `guides` those known of each future frame.
    """

    past: int
    future: int
    patch: int
    inputs: int
    guides: int
    head: Head
    dropout: nn.Module


def ports(options: TrainOptions) -> Ports:
    """Return what a network for `options` has to fit."""
    told = set(options.guides)
    return Ports(
        past=options.past,
        future=options.future,
        patch=options.patch,
        inputs=2 if "flags" in told else 1,
        guides=sum(channels for name, channels in GUIDE_CHANNELS.items() if name in told),
        head=Head(options.head, len(told & {"season", "linear"})),
        dropout=nn.Dropout(DROPOUT),
    )


def codec(ports: Ports, side: int, size: int) -> Codec:
    """Return the paper's flat codec for ``side = 0``, else one of sub-patches of that side."""
    if side == 0:
        return FlatCodec(ports.patch)
    return TokenCodec(ports.inputs, ports.past, ports.guides, side, size, WIDTH, ports.head.channels)


class Forecaster(nn.Module):
    """Past masks to future masks.

    Parameters
    ----------
    network
        ``network(past, guide)`` as the plugins' networks are; those that feed frames back take the true ones
        as a third argument.
    options
        Options of the training.

    Notes
    -----
    The linear baseline's coefficients are a buffer, so that they are saved with the weights.
    """

    linear: Tensor

    def __init__(self, network: nn.Module, options: TrainOptions) -> None:
        super().__init__()
        self.network, self.guides = network, frozenset(options.guides)
        self.register_buffer("linear", torch.zeros(options.future, 2 * options.past + 2))

    def forward(
        self,
        past: Tensor,
        season: Tensor,
        phase: Tensor,
        terrain: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> Tensor:
        """Predict.

        Parameters
        ----------
        past
            (B, P, H, W) masks.
        season
            (B, F) integer: which past frame is of the same season as each future frame.
        phase
            (B, F): time of year of each future frame in [0, 1).
        terrain
            (B, 6, H, W) of the ground, for the guide of that name; see `icectl.tasks.snow.masks.terrain`.
        teacher
            True frames to feed back, where training does so.

        Returns
        -------
        Tensor
            (B, F, H, W)
        """
        frames, guide = self.told(past, season, phase, terrain)
        told = () if teacher is None else (teacher,)
        result: Tensor = self.network(frames, guide, *told)
        return result

    def told(
        self, past: Tensor, season: Tensor, phase: Tensor, terrain: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what the network is told: past frames (B, P, C, H, W), and the guide (B, F, G, H, W)."""
        reference = past.gather(1, season[:, :, None, None].expand(-1, -1, *past.shape[-2:]))
        return self.frames(past), self._guide(past, reference, phase, terrain)

    def frames(self, past: Tensor) -> Tensor:
        """Return the frames `past` (B, P, H, W) with the channels made of them, (B, P, C, H, W)."""
        frames = past[:, :, None]
        if "flags" in self.guides:
            frames = torch.cat([frames, (frames >= THRESHOLD).to(frames.dtype)], dim=2)
        return frames

    def _guide(self, past: Tensor, reference: Tensor, phase: Tensor, terrain: Tensor | None) -> Tensor:
        """Return what is known of each future frame, (B, F, G, H, W): references first."""
        parts = []
        if "season" in self.guides:
            parts.append(reference[:, :, None])
        if "linear" in self.guides:
            parts.append(linear_frames(past, self.linear)[:, :, None])
        if "calendar" in self.guides:
            parts.append(_calendar(phase, reference))
        if "terrain" in self.guides:
            assert terrain is not None, "the guide 'terrain' needs the ground"
            parts.append(terrain[:, None].expand(-1, reference.shape[1], -1, -1, -1))
        return torch.cat(parts, dim=2) if parts else reference[:, :, None][:, :, :0]

    def set_linear(self, coefficients: Any) -> None:
        """Take over the coefficients (F, 2P + 2) of the linear baseline."""
        self.linear.copy_(torch.as_tensor(coefficients, dtype=self.linear.dtype))


def linear_frames(past: Tensor, coefficients: Tensor) -> Tensor:
    """Return the linear baseline's frames (B, F, H, W) from `past` (B, P, H, W).

    Features in order: the past values, their snow flags, the product of the flags, one.
    """
    flags = (past >= THRESHOLD).to(past.dtype)
    every = torch.cat([past, flags, flags.prod(1, keepdim=True), torch.ones_like(past[:, :1])], dim=1)
    return torch.einsum("bkyx,fk->bfyx", every, coefficients.to(past.dtype))


def _calendar(phase: Tensor, like: Tensor) -> Tensor:
    angle = 2 * math.pi * phase
    wave = torch.stack([angle.sin(), angle.cos()], dim=2)[..., None, None]
    return wave.expand(-1, -1, -1, *like.shape[-2:]).to(like.dtype)
