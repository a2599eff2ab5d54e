"""DeepLabV3+ with an Xception encoder in CALFIN's own layout (Cheng et al. 2021), and a small one.

The layout of the authors' training script: ELU everywhere, no stem, entry blocks of 128, 256 and
728 channels, eight middle blocks, an exit without pooling; an atrous pyramid of five rates, a
1×1 and a pooling branch; two separable convolutions in the decoder. 29,316,387 parameters. The small
one has fewer channels and middle blocks, and normalises within an image instead of over the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Callable[[int], nn.Module]


def by_batch(channels: int) -> nn.Module:
    """Normalise over the batch, as published."""
    return nn.BatchNorm2d(channels, eps=1e-3)


def by_image(channels: int) -> nn.Module:
    """Normalise within an image, so that one process equals two and batches may be small."""
    return nn.GroupNorm(max(1, min(8, channels // 4)), channels)


@dataclass(frozen=True, slots=True)
class Layout:
    """Channels of entry blocks; number of middle blocks; channels of exit blocks, pyramid and skip."""

    entry: tuple[int, int, int] = (128, 256, 728)
    middle: int = 8
    exit: tuple[tuple[int, int, int], tuple[int, int, int]] = ((728, 1024, 1024), (1536, 1536, 2048))
    pyramid: int = 256
    skip: int = 48
    norm: Norm = by_batch


CALFIN = Layout()
SMALL = Layout((24, 48, 96), 3, ((96, 128, 128), (160, 160, 192)), 64, 24, by_image)


class SepConv(nn.Module):
    """Depthwise 3×3 and pointwise 1×1, each with batch normalisation.

    With `inner` the activation follows each of the two (pyramid and decoder); without, one
    activation comes first (encoder).
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        stride: int = 1,
        rate: int = 1,
        inner: bool = False,
        norm: Norm = by_batch,
    ) -> None:
        super().__init__()
        self.inner = inner
        self.depth = nn.Conv2d(inside, inside, 3, stride, rate, dilation=rate, groups=inside, bias=False)
        self.depth_norm = norm(inside)
        self.point = nn.Conv2d(inside, outside, 1, bias=False)
        self.point_norm = norm(outside)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, outside, rows/stride, columns/stride)."""
        if not self.inner:
            return self.point_norm(self.point(self.depth_norm(self.depth(functional.elu(x)))))  # type: ignore[no-any-return]
        return functional.elu(self.point_norm(self.point(functional.elu(self.depth_norm(self.depth(x))))))


def pointwise(inside: int, outside: int, norm: Norm = by_batch) -> nn.Sequential:
    """1×1 convolution, normalisation, ELU."""
    layer = nn.BatchNorm2d(outside) if norm is by_batch else norm(outside)
    return nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), layer, nn.ELU())


class XceptionBlock(nn.Module):
    """Three separable convolutions beside a convolution, the input itself, or nothing."""

    def __init__(
        self,
        inside: int,
        widths: tuple[int, int, int],
        shortcut: str,
        stride: int = 1,
        rates: tuple[int, ...] = (1, 1, 1),
        norm: Norm = by_batch,
    ) -> None:
        super().__init__()
        sizes = (inside, *widths)
        strides = (1, 1, stride)
        self.body = nn.ModuleList(
            SepConv(sizes[i], sizes[i + 1], strides[i], rates[i], norm=norm) for i in range(3)
        )
        self.kind = shortcut
        self.shortcut: nn.Module = nn.Identity()
        if shortcut == "conv":
            project = nn.Conv2d(inside, widths[-1], 1, stride, bias=False)
            self.shortcut = nn.Sequential(project, norm(widths[-1]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output, and its features after the second convolution."""
        second = self.body[1](self.body[0](x))
        out = self.body[2](second)
        return (out if self.kind == "none" else out + self.shortcut(x)), second


class Pyramid(nn.Module):
    """Max-pooled, 1×1 and atrous branches, joined to `width` channels."""

    def __init__(self, inside: int, width: int, rates: Sequence[int], norm: Norm = by_batch) -> None:
        super().__init__()
        self.pooled = pointwise(inside, width, norm)
        self.plain = pointwise(inside, width, norm)
        self.atrous = nn.ModuleList(
            SepConv(inside, width, rate=rate, inner=True, norm=norm) for rate in rates
        )
        self.join = nn.Sequential(pointwise(width * (len(rates) + 2), width, norm), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, width, rows, columns)."""
        pooled = _resize(self.pooled(functional.max_pool2d(x, 2)), x)
        return self.join(torch.cat([pooled, self.plain(x), *(a(x) for a in self.atrous)], 1))  # type: ignore[no-any-return]


class Calfin(nn.Module):
    """Edge and mask logits from (batch, bands, rows, columns); sides divisible by 32.

    `bands` and `outputs`: channels in and out; `layout`: channels and depth; `rates`: of the atrous
    pyramid.
    """

    def __init__(
        self,
        bands: int = 3,
        outputs: int = 2,
        layout: Layout = CALFIN,
        rates: Sequence[int] = (1, 2, 3, 4, 5),
    ) -> None:
        super().__init__()
        norm, inside = layout.norm, layout.entry[-1]
        pairs = zip((bands, *layout.entry[:-1]), layout.entry, strict=True)
        self.entry = nn.ModuleList(XceptionBlock(a, (b, b, b), "conv", 2, norm=norm) for a, b in pairs)
        self.middle = nn.ModuleList(
            XceptionBlock(inside, (inside,) * 3, "sum", norm=norm) for _ in range(layout.middle)
        )
        first, last = layout.exit
        self.exit = nn.ModuleList(
            [
                XceptionBlock(inside, first, "conv", 2, norm=norm),
                XceptionBlock(first[-1], last, "none", rates=(1, 2, 4), norm=norm),
            ]
        )
        width = layout.pyramid
        self.pyramid = Pyramid(last[-1], width, rates, norm)
        self.skip = pointwise(inside, layout.skip, norm)
        self.decoder = nn.Sequential(
            SepConv(width + layout.skip, width, inner=True, norm=norm),
            SepConv(width, width, inner=True, norm=norm),
        )
        self.head = nn.Conv2d(width, outputs, 1)

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
