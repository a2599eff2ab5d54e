"""What of a cube may be scored by a given training: its test part, or everything if it was never seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from icectl.splits import Audit, Split, WindowGrid, audit, make_split
from icectl.tasks.snow.dataset import Cube
from icectl.tasks.snow.options import TrainOptions

MOST_MOMENTS = 12
"""Unseen series are scored at so many moments at most, evenly spread."""


@dataclass(frozen=True)
class Scope:
    """Where and when forecasts are scored.

    Attributes
    ----------
    starts
        First past frame of each scored moment.
    weights
        ``weights(start)``: (rows, columns), how much each pixel counts.
    facts, sentence
        The audit as data and in words.
    """

    starts: tuple[int, ...]
    weights: Callable[[int], npt.NDArray[np.float32]]
    facts: dict[str, Any]
    sentence: str


def windows_of(cube: Cube, options: TrainOptions) -> WindowGrid:
    """Return the windows that `options` cut out of `cube`."""
    frames, rows, cols = cube.shape
    return WindowGrid(frames, rows, cols, options.past, options.future, options.patch, options.stride)


def identity(cube: Cube) -> dict[str, Any]:
    """Return what makes two cubes the same place and the same frames: plain JSON."""
    return {
        "crs": str(cube.grid.crs),
        "transform": [float(x) for x in list(cube.grid.affine)[:6]],
        "shape": list(cube.shape[1:]),
        "times": [day.isoformat() for day in cube.times],
    }


def scope_of(cube: Cube, trained: Mapping[str, Any], options: TrainOptions, seed: int) -> Scope:
    """Return what may be scored on `cube` by a model that was trained as `trained` says (`identity`)."""
    here = identity(cube)
    if here == trained:
        split = make_split(options.split, windows_of(cube, options), seed)
        found: Audit = audit(split)
        return Scope(tuple(split.test_starts), split.weights, found.facts(), found.sentence())
    return _elsewhere(cube, here, trained, options)


def _elsewhere(cube: Cube, here: dict[str, Any], trained: Mapping[str, Any], options: TrainOptions) -> Scope:
    last = cube.shape[0] - options.past - options.future
    every = range(last, -1, -options.future)
    chosen = sorted(every[k] for k in _spread(len(every), MOST_MOMENTS)) if last >= 0 else []
    same_place = all(here[key] == trained.get(key) for key in ("crs", "transform", "shape"))
    apart = same_place is False and not _touch(here, trained)
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
    return Scope(tuple(chosen), lambda start: everywhere, facts, sentence)


def _spread(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    return [int(k) for k in np.linspace(0, count - 1, most).round()]


def _touch(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Tell whether two places overlap on the ground (by their bounding boxes in degrees)."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    boxes = []
    for place in (a, b):
        grid = GeoBox(tuple(place["shape"]), Affine(*place["transform"]), place["crs"])
        boxes.append(grid.geographic_extent.boundingbox)
    one, two = boxes
    return bool(
        one.left < two.right and two.left < one.right and one.bottom < two.top and two.bottom < one.top
    )


def split_of(cube: Cube, options: TrainOptions, seed: int) -> tuple[Split, Audit]:
    """Return the split of a training and its audit."""
    kind: Literal["blocks", "time", "paper"] = options.split
    split = make_split(kind, windows_of(cube, options), seed)
    return split, audit(split)
