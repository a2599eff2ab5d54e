"""Training samples: layers and truths held in memory, augmented when they are drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.dataset import Entry, FrontData
from icectl.tasks.front.image.augment import Recipe, Truth, augment, sides_of, targets
from icectl.tasks.front.image.layers import filled, stack
from icectl.tasks.front.image.views import view
from icectl.tasks.front.image.windows import pad_to
from icectl.tasks.front.pose.frame import frame_of
from icectl.tasks.front.pose.pose import Pose, posed

MULTIPLE = 32
"""Networks here halve an image up to five times."""


class Samples:
    """Images of a data set as (layers, truth); ``sample[i]`` is not yet augmented.

    Parameters
    ----------
    data, entries
        The data set and the images to take.
    balance
        Repeat glaciers with few images, so that each is drawn about equally often.
    size
        Resample every image so that its longer side has so many pixels; None: as it is.
    """

    def __init__(
        self, data: FrontData, entries: Sequence[Entry], *, balance: bool = False, size: int | None = None
    ) -> None:
        self.entries = tuple(entries)
        self._loaded = [load(data, entry, size) for entry in self.entries]
        count = len(self.entries)
        self._order = _balanced([e.glacier for e in self.entries]) if balance else list(range(count))

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Truth]:
        return self._loaded[self._order[index]]


def load(data: FrontData, entry: Entry, size: int | None) -> tuple[NDArray[np.float32], Truth]:
    """Return layers and truth of one image in the training's pose; of its view if `size` is given.

    Prediction makes the layers in the same way: of the image turned so that ice flows up where all
    directions are known, of the image as it is else, or of its view of that size.
    """
    mask, turn = data.mask(entry), pose_of(data, entry)
    image = turn.show(data.image(entry))
    if size is not None:
        image, turn = view(filled(image), (0, 0, *image.shape), size).image, turn.resized(size)
    lines = tuple(turn.to_view(line) for line in entry.lines or ())
    ice = None if mask is None else turn.reached(mask)
    sides = None
    if data.flow != "unknown" and ice is None and len(lines) == 1:
        sides = sides_of(lines[0])  # with a known flow, a single front tells its two sides
    return stack(image), Truth(lines, ice, sides)


def pose_of(data: FrontData, entry: Entry) -> Pose:
    """Return the view of an image that is trained on: its own pixels, turned where its flow is known."""
    if data.flow == "unknown":
        return posed(entry.shape, None)
    return posed(entry.shape, frame_of(entry.place, entry.shape, entry.resolution), entry.flow or 0.0)


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
        self, data: FrontData, entries: Sequence[Entry], width: int, size: int | None = None
    ) -> None:
        self._data, self._entries, self._size, self._width = data, tuple(entries), size, width

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> dict[str, NDArray[np.float32]]:
        layers, truth = load(self._data, self._entries[index], self._size)
        rows, columns = layers.shape[1:]
        y = targets(truth, np.eye(3)[:2], (rows, columns), self._width)
        shape = [-(-side // MULTIPLE) * MULTIPLE for side in (rows, columns)]
        padding = [(0, 0), *((0, want - have) for want, have in zip(shape, (rows, columns), strict=True))]
        return {"x": pad_to(layers, shape), "y": np.pad(y, padding)}  # weight 0: does not count
