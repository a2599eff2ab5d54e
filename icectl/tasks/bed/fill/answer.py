"""Fills in ground with a trained network, and falls back to the biharmonic fill where it does not know.

Glaciers larger than a window are filled on a coarser grid first, then in tiles at full detail. In the
middle of a large glacier a tile shows nothing but hidden ground. So each tile is given the coarse
answer along its border, as if it were known there, and what the rim of the glacier tells at full detail is
filled in between. Tiles overlap by half and are blended, so no border shows.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from icectl.arrays import F32, F64, Bools
from icectl.raster import Window, predict_blended
from icectl.tasks.bed.fill.inputs import averaged, masked_patch
from icectl.tasks.bed.fill.smooth import biharmonic, bounded, widen

BEYOND = 1.25
"""How far beyond the pixel sizes, reliefs and hole sizes trained on a network may answer (a factor)."""


class Filler:
    """A trained network of step (a).

    `network`: turns a masked patch ``(1, c, size, size)`` into normalised heights ``(1, 1, size, size)``;
    `options`: training options, as plain JSON; `facts`: ``share``, how much of what the network adds to the
    fill held on validation ground, and ``range``.
    """

    def __init__(
        self, network: nn.Module, device: torch.device, options: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> None:
        self.network, self.device = network, device
        self.size, self.begin = int(options["net_size"]), options["begin"]
        self.share, self.range = float(facts["share"]), facts.get("range", {})

    def unknown(self, heights: F64, hidden: Bools, resolution: float) -> str:
        """Return in words why a window lies beyond what was trained on, or nothing."""
        depth = 2.0 * float(ndimage.distance_transform_edt(np.pad(hidden, 1)).max())
        found = {
            "resolution": (resolution, "pixels", "m"),
            "hole": (depth, "holes", "pixels"),
            "relief": (float(np.std(heights[~hidden])), "a relief", "m"),
        }
        for name, (value, word, unit) in found.items():
            low, high = self.range.get(name, (value, value))
            if name == "hole":
                low = 0.0
            if not low / BEYOND <= value <= high * BEYOND:
                return f"{word} of {value:.0f} {unit}, trained on {low:.0f} to {high:.0f}"
        return ""

    def __call__(
        self, heights: F64, hidden: Bools, resolution: float, rounds: int = 1, seed: int = 0
    ) -> tuple[F64, F64, str]:
        """Return ground ``(y, x)`` (m) with the hidden pixels filled, its spread (m), and why it fell back.

        The spread is that of `rounds` masks, each turned and grown a little. A network that adds to a fill
        gives that fill alone outside of the range that it was trained on.
        """
        base = bounded(biharmonic, heights, hidden)
        words = self.unknown(heights, hidden, resolution) if self.begin == "fill" else ""
        if words or (self.begin == "fill" and self.share == 0.0):
            return base, np.zeros(base.shape), words
        rng = np.random.default_rng([seed, 61])
        made = [self._once(heights, hidden, base, rng, number) for number in range(rounds)]
        mean, spread = np.mean(made, axis=0), np.std(made, axis=0)
        return np.where(hidden, mean, heights), np.where(hidden, spread, 0.0), ""

    def _once(self, heights: F64, hidden: Bools, base: F64, rng: np.random.Generator, number: int) -> F64:
        mask = ndimage.binary_dilation(hidden, iterations=number) if number in (1, 2) else hidden
        mask = hidden if mask.all() else mask
        side = -(-max(heights.shape) // self.size) * self.size
        pads = [(int(rng.integers(0, side - n + 1)), n) for n in heights.shape]
        widths = [(before, side - n - before) for before, n in pads]
        turns = int(rng.integers(4)) if number else 0
        square, masked = (np.rot90(np.pad(a, widths, mode="edge"), turns) for a in (base, mask))
        if masked.all():
            masked = np.rot90(np.pad(mask, widths), turns)
        answer = np.rot90(self._answer(square, masked), -turns)
        corner = answer[tuple(slice(before, before + n) for before, n in pads)]
        if self.begin == "flat":
            return np.where(hidden, corner, heights)
        # Within a block of the rim the ground is known: what is added fades out there.
        ramp = np.minimum(ndimage.distance_transform_edt(hidden) * self.size / side, 1.0)
        return np.asarray(base + self.share * corner * ramp)

    def _answer(self, square: F64, masked: Bools) -> F64:
        """Return the heights of a window, or what is to be added to its fill."""
        factor = square.shape[0] // self.size
        filled = square if self.begin == "fill" else np.where(masked, 0.0, square)
        if (
            self.begin == "flat" and (averaged(masked.astype(np.float64), self.size) > 0).all()
        ):  # no whole block is known
            return square
        patch = masked_patch(filled, masked, self.size, self.begin, filled)
        with torch.inference_mode():
            x = torch.from_numpy(patch.channels[None]).to(self.device)
            answer = self.network(x)[0, 0].double().cpu().numpy()
        if self.begin == "fill":
            return widen((answer - patch.channels[0]) * patch.scale, square.shape, factor)
        return np.where(masked, widen(patch.metres(answer), square.shape, factor), square)


Fill = Callable[[F64, Bools], F64]

WINDOW = 512
"""Side of a tile in pixels: some 15 km at 30 m."""

BORDER = 4
"""Pixels along a tile's border where the coarse answer stands for known ground."""

BLOCK = 1024
"""Side of the blocks that are read and written; it changes no result."""


def refined(
    heights: F64,
    hidden: Bools,
    coarse: F64,
    fill: Fill,
    *,
    window: int = WINDOW,
    block: int = BLOCK,
) -> F64:
    """Return the ground ``(y, x)`` with `hidden` filled tile by tile.

    `heights`: ``(y, x)`` metres; values under `hidden` are not read.
    `hidden`: ``(y, x)`` True where the ground is hidden.
    `coarse`: ``(y, x)`` the ground as a coarser grid sees it; read under `hidden` alone.
    `fill`: fills the hidden pixels of one tile: ``fill(heights, hidden)``, both ``(window, window)``.
    `window`: side of a tile; `heights` should be larger.
    """
    start = np.where(hidden, coarse, heights)
    out = start.copy()
    level = float(start.mean())  # what is blended in float32 are heights about it

    def read(part: Window) -> F64:
        return np.stack([start[part.slices] - level, hidden[part.slices].astype(np.float64)])

    def answer(tiles: F64) -> F64:
        return np.stack([_one(tile[0] + level, tile[1] > 0, fill) - level for tile in tiles])[:, None]

    def write(values: F32, row: int, col: int) -> None:
        part = np.s_[row : row + values.shape[1], col : col + values.shape[2]]
        out[part] = np.where(hidden[part], values[0].astype(np.float64) + level, out[part])

    shape = (int(heights.shape[0]), int(heights.shape[1]))
    predict_blended(read, answer, shape, window, window // 2, block, write, batch=1)
    return out


def _one(start: F64, hidden: Bools, fill: Fill) -> F64:
    """Fill one tile, whose hidden pixels hold the coarse answer; one without known ground keeps that."""
    if not hidden.any() or hidden.all():
        return start
    inner = hidden.copy()
    inner[:BORDER], inner[-BORDER:], inner[:, :BORDER], inner[:, -BORDER:] = False, False, False, False
    return np.asarray(fill(np.where(inner, 0.0, start), inner)) if inner.any() else start
