"""Training samples: layers and truths held in memory, augmented when they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.augment import Recipe, Truth, augment, sides_of, targets
from icectl.tasks.front.dataset import Entry, FrontData
from icectl.tasks.front.infer import pad_to
from icectl.tasks.front.layers import LAYERS, filled, stack
from icectl.tasks.front.lines import Line, transform
from icectl.tasks.front.views import view

MULTIPLE = 32
"""Networks here halve an image up to five times."""


class Samples:
    """Images of a data set as (layers, truth); ``sample[i]`` is not yet augmented.

    Parameters
    ----------
    data, entries
        The data set and the images to take.
    layers
        Names of input layers, in order.
    repeat
        Times that the list is gone through in one epoch.
    balance
        Repeat glaciers with few images, so that each is drawn about equally often.
    size
        Resample every image so that its longer side has so many pixels; None: as it is.
    """

    def __init__(
        self,
        data: FrontData,
        entries: Sequence[Entry],
        layers: Sequence[str] = LAYERS,
        *,
        repeat: int = 1,
        balance: bool = False,
        size: int | None = None,
    ) -> None:
        self.entries = tuple(entries)
        pick = [LAYERS.index(name) for name in layers]
        loaded = [load(data, entry, size) for entry in self.entries]
        self._layers = [layers[pick] for layers, _ in loaded]
        self._truths = [truth for _, truth in loaded]
        self._order = (
            _balanced([e.glacier for e in self.entries]) if balance else list(range(len(self.entries)))
        )
        self._order = self._order * repeat

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Truth]:
        number = self._order[index]
        return self._layers[number], self._truths[number]


def load(data: FrontData, entry: Entry, size: int | None) -> tuple[NDArray[np.float32], Truth]:
    """Return the layers and the truth of one image; those of its view if `size` is given.

    Prediction makes the layers in the same way: of the image, or of its view of that size.
    """
    image, mask = data.image(entry), data.mask(entry)
    truth = truth_of(entry, mask, data.flow)
    if size is None:
        return stack(image), truth
    small = view(filled(image), (0, 0, *entry.shape), size)
    scale = 1 / small.scale
    centre = 0.5 * scale - 0.5  # pixel centres: target = (source + ½) · scale − ½
    matrix = np.array([[scale, 0.0, centre], [0.0, scale, centre]])
    lines = tuple(transform(line, matrix) for line in truth.lines)
    sides = None if truth.sides is None else tuple(transform(side, matrix) for side in truth.sides)
    ice = None
    if mask is not None:
        columns_rows = small.image.shape[::-1]
        ice = cv2.resize(mask.astype(np.uint8), columns_rows, interpolation=cv2.INTER_NEAREST).astype(bool)
    return stack(small.image), Truth(lines, ice, sides)  # type: ignore[arg-type]


def truth_of(entry: Entry, mask: NDArray[np.bool_] | None, flow: str) -> Truth:
    """Return what is known of an image; with a known flow, a single front tells its two sides."""
    lines = entry.lines or ()
    sides = None
    if flow != "unknown" and mask is None and len(lines) == 1:
        sides = sides_of(_across(lines[0], flow), flow)
    return Truth(lines, mask, sides)


def _across(line: Line, flow: str) -> Line:
    """Return the line from left to right (or top to bottom), so that the closing rays do not cross."""
    axis = 1 if flow in ("up", "down") else 0
    return line if line[0, axis] <= line[-1, axis] else line[::-1]


def _balanced(names: Sequence[str]) -> list[int]:
    """Return indices in which every name occurs as often as the most frequent one."""
    members = {name: [i for i, n in enumerate(names) if n == name] for name in sorted(set(names))}
    most = max(len(own) for own in members.values())
    return [own[k % len(own)] for own in members.values() for k in range(most)]


class Drawer:
    """Augments a sample; a small object rather than a closure, so that it crosses processes."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __call__(self, sample: tuple[NDArray[np.float32], Truth], rng: np.random.Generator) -> dict[str, Any]:
        """Return ``x`` (bands, *size) and ``y`` (4, *size)."""
        x, y = augment(*sample, rng, self.recipe)
        return {"x": x, "y": y}


class WholeImages:
    """Images as they are, for validation: nothing drawn at random, sides padded to a multiple of 32."""

    def __init__(
        self,
        data: FrontData,
        entries: Sequence[Entry],
        layers: Sequence[str],
        width: int,
        size: int | None = None,
    ) -> None:
        self._data, self._entries, self._size, self._width = data, tuple(entries), size, width
        self._pick = [LAYERS.index(name) for name in layers]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> dict[str, NDArray[np.float32]]:
        layers, truth = load(self._data, self._entries[index], self._size)
        rows, columns = layers.shape[1:]
        y = targets(truth, np.eye(3)[:2], (rows, columns), self._width)
        shape = [-(-side // MULTIPLE) * MULTIPLE for side in (rows, columns)]
        padding = [(0, 0), *((0, want - have) for want, have in zip(shape, (rows, columns), strict=True))]
        return {"x": pad_to(layers[self._pick], shape), "y": np.pad(y, padding)}  # weight 0: does not count
