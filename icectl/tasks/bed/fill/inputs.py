"""What the network of step (a) sees: heights with holes. Nothing below a mask has a part in it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from icectl.arrays import F32, F64, Bools, Floats
from icectl.tasks.bed.fill.smooth import biharmonic, bounded

Begin = Literal["flat", "fill"]
"""What stands in a hole before the network: the mean height (the paper's), or the biharmonic fill."""

CHANNELS = 4
"""Heights, their slopes along x and y, and the mask (1 = hidden)."""

SLOPE_GAIN = 8.0
"""Brings slopes of normalised heights, per pixel, to about one."""


@dataclass(frozen=True, slots=True)
class Masked:
    """One masked patch: channels ``(c, y, x)``, and what turns normalised heights back into metres."""

    channels: F32
    level: float
    scale: float

    def metres(self, normal: Floats) -> F64:
        """Return heights in metres."""
        return np.asarray(normal, dtype=np.float64) * self.scale + self.level


def masked_patch(
    heights: Floats,
    hidden: Bools,
    size: int | None = None,
    begin: Begin = "flat",
    base: F64 | None = None,
) -> Masked:
    """Return heights, slopes along x and y, and mask, averaged to `size` pixels a side.

    Heights are normalised by mean and spread of the *known* pixels; hidden ones hold the mean or the
    biharmonic fill, and slopes are those of the heights filled so: they say nothing of what is hidden.

    `heights`: ``(y, x)`` metres; values under `hidden` are not read.
    `hidden`: ``(y, x)`` True where the ground is hidden; at least one pixel must be known.
    `size`: side of the result, of which the side of `heights` is a multiple. None: no averaging.
    `begin`: what stands in the holes.
    `base`: the biharmonic fill, where it has been made already.

    >>> hidden = np.zeros((64, 64), dtype=bool)
    >>> hidden[20:40, 20:40] = True
    >>> masked_patch(np.arange(64.0 * 64).reshape(64, 64), hidden, 32, "fill").channels.shape
    (4, 32, 32)
    """
    if begin == "fill":
        known = heights[~hidden]
        filled = bounded(biharmonic, heights, hidden) if base is None else base
        level, scale = float(known.mean()), float(known.std()) + 1.0
        blocks = hidden
    else:
        heights, hidden = (heights, hidden) if size is None else thin(heights, hidden, size)
        known = heights[~hidden]
        level, scale = float(known.mean()), 4.0 * (float(known.std()) + 1.0)  # the answer is held to (−1, 1)
        filled, blocks, size = np.where(hidden, level, heights), hidden, None
    normal = (filled - level) / scale
    if size is not None:
        normal, blocks = averaged(normal, size), averaged(blocks.astype(np.float64), size) > 0
    down, right = np.gradient(normal)
    planes = [normal, right * SLOPE_GAIN, down * SLOPE_GAIN, blocks]
    return Masked(np.stack(planes).astype(np.float32), level, scale)


def averaged(plane: Floats, size: int) -> F64:
    """Average a square plane to `size` pixels a side."""
    side = plane.shape[0]
    if side % size:
        raise ValueError(f"a patch of {side} pixels cannot be averaged to {size}")
    factor = side // size
    return np.asarray(np.asarray(plane, dtype=np.float64).reshape(size, factor, size, factor).mean((1, 3)))


def thin(heights: Floats, hidden: Bools, size: int) -> tuple[F64, Bools]:
    """Average a square patch to `size` pixels; a block with any hidden pixel is hidden.

    Hidden blocks hold the mean of all their pixels: use them as targets, never as inputs.
    """
    if heights.shape[0] == size:
        return np.asarray(heights, dtype=np.float64), hidden
    return averaged(heights, size), averaged(hidden.astype(np.float64), size) > 0
