"""Shapes of holes to train with: boxes, brush strokes, real glaciers.

Every shape is drawn from a generator that is handed in, on a square of `size` pixels; True is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from icectl.arrays import I64, Bools


def box(rng: np.random.Generator, size: int, side: int) -> Bools:
    """Return a box of about `side` pixels (each side shrunk by up to an eighth) at a random place."""
    height, width = (int(side - rng.integers(0, side // 8 + 1)) for _ in range(2))
    top = int(rng.integers(0, max(1, size - height + 1)))
    left = int(rng.integers(0, max(1, size - width + 1)))
    out = np.zeros((size, size), dtype=bool)
    out[top : top + height, left : left + width] = True
    return out


def centred_box(size: int, side: int) -> Bools:
    """Return the box of `side` pixels in the middle: the hole that scores are made on."""
    out = np.zeros((size, size), dtype=bool)
    start = (size - side) // 2
    out[start : start + side, start : start + side] = True
    return out


def brush(rng: np.random.Generator, size: int) -> Bools:
    """Return one to three free strokes of 4 to 12 turns, as wide as 12 to 40 pixels of 256.

    The strokes of Yu et al. (2019), in the widths that Maffezzoli 2023 trains with.
    """
    out = np.zeros((size, size), dtype=bool)
    for _ in range(int(rng.integers(1, 4))):
        width = max(2.0, float(rng.uniform(12, 40)) * size / 256)
        length = size * float(rng.uniform(0.05, 0.18))
        points = _walk(rng, size, int(rng.integers(4, 13)), length)
        trace = np.ones((size, size), dtype=bool)
        inside = ((points >= 0) & (points < size)).all(1)
        trace[tuple(points[inside].T)] = False
        if inside.any():
            out |= ndimage.distance_transform_edt(trace) <= width / 2
    return out


def _walk(rng: np.random.Generator, size: int, turns: int, length: float) -> I64:
    """Return the pixels along a line of `turns` straight parts whose direction swings."""
    at = rng.uniform(0, size, 2)
    angle = rng.uniform(0, 2 * np.pi)
    parts = []
    for turn in range(turns):
        angle += rng.uniform(0.2, 1.2) * (1 if turn % 2 else -1)
        step = length * rng.uniform(0.5, 1.5)
        along = np.linspace(0, step, max(2, int(step) * 2))[:, None]
        parts.append(at + along * np.array([np.sin(angle), np.cos(angle)]))
        at = parts[-1][-1]
    return np.round(np.concatenate(parts)).astype(np.int64)


class Shapes:
    """Silhouettes of real glaciers, each a boolean array no larger than its glacier."""

    def __init__(self, silhouettes: Sequence[Bools]) -> None:
        self.silhouettes = [s for s in silhouettes if s.any()]

    def draw(self, rng: np.random.Generator, size: int, side: int) -> Bools:
        """Return one silhouette, turned, mirrored and scaled to cover about ``side²`` pixels."""
        shape = self.silhouettes[int(rng.integers(len(self.silhouettes)))]
        shape = np.rot90(shape, int(rng.integers(4)))
        if rng.integers(2):
            shape = shape[:, ::-1]
        zoom = min(side / np.sqrt(shape.sum()), 0.9 * size / max(shape.shape))
        scaled = ndimage.zoom(shape.astype(np.float32), zoom, order=1) > 0.5
        out = np.zeros((size, size), dtype=bool)
        rows, cols = scaled.shape
        top = int(rng.integers(0, max(1, size - rows + 1)))
        left = int(rng.integers(0, max(1, size - cols + 1)))
        part = scaled[:size, :size]
        out[top : top + part.shape[0], left : left + part.shape[1]] = part
        return out

    def save(self, path: Path) -> None:
        """Write the silhouettes as one compressed NumPy archive."""
        named: dict[str, Any] = {f"s{i}": s for i, s in enumerate(self.silhouettes)}
        np.savez_compressed(path, **named)

    @classmethod
    def load(cls, path: Path) -> Shapes:
        """Read what `save` wrote; a missing file holds no silhouette."""
        if not path.is_file():
            return cls([])
        with np.load(path, allow_pickle=False) as archive:
            return cls([archive[name] for name in archive.files])


def silhouettes(ice: Bools, least: int = 60, most: int = 300) -> list[Bools]:
    """Return the connected pieces of `ice` with at least `least` pixels and at most `most` of them."""
    labels, _ = ndimage.label(ice)
    found = []
    for number, part in enumerate(ndimage.find_objects(labels), start=1):
        piece = labels[part] == number
        if piece.sum() >= least:
            found.append(piece)
        if len(found) >= most:
            break
    return found


def draw(rng: np.random.Generator, kinds: Sequence[str], size: int, side: int, shapes: Shapes) -> Bools:
    """Return one mask of a kind drawn from `kinds`; without silhouettes a glacier becomes a stroke."""
    kind = kinds[int(rng.integers(len(kinds)))]
    if kind == "glacier" and shapes.silhouettes:
        made = shapes.draw(rng, size, side)
    elif kind == "box":
        made = box(rng, size, side)
    else:
        made = brush(rng, size)
    return made if made.any() and not made.all() else box(rng, size, side)
