"""Simpler yet better video prediction: frames encoded apart, translated together, decoded apart."""

import torch
from torch import Tensor, nn

from icectl.tasks.snow.model import Ports, SnowModel


class Inception(nn.Module):
    """Kernels of several sizes side by side, in groups, with a path around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernels = nn.ModuleList(
            nn.Conv2d(channels, channels, k, padding=k // 2, groups=4) for k in (3, 5, 7)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) for (B, C, H, W)."""
        return x + sum(nn.functional.silu(kernel(x)) for kernel in self.kernels)


class SimVP(nn.Module):
    """Past frames to future frames; `ports` says how many, of how many channels."""

    def __init__(self, ports: Ports, width: int) -> None:
        super().__init__()
        self.head = ports.head
        joined = 4 * width
        self.encode = nn.Sequential(nn.Conv2d(ports.inputs, width, 3, padding=1), nn.SiLU())
        self.translate = nn.Sequential(
            nn.Conv2d(ports.past * width, joined, 1), Inception(joined), Inception(joined), ports.dropout
        )
        self.decode = nn.Sequential(
            nn.Conv2d(joined + width + ports.guides, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, ports.head.channels, 1),
        )

    def forward(self, past: Tensor, guide: Tensor) -> Tensor:
        """Return (B, F, H, W) for `past` (B, P, C, H, W) and `guide` (B, F, G, H, W)."""
        frames = self.encode(past.flatten(0, 1)).unflatten(0, past.shape[:2])
        hidden = self.translate(frames.flatten(1, 2))
        made = []
        for k in range(guide.shape[1]):
            raw = self.decode(torch.cat([hidden, frames[:, -1], guide[:, k]], dim=1))
            made.append(self.head(raw, guide[:, k]))
        return torch.stack(made, dim=1)


class Model(SnowModel):
    """The snow task with this network."""

    def network(self, ports, options):
        """Build the network that `options` ask for."""
        return SimVP(ports, options.width)
