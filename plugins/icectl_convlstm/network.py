"""Convolutional LSTM encoder and decoder (Shi et al. 2015) as Müller 2023, section 2.2.2, uses them.

Every matrix product of an LSTM cell becomes a convolution. An encoder of stacked cells reads the past
frames; the hidden sequence of its last cell is what a decoder of stacked cells reads to write the future
frames. No prediction is fed back.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.networks.forecaster import Ports
from icectl.tasks.snow.networks.heads import Head
from icectl_convlstm import ConvLSTMTrain

KERNEL = 3
"""Side of the square kernels in pixels."""

FOLD = 2
"""Side of the blocks of pixels that are one position of the small network."""


class ConvLSTMCell(nn.Module):
    """One cell of equation 4 of Müller 2023: one convolution gives all four gates.

    `inputs` and `hidden`: channels of the input and of the hidden and cell states.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(inputs + hidden, 4 * hidden, KERNEL, padding=KERNEL // 2)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Advance one step: `x` (B, inputs, H, W), state of two (B, hidden, H, W)."""
        h, c = state
        i, f, o, g = self.gates(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Stack(nn.Module):
    """Cells on top of each other, run over a sequence from zero states."""

    def __init__(self, inputs: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        self.cells = nn.ModuleList(ConvLSTMCell(a, b) for a, b in pairwise(widths))

    def forward(self, sequence: Sequence[Tensor], dropout: nn.Module) -> list[Tensor]:
        """Return the hidden states of the last cell, one for each item of `sequence`."""
        outputs = list(sequence)
        for depth, cell in enumerate(self.cells):
            batch, _, rows, cols = outputs[0].shape
            zero = outputs[0].new_zeros(batch, int(cell.hidden), rows, cols)  # type: ignore[arg-type]
            state, outputs_below, outputs = (zero, zero), outputs, []
            for x in outputs_below:
                state = cell(dropout(x) if depth else x, state)
                outputs.append(state[0])
        return outputs


class ConvLSTM(nn.Module):
    """Past frames to future frames.

    `head`: turns the channels of the last convolution into a frame.
    `inputs`: channels of a past frame (1: the mask; more where derived channels are added).
    `encoder`, `decoder`: hidden channels of the cells.
    `fold`: each block of ``fold × fold`` pixels becomes one position with ``fold²`` times the channels, as
        video models do to see further at less cost; 1 is the paper's network.
    `guides`: channels known about each future frame (references), given to the decoder.
    `dropout`: module applied between cells.

    With ``inputs=1``, 3×3 kernels, ``encoder=(64, 64, 24)`` and ``decoder=(24, 64, 24)``: 842,233 parameters.
    """

    def __init__(
        self,
        head: Head,
        inputs: int = 1,
        encoder: Sequence[int] = (64, 64, 24),
        decoder: Sequence[int] = (24, 64, 24),
        fold: int = 1,
        guides: int = 0,
        dropout: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.head, self.fold = head, fold
        self.dropout = dropout if dropout is not None else nn.Identity()
        self.encoder = Stack(inputs * fold**2, encoder)
        self.decoder = Stack(encoder[-1] + guides * fold**2, decoder)
        self.output = nn.Conv2d(decoder[-1], head.channels * fold**2, KERNEL, padding=KERNEL // 2)

    def forward(self, past: Tensor, guide: Tensor, teacher: Tensor | None = None) -> Tensor:
        """Predict.

        `past`: (B, P, C, H, W): the past frames with their derived channels. `guide`: (B, F, G, H, W): what
        is known of each future frame; G may be 0. `teacher`: not used: nothing is fed back.

        Returns (B, F, H, W).
        """
        rows, cols = past.shape[-2:]
        hidden = self.encoder([self._fold(frame) for frame in past.unbind(1)], self.dropout)
        frames = []
        inputs = [hidden[min(k, len(hidden) - 1)] for k in range(guide.shape[1])]
        if guide.shape[2]:
            inputs = [torch.cat([x, self._fold(guide[:, k])], dim=1) for k, x in enumerate(inputs)]
        for k, state in enumerate(self.decoder(inputs, self.dropout)):
            raw = functional.pixel_shuffle(self.output(state), self.fold)[..., :rows, :cols]
            frames.append(self.head(raw, guide[:, k]))
        return torch.stack(frames, dim=1)

    def _fold(self, frame: Tensor) -> Tensor:
        rows, cols = frame.shape[-2:]
        if rows % self.fold or cols % self.fold:
            frame = functional.pad(frame, (0, -cols % self.fold, 0, -rows % self.fold), mode="replicate")
        return functional.pixel_unshuffle(frame, self.fold)


class ConvLSTMModel(SnowModel):
    """The snow task with this network."""

    def network(self, ports: Ports, options: ConvLSTMTrain) -> nn.Module:
        """Build the network that `options` ask for."""
        return ConvLSTM(
            ports.head,
            ports.inputs,
            options.encoder,
            options.decoder,
            1 if options.as_published else FOLD,
            ports.guides,
            ports.dropout,
        )
