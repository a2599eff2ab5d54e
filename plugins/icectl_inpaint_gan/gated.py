"""Gated convolutions and contextual attention: the parts of DeepFillv2.

Yu et al. 2019, *Free-form image inpainting with gated convolution* (ICCV), and Yu et al. 2018,
*Generative image inpainting with contextual attention* (CVPR).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GAIN = 2.3
"""Standard deviation of the weights times √fan-in that keeps the variance through a gated convolution."""


class GatedConv(nn.Module):
    """``ELU(a) · sigmoid(b)``, where one convolution gives both halves (Yu et al. 2019, eq. 3).

    Keeps the size at stride 1 and halves it at stride 2 (even sizes).
    """

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        pad = dilation * (size - 1) // 2
        self.conv = nn.Conv2d(inputs, 2 * outputs, size, stride, pad, dilation)
        # ELU and gate together leave about a fifth of the variance: seventeen layers of torch's own start
        # would hand on nothing but their biases.
        nn.init.normal_(self.conv.weight, std=GAIN / (inputs * size**2) ** 0.5)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outputs, rows, columns)``."""
        value, gate = self.conv(x).chunk(2, dim=1)
        return F.elu(value) * torch.sigmoid(gate)


class Up(nn.Module):
    """Double the size by repetition, then a gated convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = GatedConv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outputs, 2 rows, 2 columns)``."""
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled


def contextual_attention(features: Tensor, hidden: Tensor, scale: float = 10.0, rate: int = 2) -> Tensor:
    """Rebuild features from the known patches they resemble (Yu et al. 2018, section 4).

    Each 3×3 patch of the features, thinned by `rate`, is compared by cosine with every patch that is wholly
    known; the matches are spread to neighbours that move together (fused), and a softmax of them mixes the
    known patches of the full features.

    `features`: ``(n, channels, rows, columns)``, sides multiples of `rate`.
    `hidden`: ``(n, 1, rows, columns)``, 1 where the ground is not known.
    `scale`: sharpness of the softmax.

    Returns the shape of `features`. Where a sample has no known patch, its features come back unchanged.
    """
    _n, channels, rows, columns = features.shape
    small = F.interpolate(features, scale_factor=1 / rate, mode="nearest")
    shape = (rows // rate, columns // rate)
    patches = F.unfold(small, 3, padding=1)  # (n, channels·9, places)
    unit = patches / patches.norm(dim=1, keepdim=True).clamp(min=1e-4)
    likeness = _fuse(unit.transpose(1, 2) @ unit, shape)  # (n, known place, place)
    known = F.unfold(F.adaptive_max_pool2d(hidden, shape), 3, padding=1).amax(1) == 0  # (n, places)
    some = known.any(1)
    usable = (known | ~some[:, None])[:, :, None]
    weights = (scale * likeness).masked_fill(~usable, float("-inf")).softmax(dim=1)
    size = 2 * rate
    raw = F.unfold(features, size, stride=rate, padding=rate // 2)
    mixed = F.fold(raw @ weights, (rows, columns), size, stride=rate, padding=rate // 2)
    ones = features.new_ones(1, channels, rows, columns)
    count = F.fold(
        F.unfold(ones, size, stride=rate, padding=rate // 2),
        (rows, columns),
        size,
        stride=rate,
        padding=rate // 2,
    )
    return torch.where(some[:, None, None, None], mixed / count, features)


def _fuse(likeness: Tensor, shape: tuple[int, int]) -> Tensor:
    """Add each match to those of the neighbours along rows, then along columns (a 3-diagonal sum)."""
    n, places = likeness.shape[0], likeness.shape[1]
    rows, columns = shape
    eye = torch.eye(3, dtype=likeness.dtype, device=likeness.device).view(1, 1, 3, 3)
    fused = F.conv2d(likeness.view(n, 1, places, places), eye, padding=1)
    turned = fused.view(n, rows, columns, rows, columns).permute(0, 2, 1, 4, 3).reshape(n, 1, places, places)
    fused = F.conv2d(turned, eye, padding=1)
    back = fused.view(n, columns, rows, columns, rows).permute(0, 2, 1, 4, 3)
    return back.reshape(n, places, places)
