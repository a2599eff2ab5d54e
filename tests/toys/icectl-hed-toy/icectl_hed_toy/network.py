"""Holistically nested edge detection: every level answers, and their answers are weighed."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from icectl.tasks.front.model import FrontModel, Ports


class HED(nn.Module):
    """Layers of an image to logits; `ports` says how many layers come in and go out."""

    def __init__(self, ports: Ports, width: int) -> None:
        super().__init__()
        widths = [ports.bands, width, 2 * width, 4 * width]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.ReLU())
            for a, b in itertools.pairwise(widths)
        )
        self.sides = nn.ModuleList(nn.Conv2d(b, ports.outputs, 1) for b in widths[1:])
        self.fuse = nn.Conv2d(ports.outputs * len(self.sides), ports.outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of front edge and ice mask (B, outputs, H, W) for layers (B, bands, H, W)."""
        size, found = x.shape[-2:], []
        for depth, (level, side) in enumerate(zip(self.levels, self.sides, strict=True)):
            x = level(max_pool2d(x, 2) if depth else x)
            found.append(interpolate(side(x), size=size, mode="bilinear", align_corners=False))
        return self.fuse(torch.cat(found, dim=1))


class Model(FrontModel):
    """The front task with this network."""

    def network(self, ports, options):
        """Build the network that `options` ask for."""
        return HED(ports, options.width)
