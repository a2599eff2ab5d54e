"""Step (a) on glaciers larger than a window: the whole on a coarser grid first, then tiles at full detail.

In the middle of a large glacier a tile shows nothing but hidden ground. So each tile is given the coarse
answer along its border, as if it were known there, and what the rim of the glacier tells at full detail is
filled in between. Tiles overlap by half and are blended, so no border shows.
"""

from collections.abc import Callable

import numpy as np

from icectl.arrays import F32, F64, Bools
from icectl.raster import Window, predict_blended

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
