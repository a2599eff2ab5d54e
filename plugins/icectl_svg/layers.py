"""DCGAN encoder and decoder with skips (Denton and Fergus 2018, after Radford et al. 2016)."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def normalise(kind: str, channels: int) -> nn.Module:
    """Return batch normalisation, or group normalisation in groups of about eight channels."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(channels, max(channels // 8, 1)), channels)


def channels_of(size: int, width: int) -> tuple[int, ...]:
    """Channels of the halvings from `size` pixels to 4×4: doubling from `width` to ``8 width``."""
    halvings = int(math.log2(size)) - 2
    return tuple(width * min(2**i, 8) for i in range(halvings))


def _down(inputs: int, outputs: int, norm: str) -> nn.Sequential:
    """Halve the side: 4×4 convolution, normalisation, leaky ReLU of slope 0.2."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1), normalise(norm, outputs), nn.LeakyReLU(0.2))


def _up(inputs: int, outputs: int, norm: str) -> nn.Sequential:
    """Double the side: 4×4 transposed convolution, normalisation, leaky ReLU of slope 0.2."""
    layers = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), normalise(norm, outputs), nn.LeakyReLU(0.2)
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Chip to a vector in [-1, 1], and the feature maps of every halving.

    `bands` and `size`: channels and side of a chip; `size` is a power of two of at least 16. `out`: length
    of the vector; 0 for none. `width`: channels after the first halving; 64 in the paper's network. `norm`:
    ``"batch"`` or ``"group"``.
    """

    def __init__(self, bands: int, size: int, out: int, width: int = 64, norm: str = "batch") -> None:
        super().__init__()
        widths = channels_of(size, width)
        self.stages = nn.ModuleList(
            _down(before, after, norm) for before, after in zip((bands, *widths), widths, strict=False)
        )
        self.head: nn.Module | None = None
        if out:  # one value a channel is left: nothing for a group norm to work on
            last = nn.BatchNorm2d(out) if norm == "batch" else nn.Identity()
            self.head = nn.Sequential(nn.Conv2d(widths[-1], out, 4), last, nn.Tanh())

    def forward(self, chip: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return ``(n, out)`` and the maps of all halvings, finest first, from ``(n, bands, size, size)``."""
        maps: list[Tensor] = []
        for stage in self.stages:
            chip = stage(chip)
            maps.append(chip)
        vector = chip.new_empty(len(chip), 0) if self.head is None else self.head(chip).flatten(1)
        return vector, maps


class Decoder(nn.Module):
    """Vector and feature maps to a chip; the mirror of `Encoder`.

    The last layer has no normalisation; with `squash` its result passes a sigmoid.
    """

    def __init__(
        self, bands: int, size: int, out: int, width: int = 64, norm: str = "batch", squash: bool = True
    ) -> None:
        super().__init__()
        widths = channels_of(size, width)[::-1]
        first = nn.ConvTranspose2d(out, widths[0], 4), normalise(norm, widths[0]), nn.LeakyReLU(0.2)
        self.first = nn.Sequential(*first)
        self.stages = nn.ModuleList(
            _up(2 * before, after, norm) for before, after in itertools.pairwise(widths)
        )
        self.last = nn.ConvTranspose2d(2 * widths[-1], bands, 4, 2, 1)
        self.squash = squash

    def forward(self, vector: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Return ``(n, bands, size, size)`` from ``(n, out)`` and the encoder's maps, finest first."""
        value = self.first(vector[:, :, None, None])
        for stage, skip in zip(self.stages, reversed(maps[1:]), strict=True):
            value = stage(torch.cat([value, skip], 1))
        result: Tensor = self.last(torch.cat([value, maps[0]], 1))
        return result.sigmoid() if self.squash else result


def initialise(module: nn.Module) -> None:
    """Draw weights as the reference does: N(0, 0.02), biases 0; batch-norm gains N(1, 0.02)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(part.weight, 0.0, 0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)
