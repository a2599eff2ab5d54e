"""A network's forecast as a function of tensors, for other runtimes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Rollout(nn.Module):
    """``generate`` of a network with all its draws coming in as one tensor, ``(n, sum of draws)``."""

    def __init__(
        self, network: nn.Module, generate: Callable[..., Tensor], past: Tensor, days: Tensor, cloud: Tensor
    ) -> None:
        super().__init__()
        self.network, self.generate = network, generate
        self.draws: list[int] = []  # how many numbers each step asks for, in order
        generate(past, days, self._count, cloud)

    def _count(self, length: int) -> Tensor:
        self.draws.append(length)
        return torch.zeros(1, length)

    def forward(
        self, past: Tensor, days: Tensor, cloud: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Return the frames after t0, ``(n, 2, 1, size, size)``."""
        parts = iter(() if noise is None else torch.split(noise, self.draws, 1))
        return self.generate(past, days, lambda length: next(parts), cloud)
