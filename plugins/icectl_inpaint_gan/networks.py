"""The networks of step (a): a coarse and a fine generator, and a patch discriminator.

The layout is DeepFillv2's (Yu et al. 2019, figure 3), with which Maffezzoli 2023 fills elevation models.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from icectl_inpaint_gan.gated import GatedConv, Up, contextual_attention

DILATIONS = (2, 4, 8, 16)


def _middle(width: int, widest: int) -> list[nn.Module]:
    return [GatedConv(width, width, dilation=min(d, widest)) for d in DILATIONS]


def _decoder(inputs: int, width: int) -> nn.Sequential:
    """From a quarter of the size back to the whole; the last convolution is not gated."""
    w = width
    return nn.Sequential(
        GatedConv(inputs, 2 * w),
        GatedConv(2 * w, 2 * w),
        Up(2 * w, w),
        GatedConv(w, w),
        Up(w, w // 2),
        GatedConv(w // 2, w // 4),
        nn.Conv2d(w // 4, 1, 3, padding=1),
    )


class Coarse(nn.Module):
    """The first, blurred answer: a dilated encoder and decoder."""

    def __init__(self, inputs: int, width: int, widest: int = 16) -> None:
        super().__init__()
        w = width
        self.encoder = nn.Sequential(
            GatedConv(inputs, w // 2, 5),
            GatedConv(w // 2, w, stride=2),
            GatedConv(w, w),
            GatedConv(w, 2 * w, stride=2),
            GatedConv(2 * w, 2 * w),
            GatedConv(2 * w, 2 * w),
            *_middle(2 * w, widest),
        )
        self.decoder = _decoder(2 * w, w)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, 1, rows, columns)`` for ``(n, inputs, rows, columns)``; sides multiples of 4."""
        answer: Tensor = self.decoder(self.encoder(x))
        return answer


def _fine_encoder(width: int, widest_early: bool) -> list[nn.Module]:
    w = width
    fourth = 2 * w if widest_early else w
    return [
        GatedConv(1, w // 2, 5),
        GatedConv(w // 2, w // 2, stride=2),
        GatedConv(w // 2, w),
        GatedConv(w, fourth, stride=2),
        GatedConv(fourth, 2 * w),
        GatedConv(2 * w, 2 * w),
    ]


class Fine(nn.Module):
    """The second answer: a dilated branch and a branch with contextual attention, decoded together."""

    def __init__(self, width: int, widest: int = 16) -> None:
        super().__init__()
        w = width
        self.dilated = nn.Sequential(*_fine_encoder(w, False), *_middle(2 * w, widest))
        self.before = nn.Sequential(*_fine_encoder(w, True))
        self.after = nn.Sequential(GatedConv(2 * w, 2 * w), GatedConv(2 * w, 2 * w))
        self.decoder = _decoder(4 * w, w)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return ``(n, 1, rows, columns)`` for heights and mask of that shape; sides multiples of 8."""
        features = torch.relu(self.before(x))
        mask = nn.functional.adaptive_max_pool2d(hidden, features.shape[-2:])
        attended = self.after(contextual_attention(features, mask))
        answer: Tensor = self.decoder(torch.cat([self.dilated(x), attended], dim=1))
        return answer


class Generator(nn.Module):
    """Coarse, then fine, on normalised heights.

    `inputs`: channels of the input; the first holds the heights, the last the mask (1 = hidden).
    `width`: channels of the first full layer (48 in the paper: 4,046,042 parameters for 4 inputs).
    `residual`: the answer is what is to be added to the first channel, a smooth fill, and begins as
        nothing; without, it is the heights themselves, held to (−1, 1) by a hyperbolic tangent.
    `size`: side of the patches in pixels. Dilations end at a sixteenth of it (16 for the paper's 256):
        wider ones would look past the edges of the features, at zeros.
    """

    def __init__(self, inputs: int = 4, width: int = 48, *, residual: bool = False, size: int = 256) -> None:
        super().__init__()
        widest = max(1, size // 16)
        self.coarse, self.fine = Coarse(inputs, width, widest), Fine(width, widest)
        self.residual = residual
        for decoder in (self.coarse.decoder, self.fine.decoder) if residual else ():
            for parameter in decoder[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return the heights ``(n, 1, rows, columns)``, hidden pixels only replaced."""
        return self.both(x)[1]

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coarse and the fine heights."""
        start, hidden = x[:, :1], x[:, -1:]
        first = self._answer(self.coarse(x), start, hidden)
        return first, self._answer(self.fine(first, hidden), first, hidden)

    def _answer(self, raw: Tensor, start: Tensor, hidden: Tensor) -> Tensor:
        made = start + raw if self.residual else torch.tanh(raw)
        return torch.where(hidden > 0.5, made, start)


class Discriminator(nn.Module):
    """A patch discriminator with spectral norm: six 5×5 convolutions of stride 2.

    Spectral norm is a parametrisation: the stored weight is never overwritten, and the power iteration moves
    once a forward pass in training and stands still in evaluation. Its vectors depend on the weights and on
    the number of passes alone, not on the batch, so they are equal in every process, and one process
    equals two.
    """

    def __init__(self, inputs: int = 2, width: int = 64, layers: int = 6) -> None:
        super().__init__()
        widths = [inputs, *(min(width * 2**i, 4 * width) for i in range(layers))]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 5, stride=2, padding=2)) for a, b in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a patch, ``(n, scores)``."""
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), 0.2)
        return x.flatten(1)
