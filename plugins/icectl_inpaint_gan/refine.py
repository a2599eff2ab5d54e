"""A small residual network that mixes smooth fills: step (a) where ground to learn from is scarce."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUMBERS = slice(4, 9)
"""Channels of `icectl.tasks.bed.fill.inputs.FILL_CHANNELS` that are one number a patch."""

BOUND = 0.5
"""Most that is added, in units of what the other fills differ from the biharmonic one by, both together."""


class _Block(nn.Module):
    """Two convolutions beside a short cut; begins as the identity."""

    def __init__(self, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.dropout = nn.Dropout2d(dropout)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, width, rows, columns)``."""
        made: Tensor = x + self.second(self.dropout(F.gelu(self.first(self.norm(x)))))
        return made


class Refiner(nn.Module):
    """What to add to a biharmonic fill: shares of its differences to two other fills, and a free part.

    The shares begin at a linear function of the patch's roughness and of the hole's size (a dozen numbers to
    learn), to which a U-Net adds what the shape of the ground tells. An untrained one adds nothing. What is
    added stays within `BOUND`: where all fills agree, as on a lake, there is nothing to mend.

    Parameters
    ----------
    inputs
        Channels of `icectl.tasks.bed.fill.fill_features.mixed_patch`.
    width
        Channels at half the patch's size; twice and three times as many below.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        w = width
        self.gate = nn.Conv2d(NUMBERS.stop - NUMBERS.start, 2, 1)
        self.enter = nn.Conv2d(4 * inputs, w, 3, padding=1)
        self.high = _Block(w)
        self.down = nn.Conv2d(w, 2 * w, 2, stride=2)
        self.middle = _Block(2 * w)
        self.deeper = nn.Conv2d(2 * w, 3 * w, 2, stride=2)
        self.low = nn.Sequential(_Block(3 * w), _Block(3 * w))
        self.up = nn.Conv2d(3 * w, 2 * w, 1)
        self.middle_again = _Block(2 * w)
        self.higher = nn.Conv2d(2 * w, w, 1)
        self.high_again = nn.Sequential(_Block(w), _Block(w))
        self.leave = nn.Conv2d(w, 12, 1)
        for layer in (self.gate, self.leave):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return what to add ``(n, 1, rows, columns)`` for ``(n, inputs, rows, columns)``; sides multiples
        of 8.
        """
        high = self.high(self.enter(F.pixel_unshuffle(x, 2)))
        middle = self.middle(self.down(high))
        low = self.low(self.deeper(middle))
        middle = self.middle_again(middle + _doubled(self.up(low)))
        high = self.high_again(high + _doubled(self.higher(middle)))
        found = F.pixel_shuffle(self.leave(high), 2)
        shares = self.gate(x[:, NUMBERS]) + found[:, :2]
        free = found[:, 2:] * x[:, 3:4]  # nothing at the rim, where the ground is known
        made = (shares * x[:, 1:3]).sum(1, keepdim=True) + free
        bound = (BOUND * x[:, 1:3].abs().sum(1, keepdim=True)).clamp(min=1e-6)
        return bound * torch.tanh(made / bound)


def _doubled(x: Tensor) -> Tensor:
    made: Tensor = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return made


def symmetries(x: Tensor) -> Tensor:
    """Return the eight turned and mirrored copies of each sample, ``(8 n, …)``."""
    turned = [torch.rot90(x, k, (-2, -1)) for k in range(4)]
    return torch.cat([*turned, *(one.flip(-1) for one in turned)])


def straightened(x: Tensor) -> Tensor:
    """Undo `symmetries` and return ``(8, n, …)``."""
    each = x.chunk(8)
    return torch.stack(
        [torch.rot90(one if k < 4 else one.flip(-1), -(k % 4), (-2, -1)) for k, one in enumerate(each)]
    )
