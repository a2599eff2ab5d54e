"""Self-attention LSTM hybrid (SA-LSTM-H) of Müller 2023, section 2.2.4.

LSTM cells read the last frames; attention looks at all of their hidden states at once; a linear layer turns
the attended states into the next frame, which joins the sequence that the cells are run over once more.
"""

import torch
from torch import Tensor, nn

from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.networks.codec import Codec, feed
from icectl.tasks.snow.networks.forecaster import Ports, codec
from icectl.tasks.snow.networks.heads import Head
from icectl.tasks.snow.networks.recurrent import lstm
from icectl_salstm import SALSTMTrain


class SelfAttention(nn.Module):
    """Multi-head self-attention over time (equation 5), with dropout that a caller can key by sample.

    It has the parameters of `torch.nn.MultiheadAttention`, whose own dropout is drawn inside a kernel.
    """

    def __init__(self, size: int, heads: int, dropout: nn.Module) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.to_qkv = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Attend: (N, T, size) to (N, T, size)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.to_qkv(x).chunk(3, -1)
        )
        weights = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, dim=-1)
        attended = (self.dropout(weights) @ v).transpose(1, 2).flatten(2)
        result: Tensor = self.out(attended)
        return result


class SALSTM(nn.Module):
    """Past frames to future frames.

    `head`: turns the codec's channels into a frame.
    `codec`: turns frames into vectors and back.
    `past`: frames in the window that is run over once more for each future frame.
    `layers`, `heads`: LSTM cells, and heads of the attention.
    `peepholes`: whether gates see the cell state (the paper's text) or not (the authors' code).
    `dropout`: module applied between cells and to the attention's weights.

    With patches of 50 × 50 flattened, three layers, five heads, no peepholes: 200,072,500 parameters.
    """

    def __init__(
        self,
        head: Head,
        codec: Codec,
        past: int,
        layers: int,
        heads: int,
        peepholes: bool,
        dropout: nn.Module,
    ) -> None:
        super().__init__()
        self.head, self.codec, self.past = head, codec, past
        self.encoder = lstm(codec.size, codec.size, layers, peepholes, dropout)
        self.attention = SelfAttention(codec.size, heads, dropout)
        self.next = nn.Linear(past * codec.size, codec.size)

    def forward(self, past: Tensor, guide: Tensor, teacher: Tensor | None = None) -> Tensor:
        """Predict (B, F, H, W) from `past` (B, P, C, H, W) and `guide` (B, F, G, H, W)."""
        window, kept = self.codec.encode(past)
        frames = []
        for k in range(guide.shape[1]):
            hidden, _ = self.encoder(window)
            vector = self.next(self.attention(hidden).flatten(1))
            frame = self.head(self.codec.decode(vector, kept, guide[:, k]), guide[:, k])
            again = self.codec.again(vector, feed(frame, teacher, k))
            window = torch.cat([window[:, 1:], again[:, None]], dim=1)
            frames.append(frame)
        return torch.stack(frames, dim=1)


class SALSTMModel(SnowModel):
    """The snow task with this network."""

    def network(self, ports: Ports, options: SALSTMTrain) -> nn.Module:
        """Build the network that `options` ask for."""
        frames = codec(ports, options.side, options.hidden)
        peepholes = options.preset != "reference"
        return SALSTM(ports.head, frames, ports.past, options.layers, options.heads, peepholes, ports.dropout)
