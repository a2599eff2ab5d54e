"""Padded U-Net (Ronneberger et al. 2015) with the future prediction of Müller 2023, section 2.2.3.

The paper's network turns one frame into the next and is fed its own output until all future frames are
there. With several frames of input it predicts all future frames at once instead (`fed_back=False`).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.networks.codec import feed
from icectl.tasks.snow.networks.forecaster import Ports
from icectl.tasks.snow.networks.heads import Head
from icectl_unet import UNetTrain

Norm = Callable[[int], nn.Module]


def normalisation(name: str) -> Norm:
    """Return a maker of normalisation layers: ``"batch"``, or ``"group"``, which no other sample touches."""
    if name == "batch":
        return nn.BatchNorm2d
    return lambda channels: nn.GroupNorm(min(4, channels), channels)


class Convolutions(nn.Sequential):
    """Two padded 3×3 convolutions, each with a normalisation and a ReLU."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        layers: list[nn.Module] = []
        for a in (inputs, outputs):
            layers += [nn.Conv2d(a, outputs, 3, padding=1, bias=False), norm(outputs), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class Up(nn.Module):
    """Twice the size and half the channels, joined with the frame of the same size on the way down."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.convolutions = Convolutions(2 * outputs, outputs, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Join `x` (B, 2C, h, w) and `skip` (B, C, H, W); an odd row or column is padded."""
        x = self.up(x)
        missing_rows, missing_cols = skip.shape[-2] - x.shape[-2], skip.shape[-1] - x.shape[-1]
        x = functional.pad(x, (0, missing_cols, 0, missing_rows))
        return self.convolutions(torch.cat([skip, x], dim=1))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Past frames to future frames.

    `head`: turns channels into a frame.
    `inputs`: channels of a past frame.
    `past`: past frames read at once: 1 in the paper.
    `guides`: channels known about each future frame, given beside the past frames.
    `widths`: channels of the levels.
    `norm`: maker of normalisation layers.
    `dropout`: module applied to the deepest level.

    With one channel, ``widths=(64, 128, 256, 512, 1024)`` and batch normalisation: 31,036,481 parameters.
    """

    def __init__(
        self,
        head: Head,
        inputs: int = 1,
        past: int = 1,
        future: int = 4,
        fed_back: bool = True,
        guides: int = 0,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        norm: Norm = nn.BatchNorm2d,
        dropout: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.head, self.past, self.fed_back = head, past, fed_back
        self.dropout = dropout if dropout is not None else nn.Identity()
        steps = 1 if fed_back else future
        self.first = Convolutions(inputs * past + guides * steps, widths[0], norm)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(Convolutions(a, b, norm) for a, b in pairs)
        self.up = nn.ModuleList(Up(b, a, norm) for a, b in reversed(pairs))
        self.output = nn.Conv2d(widths[0], head.channels * steps, 1)

    def forward(self, past: Tensor, guide: Tensor, teacher: Tensor | None = None) -> Tensor:
        """Predict (B, F, H, W) from `past` (B, P, C, H, W) and `guide` (B, F, G, H, W).

        The true frames `teacher` (B, F, H, W), if given, are fed in place of the network's own.
        """
        if not self.fed_back:
            raw = self._once(torch.cat([past.flatten(1, 2), guide.flatten(1, 2)], dim=1))
            raw = raw.view(raw.shape[0], guide.shape[1], self.head.channels, *raw.shape[-2:])
            return torch.stack([self.head(raw[:, k], guide[:, k]) for k in range(guide.shape[1])], dim=1)
        window, frames = list(past.unbind(1))[-self.past :], []
        for k in range(guide.shape[1]):
            raw = self._once(torch.cat([*window, guide[:, k]], dim=1))
            frames.append(self.head(raw, guide[:, k]))
            window = [*window[1:], feed(frames[-1], teacher, k)[:, None]]
        return torch.stack(frames, dim=1)

    def _once(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(functional.max_pool2d(skips[-1], 2)))
        y = self.dropout(skips.pop())
        for up in self.up:
            y = up(y, skips.pop())
        return self.output(y)  # type: ignore[no-any-return]


class UNetModel(SnowModel):
    """The snow task with this network."""

    def network(self, ports: Ports, options: UNetTrain) -> nn.Module:
        """Build the network that `options` ask for."""
        return UNet(
            ports.head,
            ports.inputs,
            1 if options.as_published else ports.past,
            ports.future,
            options.as_published,
            ports.guides,
            options.widths,
            normalisation("batch" if options.preset == "reference" else "group"),
            ports.dropout,
        )
