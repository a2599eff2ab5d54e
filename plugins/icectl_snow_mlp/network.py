"""A perceptron that sees, of each past frame, the pixel and the means of squares around it.

Neighbouring pixels tell much of each other, so an update over whole windows is worth little more than one
over a few of their pixels. This network answers for each pixel alone, and learns from pixels drawn at random
out of many windows.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.networks.forecaster import Forecaster, Ports
from icectl.tasks.snow.networks.heads import Head
from icectl.tasks.snow.options import TrainOptions
from icectl.tasks.snow.train import SnowLearner, inputs
from icectl.training import Context
from icectl_snow_mlp import SnowMLPTrain

SIDES = (3, 7, 15, 31)
"""Sides of the squares in pixels; what of a square lies outside its window does not count."""

SQUARES = [(side // 2, 0, 0) for side in SIDES] + [
    (side // 2, y * (side // 2 + 1), x * (side // 2 + 1))
    for side in SIDES[1:]
    for y, x in ((1, 0), (-1, 0), (0, 1), (0, -1))
]
"""Half a side of each square that is read, and how far south and east of the pixel it lies."""

PIXELS, SCORED = 32, 320
"""Pixels of each window that an update learns from, and that a validation scores."""


class Perceptron(nn.Module):
    """Past frames to future frames, pixel by pixel.

    `head`: turns channels into a frame; `inputs`, `past`, `guides` and `future`: channels of a past frame,
    past frames, channels known of each future frame, future frames; `hidden`: units of both hidden layers;
    `dropout`: module applied after each.
    """

    def __init__(
        self, head: Head, inputs: int, past: int, guides: int, future: int, hidden: int, dropout: nn.Module
    ) -> None:
        super().__init__()
        self.head = head
        seen = inputs * past * (3 * len(SIDES) - 1) + guides * future
        layers: list[nn.Module] = []
        for width in (seen, hidden):
            layers += [nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.SiLU(), dropout]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, future * head.channels))

    def forward(self, past: Tensor, guide: Tensor) -> Tensor:
        """Predict (B, F, H, W) from `past` (B, P, C, H, W) and `guide` (B, F, G, H, W)."""
        size = past.shape[-2:]
        every = torch.arange(size[0] * size[1], device=past.device).expand(len(past), -1)
        made = self.at(every, past, guide.flatten(3))
        return made.reshape(*made.shape[:2], *size)

    def at(self, place: Tensor, past: Tensor, here: Tensor) -> Tensor:
        """Predict (B, F, n) for the pixels `place` (B, n), numbered row by row.

        `past`: (B, P, C, H, W); `here`: (B, F, G, n), the guide at those pixels.
        """
        frames = past.flatten(1, 2)
        own = [gather(frames, place) - 0.3, here.flatten(1, 2) - 0.3]
        seen = torch.cat([*own, surroundings(frames, place).flatten(1, 2)], dim=1)
        raw = self.layers(4 * seen.transpose(1, 2)).transpose(1, 2)
        raw = raw.reshape(here.shape[0] * here.shape[1], -1, here.shape[3])
        made: Tensor = self.head(raw, here.flatten(0, 1))
        return made.reshape(*here.shape[:2], -1)


def gather(frames: Tensor, place: Tensor) -> Tensor:
    """Return (B, C, n) of `frames` (B, C, H, W) at the pixels `place` (B, n)."""
    return frames.flatten(2).gather(2, place[:, None].expand(-1, frames.shape[1], -1))


def surroundings(frames: Tensor, place: Tensor) -> Tensor:
    """Return what lies around the pixels `place` (B, n) of `frames` (B, C, H, W), (B, K, C, n).

    For each of `SIDES` the mean of the square around the pixel and, beyond the smallest, how much more there
    is to the south than to the north and to the east than to the west, in squares half a side away.
    """
    rows, cols = frames.shape[-2:]
    sums = functional.pad(frames.cumsum(-1).cumsum(-2), (1, 0, 1, 0))  # at (y, x): of all above and left
    half, down, right = torch.tensor(SQUARES, device=place.device).T[:, :, None]
    y = ((place // cols)[:, None] + down).clamp(0, rows - 1)
    x = ((place % cols)[:, None] + right).clamp(0, cols - 1)
    ys = torch.stack([(y - half).clamp(min=0), (y + half + 1).clamp(max=rows)], dim=1)
    xs = torch.stack([(x - half).clamp(min=0), (x + half + 1).clamp(max=cols)], dim=1)
    corners = ys[:, :, None] * (cols + 1) + xs[:, None]  # (B, 2, 2, squares, n)
    at = gather(sums, corners.flatten(1)).reshape(*frames.shape[:2], *corners.shape[1:])
    area = (ys[:, 1] - ys[:, 0]) * (xs[:, 1] - xs[:, 0])
    means = (at[:, :, 1, 1] - at[:, :, 1, 0] - at[:, :, 0, 1] + at[:, :, 0, 0]) / area[:, None]
    own, away = means[:, :, : len(SIDES), None] - 0.3, means[:, :, len(SIDES) :]
    more = (away[:, :, ::2] - away[:, :, 1::2]).reshape(*own.shape[:2], -1, 2, place.shape[1])
    beyond = torch.cat([own[:, :, 1:], more], dim=3).flatten(2, 3)
    return torch.cat([own[:, :, 0], beyond], dim=2).transpose(1, 2)


class PixelLearner(SnowLearner):
    """The mean squared error over some pixels of each window, drawn anew at every update."""

    def loss(self, batch: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return the mean squared error over drawn pixels, in validation always the same."""
        forecaster, future = self.modules, batch["future"]
        assert isinstance(forecaster, Forecaster)
        assert isinstance(forecaster.network, Perceptron)
        past, season, phase, terrain = inputs(batch)
        place = (context.uniform(PIXELS if context.training else SCORED) * future[0, 0].numel()).long()
        ground = None if terrain is None else gather(terrain, place)[..., None]
        _, here = forecaster.told(gather(past, place)[..., None], season, phase, ground)
        predicted = forecaster.network.at(place, forecaster.frames(past), here[..., 0])
        errors = (predicted - gather(future, place)) ** 2
        return context.mean(errors, gather(batch["valid"], place))


class SnowMLP(SnowModel):
    """The snow task with this network."""

    def network(self, ports: Ports, options: SnowMLPTrain) -> nn.Module:
        """Build the network that `options` ask for."""
        sizes = (ports.inputs, ports.past, ports.guides, ports.future, options.hidden)
        return Perceptron(ports.head, *sizes, ports.dropout)

    def learner(self, network: nn.Module, options: TrainOptions, facts: Mapping[str, object]) -> PixelLearner:
        """Return what trains it."""
        return PixelLearner(network, options, facts)
