"""Split of the patches of one terrain by place, into training, validation and test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from icectl.arrays import I64, Bools
from icectl.errors import DataError
from icectl.tasks.bed.fill.patches import Patch
from icectl.tasks.bed.options import PrepareOptions

TEST_SHARE = 0.1
"""Share of the largest patches kept to test on (the paper keeps a tenth)."""

MANY = 20
"""Patches of a size that are enough for that size to decide where the test strip ends."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The patches of one terrain, counts by rule, and the area (row, col, rows, cols) kept for the test."""

    patches: tuple[Patch, ...]
    toll: Mapping[str, int]
    test_area: tuple[int, int, int, int]


def split(dataset: tuple[I64, dict[str, int], tuple[int, ...]], options: PrepareOptions, seed: int) -> Drawn:
    """Keep a strip at one side of the map or a block for the test; patches that straddle its border go.

    Of all that hold their share of the largest patches, the one is taken that leaves the most to train on;
    the draw has no part in it, whatever the `seed`.

    `dataset`: patches ``(row, col, side, hole)`` and toll as `icectl.tasks.bed.fill.patches.draw_patches`
    returns them, and the shape of the map.

    DataError: the patches lie too close together to be parted.
    """
    found, toll, shape = dataset
    # The largest patches decide, so that large holes can be tested too.
    sizes = [s for s in np.unique(found[:, 2]) if (found[:, 2] == s).sum() >= MANY]
    lead = int(max(sizes, default=found[:, 2].max()))
    area = _cheapest(found, shape, lead, TEST_SHARE)
    if area is None:
        raise DataError(
            f"{len(found)} patches lie too close together to be split into training and test by place",
            "use a smaller --patch-size, or a larger elevation model",
        )
    parts = {"test": found[_within(found, area)], "valid": found[:0], "train": found[_apart(found, area)]}
    parts |= _validation(parts["train"], shape, TEST_SHARE)
    toll["on the split"] += len(found) - sum(len(places) for places in parts.values())
    made = [
        Patch(int(row), int(col), int(size), int(hole), name)
        for name, places in parts.items()
        for row, col, size, hole in places
    ]
    return Drawn(tuple(made), {**toll, "kept": len(made)}, area)


def _validation(found: I64, shape: tuple[int, ...], share: float) -> dict[str, I64]:
    """Part what is left once more: small patches of another place say when to stop training.

    Where that would cost more than a third of the ground, all of it trains.
    """
    area = _cheapest(found, shape, int(found[:, 2].min()), share)
    if area is None or _apart(found, area).sum() < 2 * len(found) / 3:
        return {}
    return {"valid": found[_within(found, area)], "train": found[_apart(found, area)]}


def _cheapest(found: I64, shape: tuple[int, ...], lead: int, share: float) -> Area | None:
    """Return the strip or block that holds its share of the patches of side `lead`, and leaves the most."""
    largest = found[:, 2] == lead
    wanted = max(1, round(share * int(largest.sum())))
    best, most = None, 0
    for area in (*_strips(found[largest], shape, wanted), *_blocks(shape, lead)):
        left = int(_apart(found, area).sum())
        if left > most and int((_within(found, area) & largest).sum()) >= wanted:
            best, most = area, left
    return best


Area = tuple[int, int, int, int]


def _within(found: I64, area: Area) -> Bools:
    row, col, rows, cols = area
    low, high = found[:, :2], found[:, :2] + found[:, 2:3]
    return np.asarray((low >= (row, col)).all(1) & (high <= (row + rows, col + cols)).all(1))


def _apart(found: I64, area: Area) -> Bools:
    row, col, rows, cols = area
    low, high = found[:, :2], found[:, :2] + found[:, 2:3]
    return np.asarray((high <= (row, col)).any(1) | (low >= (row + rows, col + cols)).any(1))


def _strips(lead: I64, shape: tuple[int, ...], wanted: int) -> Iterator[Area]:
    """Yield a strip along each side of the map, wide enough for `wanted` of the largest patches."""
    for axis in (0, 1):
        near, far = np.sort(lead[:, axis] + lead[:, 2]), np.sort(lead[:, axis])[::-1]
        at = min(len(lead), wanted) - 1
        for start, stop in ((0, int(near[at])), (int(far[at]), shape[axis])):
            if axis == 0:
                yield (start, 0, stop - start, shape[1])
            else:
                yield (0, start, shape[0], stop - start)


def _blocks(shape: tuple[int, ...], lead: int) -> Iterator[Area]:
    """Yield squares of one to two of the largest patches a side, all over the map."""
    step = max(1, lead // 8, max(shape) // 40)
    for side in range(lead + step, min(2 * lead, *shape) + 1, step):
        for row in range(0, shape[0] - side + 1, step):
            for col in range(0, shape[1] - side + 1, step):
                yield (row, col, side, side)
