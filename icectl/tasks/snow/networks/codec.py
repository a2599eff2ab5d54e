"""Patches to vectors and back, for networks whose cells hold vectors.

The paper flattens a patch of 50 × 50 pixels into a vector of 2500. A network of two cores cuts the patch into
sub-patches that share all weights instead: each is a short vector that knows its surroundings.
"""

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


def feed(own: Tensor, teacher: Tensor | None, lead: int) -> Tensor:
    """Return the frame (B, H, W) fed back after lead `lead`: that of the true (B, F, H, W), if given."""
    return own if teacher is None else teacher[:, lead]


class Codec(Protocol):
    """How a network of vectors reads and writes frames; N is a multiple of B (sub-patches of one sample)."""

    size: int

    def encode(self, past: Tensor) -> tuple[Tensor, Tensor]:
        """Turn `past` (B, P, C, H, W) into vectors (N, P, size) and features kept for `decode`."""
        ...

    def decode(self, vector: Tensor, kept: Tensor, guide: Tensor) -> Tensor:
        """Turn `vector` (N, size) into raw channels (B, K, H, W), knowing `guide` (B, G, H, W)."""
        ...

    def again(self, vector: Tensor, frame: Tensor) -> Tensor:
        """Return the vector (N, size) by which a written `frame` (B, H, W) enters the network again."""
        ...


class FlatCodec(nn.Module):
    """The paper's: a patch is a vector of all its pixels."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch, self.size = patch, patch**2

    def encode(self, past: Tensor) -> tuple[Tensor, Tensor]:
        """Flatten the first channel of `past` (B, P, C, H, W)."""
        return past[:, :, 0].flatten(2), past

    def decode(self, vector: Tensor, kept: Tensor, guide: Tensor) -> Tensor:
        """Unflatten to one channel."""
        return vector.view(-1, 1, self.patch, self.patch)

    def again(self, vector: Tensor, frame: Tensor) -> Tensor:
        """Return the frame itself, flattened."""
        return frame.flatten(1)


class TokenCodec(nn.Module):
    """Sub-patches of ``side × side`` pixels become vectors by convolutions; pixels keep a path of their own.

    `inputs`, `past`, `guides`: channels of a past frame, number of past frames, channels of the guide.
    `side`: side of a sub-patch in pixels.
    `size`: length of a vector.
    `width`: channels at full resolution.
    `outputs`: channels to write (those of the head).
    """

    def __init__(
        self, inputs: int, past: int, guides: int, side: int, size: int, width: int, outputs: int
    ) -> None:
        super().__init__()
        self.side, self.size = side, size
        self.stem = nn.Sequential(_conv(inputs, width), nn.SiLU(), _conv(width, width), nn.SiLU())
        self.embed = nn.Sequential(
            nn.Conv2d(width, size, side, stride=side),
            nn.SiLU(),
            _conv(size, size),
            nn.SiLU(),
            _conv(size, size),
        )
        self.keep = nn.Conv2d(width * past, width, 1)
        self.spread = nn.Sequential(_conv(size, size), nn.SiLU(), nn.Conv2d(size, width * side**2, 1))
        joined = (
            2 * width
        )  # normalised, or the head's weights may grow until one choice has all and none learns
        self.read = nn.Sequential(
            _conv(joined + guides, joined), nn.GroupNorm(math.gcd(4, joined), joined), nn.SiLU()
        )
        self.write = _conv(joined, outputs)

    def encode(self, past: Tensor) -> tuple[Tensor, Tensor]:
        """See `Codec.encode`; the features kept are (B, width, H, W)."""
        batch, count = past.shape[:2]
        stem = self.stem(past.flatten(0, 1))
        rows, cols = stem.shape[-2:]
        padded = functional.pad(stem, (0, -cols % self.side, 0, -rows % self.side), mode="replicate")
        tokens = self.embed(padded).unflatten(0, (batch, count))
        vectors = tokens.permute(0, 3, 4, 1, 2).flatten(0, 2)
        return vectors, self.keep(stem.unflatten(0, (batch, count)).flatten(1, 2))

    def decode(self, vector: Tensor, kept: Tensor, guide: Tensor) -> Tensor:
        """See `Codec.decode`."""
        batch, _, rows, cols = kept.shape
        high, wide = -(-rows // self.side), -(-cols // self.side)
        tokens = vector.view(batch, high, wide, -1).permute(0, 3, 1, 2)
        near = functional.pixel_shuffle(self.spread(tokens), self.side)[..., :rows, :cols]
        raw: Tensor = self.write(self.read(torch.cat([near, kept, guide], dim=1)))
        return raw

    def again(self, vector: Tensor, frame: Tensor) -> Tensor:
        """Return the vector itself: what follows goes on in the space of vectors."""
        return vector


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
