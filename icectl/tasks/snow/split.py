"""Which windows train, validate and test; and what of a cube a given training may be scored on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from icectl.arrays import F32
from icectl.splits import Split, WindowGrid, audit, make_split
from icectl.tasks.snow.dataset import Cube
from icectl.tasks.snow.options import TrainOptions

MAX_MOMENTS = 12
"""Unseen series are scored at so many moments at most, evenly spread."""


def split(dataset: Cube, options: TrainOptions, seed: int) -> Split:
    """Return the split of a training: windows by part, and the pixels that are scored."""
    frames, rows, cols = dataset.shape
    grid = WindowGrid(frames, rows, cols, options.past, options.future, options.patch, options.stride)
    return make_split(options.split, grid, seed, options.draw if options.validate_every else None)


@dataclass(frozen=True)
class Scope:
    """Where and when forecasts are scored.

    `starts`: first past frame of each scored moment; `weights`: ``weights(start)``: (rows, columns), how
    much each pixel counts; `facts` and `sentence`: the audit as data and in words.
    """

    starts: tuple[int, ...]
    weights: Callable[[int], F32]
    facts: dict[str, Any]
    sentence: str


def scope_of(cube: Cube, trained: Mapping[str, Any], options: TrainOptions, seed: int) -> Scope:
    """Return what may be scored on `cube` by a model trained on the cube whose identity is `trained`.

    On the same cube that is the test part of its split; another series counts as a whole.
    """
    here = cube.identity
    if here != trained:
        return _elsewhere(cube, here, trained, options)
    made = split(cube, options, seed)
    found = audit(made)
    return Scope(tuple(made.test_starts), made.weights, found.facts(), found.sentence())


def _elsewhere(cube: Cube, here: dict[str, Any], trained: Mapping[str, Any], options: TrainOptions) -> Scope:
    last = cube.shape[0] - options.past - options.future
    every = np.arange(last, -1, -options.future)
    chosen = every[np.linspace(0, len(every) - 1, min(len(every), MAX_MOMENTS)).round().astype(int)]
    apart = not _touch(here, trained)
    seen = "no pixel of it was in the training" if apart else "it overlaps the place of the training"
    sentence = f"scored on a series that was not trained on; {seen}"
    if not apart:
        sentence += ": scores may be too good"
    everywhere = np.ones(cube.shape[1:], dtype=np.float32)
    facts = {
        "split": "none: another series than the one trained on",
        "scored pixels": int(everywhere.size),
        "shared with training": 0 if apart else "unknown: the places overlap",
    }
    return Scope(tuple(sorted(chosen.tolist())), lambda start: everywhere, facts, sentence)


def _touch(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    one, two = (
        GeoBox(tuple(place["shape"]), Affine(*place["transform"]), place["crs"])
        .geographic_extent.boundingbox
        for place in (a, b)
    )  # fmt: skip
    return bool(
        one.left < two.right and two.left < one.right and one.bottom < two.top and two.bottom < one.top
    )
