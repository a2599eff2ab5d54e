"""Training patches: where they may lie, which rule takes how many, and a split by place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icectl.errors import DataError
from icectl.tasks.bed.fill.ice import Cover
from icectl.tasks.bed.options import PrepareOptions

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DRAWS = 40
"""Places tried for each patch that is wanted."""

SCALES = (1, 2, 4, 8)
"""Patches have the full size, and these parts of it: small ones fit where large ones do not."""

MANY = 20
"""Patches of a size that are enough for that size to decide where the test strip ends."""

RULES = ("drawn", "unknown ground", "ice in the centre", "too low", "too flat", "on the split", "kept")


@dataclass(frozen=True, slots=True)
class Patch:
    """A square window of one terrain: its corner, side and hole in pixels, and its part of the split."""

    row: int
    col: int
    size: int
    hole: int
    part: str  # "train" | "valid" | "test"


@dataclass(frozen=True, slots=True)
class Drawn:
    """The patches of one terrain, the rules' toll, and the area (row, col, rows, cols) kept for the test."""

    patches: tuple[Patch, ...]
    toll: Mapping[str, int]
    test_area: tuple[int, int, int, int]


class Sums:
    """Sums over any window of a map in constant time."""

    def __init__(self, values: NDArray[np.generic]) -> None:
        self.table = np.pad(np.cumsum(np.cumsum(values.astype(np.float64), 0), 1), ((1, 0), (1, 0)))

    def over(self, corners: Ints, size: int) -> NDArray[np.float64]:
        """Return the sums of the windows of `size` whose corners ``(n, 2)`` are given."""
        t, row, col = self.table, corners[:, 0], corners[:, 1]
        return np.asarray(t[row + size, col + size] - t[row, col + size] - t[row + size, col] + t[row, col])


