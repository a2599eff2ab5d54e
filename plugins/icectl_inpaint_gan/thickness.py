"""The network of step (b): an ensemble that corrects the thickness of a physical prior, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

START = 0.5413248546
"""softplus(START) = 1: an untrained network answers with the prior."""


class ThicknessEnsemble(nn.Module):
    """``members`` small networks of 1×1 convolutions; each gives ``prior · softplus(correction)``.

    A product of a prior that is not negative and a softplus cannot be negative, whatever the weights.
    Features are standardised by the statistics of the training pixels. What a glacier's thickness depends on
    beyond one pixel (its width, the ice that flows in from above) is in the features; with some twenty
    measured glaciers to learn from, a network that sees shapes learns the glaciers by heart.

    Parameters
    ----------
    channels
        Channels of `thickness.features.thickness_inputs`, and three that say where a
        thickness comes from (measured, modelled, synthetic).
    width, members
        Hidden units of each network, and how many there are.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, channels: int, width: int = 12, members: int = 8) -> None:
        super().__init__()
        self.members, self.channels = members, channels
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("spread", torch.ones(channels))
        # Grouped convolutions hold all members in one pass: each group of channels is one network.
        self.first = nn.Conv1d(members * channels, members * width, 1, groups=members)
        self.second = nn.Conv1d(members * width, members * width, 1, groups=members)
        self.last = nn.Conv1d(members * width, members, 1, groups=members)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias, START)

    def forward(self, features: Tensor, prior: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return thickness (m) ``(n, members, pixels)`` of ``(n, channels, pixels)`` and ``(n, 1, pixels)``.

        `noise`, of the shape of `features`, is added to the standardised features in training.
        """
        x = (features - self.mean[:, None]) / self.spread[:, None]
        x = x if noise is None else x + noise
        x = x.repeat(1, self.members, 1)
        x = F.gelu(self.first(x))
        x = F.gelu(self.second(x))
        return prior * F.softplus(self.last(x))

    def standardise(self, features: Tensor) -> None:
        """Take over mean and spread of training pixels ``(pixels, channels)``."""
        self.mean.copy_(features.mean(0))
        self.spread.copy_(features.std(0).clamp(min=1e-2))
