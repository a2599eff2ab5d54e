"""CALFIN's own network: DeepLabV3+ with an Xception-65-like encoder (Cheng et al. 2021).

The layout of the authors' training script: ELU everywhere, no stem, entry blocks of 128, 256 and
728 channels, eight middle blocks, an exit without pooling; an atrous pyramid of five rates, a
1×1 and a pooling branch; two separable convolutions in the decoder. 29,316,387 parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SepConv(nn.Module):
    """Depthwise 3×3 and pointwise 1×1, each with batch normalisation.

    With `inner` the activation follows each of the two (pyramid and decoder); without, one
    activation comes first (encoder).
    """

    def __init__(
        self, inside: int, outside: int, stride: int = 1, rate: int = 1, inner: bool = False
    ) -> None:
        super().__init__()
        self.inner = inner
        self.depth = nn.Conv2d(inside, inside, 3, stride, rate, dilation=rate, groups=inside, bias=False)
        self.depth_norm = nn.BatchNorm2d(inside, eps=1e-3)
        self.point = nn.Conv2d(inside, outside, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(outside, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, outside, rows/stride, columns/stride)."""
        if not self.inner:
            return self.point_norm(self.point(self.depth_norm(self.depth(functional.elu(x)))))  # type: ignore[no-any-return]
        return functional.elu(self.point_norm(self.point(functional.elu(self.depth_norm(self.depth(x))))))


def pointwise(inside: int, outside: int) -> nn.Sequential:
    """1×1 convolution, normalisation, ELU."""
    return nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside), nn.ELU())


class XceptionBlock(nn.Module):
    """Three separable convolutions beside a convolution, the input itself, or nothing."""

    def __init__(
        self,
        inside: int,
        widths: tuple[int, int, int],
        shortcut: str,
        stride: int = 1,
        rates: tuple[int, ...] = (1, 1, 1),
    ) -> None:
        super().__init__()
        sizes = (inside, *widths)
        strides = (1, 1, stride)
        self.body = nn.ModuleList(SepConv(sizes[i], sizes[i + 1], strides[i], rates[i]) for i in range(3))
        self.kind = shortcut
        self.shortcut: nn.Module = nn.Identity()
        if shortcut == "conv":
            project = nn.Conv2d(inside, widths[-1], 1, stride, bias=False)
            self.shortcut = nn.Sequential(project, nn.BatchNorm2d(widths[-1], eps=1e-3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output, and its features after the second convolution."""
        second = self.body[1](self.body[0](x))
        out = self.body[2](second)
        return (out if self.kind == "none" else out + self.shortcut(x)), second


class CalfinPyramid(nn.Module):
    """Max-pooled, 1×1 and five atrous branches, joined to 256 channels."""

    def __init__(
        self, inside: int = 2048, width: int = 256, rates: tuple[int, ...] = (1, 2, 3, 4, 5)
    ) -> None:
        super().__init__()
        self.pooled = pointwise(inside, width)
        self.plain = pointwise(inside, width)
        self.atrous = nn.ModuleList(SepConv(inside, width, rate=rate, inner=True) for rate in rates)
        self.join = nn.Sequential(pointwise(width * (len(rates) + 2), width), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 256, rows, columns)."""
        pooled = _resize(self.pooled(functional.max_pool2d(x, 2)), x)
        return self.join(torch.cat([pooled, self.plain(x), *(a(x) for a in self.atrous)], 1))  # type: ignore[no-any-return]


class Calfin(nn.Module):
    """Edge and mask logits from (batch, bands, rows, columns); sides divisible by 16."""

    def __init__(self, bands: int = 3, outputs: int = 2) -> None:
        super().__init__()
        self.entry = nn.ModuleList(
            XceptionBlock(a, (b, b, b), "conv", 2) for a, b in ((bands, 128), (128, 256), (256, 728))
        )
        self.middle = nn.ModuleList(XceptionBlock(728, (728, 728, 728), "sum") for _ in range(8))
        self.exit = nn.ModuleList(
            [
                XceptionBlock(728, (728, 1024, 1024), "conv", 2),
                XceptionBlock(1024, (1536, 1536, 2048), "none", rates=(1, 2, 4)),
            ]
        )
        self.pyramid = CalfinPyramid()
        self.skip = pointwise(728, 48)
        self.decoder = nn.Sequential(SepConv(304, 256, inner=True), SepConv(256, 256, inner=True))
        self.head = nn.Conv2d(256, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, outputs, rows, columns) logits."""
        size, skip = x, x
        for block in (*self.entry, *self.middle, *self.exit):
            x, second = block(x)
            skip = second if block is self.entry[2] else skip
        deep = _resize(self.pyramid(x), skip)
        return _resize(self.head(self.decoder(torch.cat([deep, self.skip(skip)], 1))), size)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    """Resize bilinearly, corners aligned as the authors' does."""
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)
