"""A residual U-Net with an atrous pyramid at its bottom, for two cores, and a plain one to compare with."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def _norm(channels: int) -> nn.GroupNorm:
    """Normalise by image, so that one process equals two whatever the batch."""
    return nn.GroupNorm(min(8, channels // 4), channels)


def conv(inside: int, outside: int, kernel: int = 3, stride: int = 1, rate: int = 1) -> nn.Sequential:
    """Convolution, normalisation, activation."""
    pad = rate * (kernel - 1) // 2
    layer = nn.Conv2d(inside, outside, kernel, stride, pad, dilation=rate, bias=False)
    return nn.Sequential(layer, _norm(outside), nn.SiLU(inplace=True))


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inside, outside, stride=stride),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            _norm(outside),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), _norm(outside))

    def forward(self, x: Tensor) -> Tensor:
        """Return activation(body + shortcut)."""
        return functional.silu(self.body(x) + self.shortcut(x))


class Pyramid(nn.Module):
    """Atrous pyramid: 1×1, 3×3 at each rate, and the image mean."""

    def __init__(self, channels: int, rates: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [conv(channels, channels // 2, 1), *(conv(channels, channels // 2, rate=r) for r in rates)]
        )
        self.mean = nn.Conv2d(channels, channels // 2, 1)
        self.join = nn.Sequential(conv(channels // 2 * (len(rates) + 2), channels, 1), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        mean = self.mean(x.mean((-2, -1), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return self.join(torch.cat([*(branch(x) for branch in self.branches), mean], 1))  # type: ignore[no-any-return]


class ResidualUNet(nn.Module):
    """Edge and mask logits at full size from (batch, bands, rows, columns).

    All features are at half the image's size or less; the head puts 2×2 pixels of each output
    into the channels of one position (sub-pixel convolution), which costs a CPU a third of what
    a decoder at full size does.

    `bands`: input layers; `widths`: channels at strides 2, 4, 8, 16, 32; `rates`: atrous rates at the last
    stride.
    """

    def __init__(
        self,
        bands: int = 3,
        widths: Sequence[int] = (16, 32, 64, 96, 128),
        rates: Sequence[int] = (1, 2, 3),
        dropout: float = 0.1,
        outputs: int = 2,
    ) -> None:
        super().__init__()
        self.stem = conv(bands, widths[0], 5, 2)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Sequential(Block(a, b, 2), Block(b, b)) for a, b in pairs)
        self.pyramid = Pyramid(widths[-1], rates, dropout)
        self.up = nn.ModuleList(conv(a + b, a) for a, b in reversed(pairs))
        self.head = nn.Conv2d(widths[0], 4 * outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, outputs, rows, columns) logits; rows and columns are even."""
        features = [self.stem(x)]
        for stage in self.down:
            features.append(stage(features[-1]))
        deep = self.pyramid(features.pop())
        for stage in self.up:
            skip = features.pop()
            wide = functional.interpolate(deep, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            deep = stage(torch.cat([wide, skip], 1))
        return functional.pixel_shuffle(self.head(deep), 2)


def double(inside: int, outside: int) -> nn.Sequential:
    """Two 3×3 convolutions with batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """A plain U-Net (Ronneberger et al. 2015): edge and mask logits from (batch, bands, rows, columns).

    Sides are divisible by 2**depth.

    `width`: channels at full size; they double at every level. `depth`: levels below the first.
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
