"""LSTM layers over vectors, with and without peephole connections.

Source: Hochreiter and Schmidhuber 1997; peepholes as in Gers, Schraudolph and Schmidhuber 2002 (JMLR 3,
section 2.2): one weight a unit from the cell state to each gate, diagonal, no connection across units.
"""

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""Hidden and cell states of all layers, each (layers, N, hidden)."""


class PeepholeCell(nn.Module):
    """One LSTM cell of equation 2 of Müller 2023 with diagonal peepholes.

    The input and forget gates see the old cell state, the output gate the new one.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, 4 * hidden)
        self.from_hidden = nn.Linear(hidden, 4 * hidden)
        self.peep = nn.Parameter(torch.zeros(3, hidden))

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Advance one step: `x` (N, inputs), `h` and `c` (N, hidden)."""
        i, f, g, o = (self.from_input(x) + self.from_hidden(h)).chunk(4, dim=-1)
        i, f = torch.sigmoid(i + self.peep[0] * c), torch.sigmoid(f + self.peep[1] * c)
        c = f * c + i * torch.tanh(g)
        return torch.sigmoid(o + self.peep[2] * c) * torch.tanh(c), c


class PeepholeLSTM(nn.Module):
    """Stacked peephole cells with the interface of `torch.nn.LSTM(batch_first=True)`."""

    def __init__(self, inputs: int, hidden: int, layers: int, dropout: nn.Module) -> None:
        super().__init__()
        self.dropout = dropout
        self.hidden = hidden
        self.cells = nn.ModuleList(PeepholeCell(inputs if k == 0 else hidden, hidden) for k in range(layers))

    def forward(self, sequence: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run `sequence` (N, T, inputs); returns the last layer's (N, T, hidden) and the final states."""
        layers = len(self.cells)
        zero = sequence.new_zeros(layers, sequence.shape[0], self.hidden)
        h, c = ([*part.unbind(0)] for part in (state or (zero, zero)))
        outputs = []
        for x in sequence.unbind(1):
            for k, cell in enumerate(self.cells):
                h[k], c[k] = cell(self.dropout(x) if k else x, h[k], c[k])
                x = h[k]
            outputs.append(x)
        return torch.stack(outputs, dim=1), (torch.stack(h), torch.stack(c))


class PlainLSTM(nn.Module):
    """Stacked plain cells (`torch.nn.LSTM`), with dropout between layers drawn by a module of ours."""

    def __init__(self, inputs: int, hidden: int, layers: int, dropout: nn.Module) -> None:
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleList(
            nn.LSTM(inputs if k == 0 else hidden, hidden, batch_first=True) for k in range(layers)
        )

    def forward(self, sequence: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run `sequence` (N, T, inputs); returns the last layer's (N, T, hidden) and the final states."""
        h, c = [], []
        for k, layer in enumerate(self.layers):
            start = None if state is None else (state[0][k : k + 1], state[1][k : k + 1])
            sequence, (hk, ck) = layer(self.dropout(sequence) if k else sequence, start)
            h.append(hk)
            c.append(ck)
        return sequence, (torch.cat(h), torch.cat(c))


def lstm(inputs: int, hidden: int, layers: int, peepholes: bool, dropout: nn.Module) -> nn.Module:
    """Return stacked LSTM layers, with or without peepholes, of one interface."""
    kind = PeepholeLSTM if peepholes else PlainLSTM
    return kind(inputs, hidden, layers, dropout)
