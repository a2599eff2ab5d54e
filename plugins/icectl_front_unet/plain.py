"""The slides' rival: a plain U-Net (Ronneberger et al. 2015)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def double(inside: int, outside: int) -> nn.Sequential:
    """Two 3×3 convolutions with batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """Edge and mask logits from (batch, bands, rows, columns); sides divisible by 2**depth.

    Parameters
    ----------
    width
        Channels at full size; they double at every level.
    depth
        Levels below the first.
    """

    def __init__(self, bands: int = 3, outputs: int = 2, width: int = 32, depth: int = 4) -> None:
        super().__init__()
        sizes = [width * 2**level for level in range(depth + 1)]
        self.first = double(bands, width)
        self.down = nn.ModuleList(double(a, b) for a, b in pairwise(sizes))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(list(pairwise(sizes))))
        self.join = nn.ModuleList(double(2 * a, a) for a in reversed(sizes[:-1]))
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, outputs, rows, columns) logits."""
        features = [self.first(x)]
        for level in self.down:
            features.append(level(functional.max_pool2d(features[-1], 2)))
        deep = features.pop()
        for up, join in zip(self.up, self.join, strict=True):
            deep = join(torch.cat([features.pop(), up(deep)], 1))
        return self.head(deep)  # type: ignore[no-any-return]
