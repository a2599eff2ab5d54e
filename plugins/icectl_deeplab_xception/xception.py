"""DeepLabV3+ with an Xception encoder, from segmentation-models-pytorch and timm.

The library's own pyramid has three rates, (12, 24, 36) by default. At 224 px the deepest map is
14×14, where an off-centre tap of rate 24 or 36 never lands inside: those branches degenerate to
1×1 convolutions. The pyramid here takes any number of rates; 1 to 5 as CALFIN.
"""

from collections.abc import Sequence
from typing import cast

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.decoders.deeplabv3.decoder import (
    ASPPPooling,
    ASPPSeparableConv,
    SeparableConv2d,
)
from torch import Tensor, nn

STRIDE = 16


class AtrousPyramid(nn.Module):
    """1×1, one separable 3×3 branch a rate, and the image mean, joined to `width` channels."""

    def __init__(self, inside: int, width: int, rates: Sequence[int], dropout: float) -> None:
        super().__init__()
        plain = nn.Sequential(nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        atrous: list[nn.Module] = [ASPPSeparableConv(inside, width, rate) for rate in rates]
        self.branches = nn.ModuleList([plain, *atrous, ASPPPooling(inside, width)])
        self.project = nn.Sequential(
            nn.Conv2d(width * (len(rates) + 2), width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same rows and columns."""
        return cast(Tensor, self.project(torch.cat([branch(x) for branch in self.branches], 1)))


def deeplab(
    encoder: str,
    *,
    bands: int = 3,
    outputs: int = 2,
    rates: Sequence[int] = (1, 2, 3, 4, 5),
    dropout: float = 0.1,
) -> nn.Module:
    """Build DeepLabV3+ at output stride 16, without pretrained weights.

    `encoder`: ``"tu-xception41"``, ``"tu-xception65"`` or ``"tu-xception71"``. `bands` and `outputs`:
    channels in and out; out are logits. `rates` and `dropout`: of the atrous pyramid.

    It turns (batch, bands, rows, columns) into (batch, outputs, rows, columns), sides divisible by 16.
    """
    model = smp.DeepLabV3Plus(
        encoder, encoder_weights=None, encoder_output_stride=STRIDE, in_channels=bands, classes=outputs
    )
    inside, width = model.encoder.out_channels[-1], 256
    tail = SeparableConv2d(width, width, kernel_size=3, padding=1, bias=False)
    model.decoder.aspp = nn.Sequential(
        AtrousPyramid(inside, width, rates, dropout), tail, nn.BatchNorm2d(width), nn.ReLU()
    )
    return cast(nn.Module, model)
