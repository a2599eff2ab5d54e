"""Recurrent parts: predictor, prior and posterior, as plain or as convolutional LSTMs.

The reference code keeps vectors in LSTM cells; the paper's text says convolutional LSTM. The
convolutional ones read the encoder's 4×4 map instead of its vector.
"""

import torch
from torch import Tensor, nn

State = list[tuple[Tensor, Tensor]]


class Cells(nn.Module):
    """Linear embedding and a stack of LSTM cells over vectors ``(n, inputs)``."""

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, hidden)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))
        self.hidden = hidden

    def start(self, like: Tensor) -> State:
        """Return zero states for ``like.shape[0]`` sequences."""
        zero = like.new_zeros(like.shape[0], self.hidden)
        return [(zero, zero) for _ in self.cells]

    def forward(self, value: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one step; return the top layer's output ``(n, hidden)`` and the new state."""
        value, after = self.embed(value), []
        for cell, before in zip(self.cells, state, strict=True):
            pair = cell(value, before)
            value = pair[0]
            after.append(pair)
        return value, after


class ConvCells(nn.Module):
    """3×3 embedding and a stack of convolutional LSTM cells (Shi et al. 2015, no peepholes)."""

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.gates = nn.ModuleList(nn.Conv2d(2 * hidden, 4 * hidden, 3, padding=1) for _ in range(layers))
        self.hidden = hidden

    def start(self, like: Tensor) -> State:
        """Return zero states for maps of the shape of `like`."""
        zero = like.new_zeros(like.shape[0], self.hidden, *like.shape[-2:])
        return [(zero, zero) for _ in self.gates]

    def forward(self, value: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one step; return ``(n, hidden, rows, cols)`` and the new state."""
        value, after = self.embed(value), []
        for gates, (hidden, cell) in zip(self.gates, state, strict=True):
            i, f, o, g = gates(torch.cat([value, hidden], 1)).chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            value = o.sigmoid() * cell.tanh()
            after.append((value, cell))
        return value, after


class Predictor(nn.Module):
    """Features and latent draw to the decoder's vector in [-1, 1]."""

    def __init__(self, features: int, latent: int, out: int, hidden: int, layers: int, conv: bool) -> None:
        super().__init__()
        self.cells = (ConvCells if conv else Cells)(features + latent, hidden, layers)
        self.head = nn.Conv2d(hidden, out, 4) if conv else nn.Linear(hidden, out)

    def forward(self, features: Tensor, z: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one step: ``(n, features[, 4, 4])`` and ``(n, latent)`` to ``(n, out)``."""
        if features.dim() == 4:
            z = z[:, :, None, None].expand(-1, -1, *features.shape[-2:])
        value, state = self.cells(torch.cat([features, z], 1), state)
        return self.head(value).flatten(1).tanh(), state


class Gaussian(nn.Module):
    """Mean and log-variance of the latent, from the features seen so far."""

    def __init__(self, features: int, latent: int, hidden: int, layers: int, conv: bool) -> None:
        super().__init__()
        self.cells = (ConvCells if conv else Cells)(features, hidden, layers)
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, features: Tensor, state: State) -> tuple[tuple[Tensor, Tensor], State]:
        """Take one step; return ``(mean, log_variance)``, each ``(n, latent)``, and the state."""
        value, state = self.cells(features, state)
        pooled = value.mean((2, 3)) if value.dim() == 4 else value
        return (self.mean(pooled), self.log_variance(pooled)), state


def draw(gaussian: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """Return ``mean + deviation · noise`` (Kingma and Welling 2014)."""
    mean, log_variance = gaussian
    return mean + noise * (0.5 * log_variance).exp()


def divergence(q: tuple[Tensor, Tensor], p: tuple[Tensor, Tensor]) -> Tensor:
    """KL(q ‖ p) of diagonal Gaussians, summed over the latent: ``(n,)``."""
    (m1, v1), (m2, v2) = q, p
    return 0.5 * (v2 - v1 + (v1.exp() + (m1 - m2) ** 2) / v2.exp() - 1).sum(1)