def draw_patches(
    heights: NDArray[np.float32],
    cover: NDArray[np.uint8],
    options: PrepareOptions,
    rng: np.random.Generator,
) -> Drawn:
    """Draw patches of all sizes from one terrain and split them by place.

    Raises
    ------
    DataError
        No patch is left; the message says which rule took how many.
    """
    toll = dict.fromkeys(RULES, 0)
    known = np.isfinite(heights)
    sums = (Sums(~known), Sums(cover != Cover.GROUND), Sums(np.where(known, heights, 0.0)))
    found: list[tuple[int, int, int, int]] = []
    for scale in SCALES:
        size, hole = options.patch_size // scale, options.hole_size // scale
        if size <= min(heights.shape) and size >= 32:
            places = _tried(heights.shape, size, options.patches * DRAWS // len(SCALES), rng)
            found += _lawful(heights, sums, places, (size, hole), options, toll)
    if not found:
        raise DataError(f"no ice-free patch is left: {sentence(toll)}", _hint(toll, heights.shape, options))
    patches, area = split(np.array(found), heights.shape, options, toll)
    toll["kept"] = len(patches)
    return Drawn(patches, toll, area)


def _tried(shape: tuple[int, ...], size: int, count: int, rng: np.random.Generator) -> Ints:
    """Return distinct random corners, ``(n, 2)``."""
    rows, cols = shape[0] - size + 1, shape[1] - size + 1
    flat = rng.choice(rows * cols, min(count, rows * cols), replace=False)
    return np.stack(np.divmod(flat, cols), axis=1)


def _lawful(
    heights: NDArray[np.float32],
    sums: tuple[Sums, Sums, Sums],
    places: Ints,
    sizes: tuple[int, int],
    options: PrepareOptions,
    toll: dict[str, int],
) -> list[tuple[int, int, int, int]]:
    """Apply the rules in order and count what each takes; stop at the number of patches wanted."""
    size, hole = sizes
    unknown, ice, total = sums
    toll["drawn"] += len(places)
    off = (size - hole) // 2

    def take(name: str, bad: NDArray[np.bool_]) -> None:
        nonlocal places
        toll[name] += int(bad.sum())
        places = places[~bad]

    take("unknown ground", unknown.over(places, size) > 0)
    take("ice in the centre", ice.over(places + off, hole) > 0)
    if options.height_rule == "mean":
        take("too low", total.over(places, size) / size**2 < options.minimum_height)
    kept = []
    relief = options.minimum_relief * size / options.patch_size
    for row, col in places.tolist():
        window = heights[row : row + size, col : col + size]
        top = float(window.max())
        if options.height_rule == "maximum" and top < options.minimum_height:
            toll["too low"] += 1
        elif top - float(window.min()) < relief:
            toll["too flat"] += 1
        else:
            kept.append((row, col, size, hole))
    most = max(1, options.patches // len(SCALES))
    return kept[:most]


def split(
    found: Ints, shape: tuple[int, ...], options: PrepareOptions, toll: dict[str, int]
) -> tuple[tuple[Patch, ...], tuple[int, int, int, int]]:
    """Keep a strip at one side of the map or a block for the test; patches that straddle its border go.

    Of all that hold their share of the largest patches, the one is taken that leaves the most to train on.
    """
    # The largest patches decide, so that large holes can be tested too.
    sizes = [s for s in np.unique(found[:, 2]) if (found[:, 2] == s).sum() >= MANY]
    lead = int(max(sizes, default=found[:, 2].max()))
    area = _cheapest(found, shape, lead, options.test_share)
    if area is None:
        raise DataError(
            f"{len(found)} patches lie too close together to be split into training and test by place",
            "use a smaller --patch-size, or a larger elevation model",
        )
    parts = {"test": found[_within(found, area)], "valid": found[:0], "train": found[_apart(found, area)]}
    parts |= _validation(parts["train"], shape, options.test_share)
    toll["on the split"] += len(found) - sum(len(places) for places in parts.values())
    made = [
        Patch(int(row), int(col), int(size), int(hole), name)
        for name, places in parts.items()
        for row, col, size, hole in places
    ]
    return tuple(made), area


def _validation(found: Ints, shape: tuple[int, ...], share: float) -> dict[str, Ints]:
    """Part what is left once more: small patches of another place say when to stop training.

    Where that would cost more than a third of the ground, all of it trains.
    """
    area = _cheapest(found, shape, int(found[:, 2].min()), share)
    if area is None or _apart(found, area).sum() < 2 * len(found) / 3:
        return {}
    return {"valid": found[_within(found, area)], "train": found[_apart(found, area)]}


def _cheapest(found: Ints, shape: tuple[int, ...], lead: int, share: float) -> Area | None:
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


def _within(found: Ints, area: Area) -> Bools:
    row, col, rows, cols = area
    low, high = found[:, :2], found[:, :2] + found[:, 2:3]
    return np.asarray((low >= (row, col)).all(1) & (high <= (row + rows, col + cols)).all(1))


def _apart(found: Ints, area: Area) -> Bools:
    row, col, rows, cols = area
    low, high = found[:, :2], found[:, :2] + found[:, 2:3]
    return np.asarray((high <= (row, col)).any(1) | (low >= (row + rows, col + cols)).any(1))


def _strips(lead: Ints, shape: tuple[int, ...], wanted: int) -> Iterator[Area]:
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


def sentence(toll: Mapping[str, int]) -> str:
    """Return the toll in words: ``of 4,000 drawn, unknown ground took 120, …``."""
    parts = [f"{rule} took {toll[rule]:,}" for rule in RULES[1:-1] if toll[rule]]
    return f"of {toll['drawn']:,} drawn, " + (", ".join(parts) if parts else "none was lost")


def _hint(toll: Mapping[str, int], shape: tuple[int, ...], options: PrepareOptions) -> str:
    if not toll["drawn"]:
        return f"the map has {shape[0]} × {shape[1]} pixels: lower --patch-size (now {options.patch_size})"
    worst = max(RULES[1:-1], key=lambda rule: toll[rule])
    return {
        "unknown ground": "the elevation model has many voids: use a smaller --patch-size",
        "ice in the centre": "use a smaller --hole-size, or check --unlisted-ice",
        "too low": f"lower --minimum-height (now {options.minimum_height:g} m)",
        "too flat": f"lower --minimum-relief (now {options.minimum_relief:g} m)",
        "on the split": "use a smaller --patch-size",
    }[worst]
