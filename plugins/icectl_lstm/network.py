"""LSTM encoder and decoder of Müller 2023, section 2.2.1.

The encoder's cells read the past frames; their hidden and cell states are copied to the decoder's cells,
which write the future frames one by one from what they wrote before.
"""

import torch
from torch import Tensor, nn

from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.networks.codec import Codec, feed
from icectl.tasks.snow.networks.forecaster import Ports, codec
from icectl.tasks.snow.networks.heads import Head
from icectl.tasks.snow.networks.recurrent import lstm
from icectl_lstm import LSTMTrain


class LSTM(nn.Module):
    """Past frames to future frames.

    `head`: turns the codec's channels into a frame.
    `codec`: turns frames into vectors and back.
    `layers`: cells of the encoder, and of the decoder.
    `peepholes`: whether gates see the cell state (the paper's text) or not (the authors' code).
    `dropout`: module applied between cells.

    With patches of 50 × 50 flattened, three and three layers and no peepholes: 300,120,000 parameters.
    """

    def __init__(self, head: Head, codec: Codec, layers: int, peepholes: bool, dropout: nn.Module) -> None:
        super().__init__()
        self.head, self.codec = head, codec
        self.encoder = lstm(codec.size, codec.size, layers, peepholes, dropout)
        self.decoder = lstm(codec.size, codec.size, layers, peepholes, dropout)

    def forward(self, past: Tensor, guide: Tensor, teacher: Tensor | None = None) -> Tensor:
        """Predict (B, F, H, W) from `past` (B, P, C, H, W) and `guide` (B, F, G, H, W)."""
        vectors, kept = self.codec.encode(past)
        _, state = self.encoder(vectors)
        x, frames = vectors[:, -1], []
        for k in range(guide.shape[1]):
            output, state = self.decoder(x[:, None], state)
            frame = self.head(self.codec.decode(output[:, 0], kept, guide[:, k]), guide[:, k])
            x = self.codec.again(output[:, 0], feed(frame, teacher, k))
            frames.append(frame)
        return torch.stack(frames, dim=1)


class LSTMModel(SnowModel):
    """The snow task with this network."""

    def network(self, ports: Ports, options: LSTMTrain) -> nn.Module:
        """Build the network that `options` ask for."""
        frames = codec(ports, options.side, options.hidden)
        return LSTM(ports.head, frames, options.layers, options.preset != "reference", ports.dropout)
