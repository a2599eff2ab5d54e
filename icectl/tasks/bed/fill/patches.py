"""Training patches: where they may lie, and which rule takes how many."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icectl.arrays import F32, F64, I64, U8, Bools
from icectl.errors import DataError
from icectl.tasks.bed.fill.ice import Cover
from icectl.tasks.bed.options import PrepareOptions

DRAWS = 40
"""Places tried for each patch that is wanted."""

SCALES = (1, 2, 4, 8)
"""Patches have the full size, and these parts of it: small ones fit where large ones do not."""

RULES = ("drawn", "unknown ground", "ice in the centre", "too low", "too flat", "on the split", "kept")


@dataclass(frozen=True, slots=True)
class Patch:
    """A square window of one terrain: its corner, side and hole in pixels, and its part of the split."""

    row: int
    col: int
    size: int
    hole: int
    part: str  # "train" | "valid" | "test"


class Sums:
    """Sums over any window of a map in constant time."""

    def __init__(self, values: NDArray[np.generic]) -> None:
        self.table = np.pad(np.cumsum(np.cumsum(values.astype(np.float64), 0), 1), ((1, 0), (1, 0)))

    def over(self, corners: I64, size: int) -> F64:
        """Return the sums of the windows of `size` whose corners ``(n, 2)`` are given."""
        t, row, col = self.table, corners[:, 0], corners[:, 1]
        return np.asarray(t[row + size, col + size] - t[row, col + size] - t[row + size, col] + t[row, col])


def draw_patches(
    heights: F32,
    cover: U8,
    options: PrepareOptions,
    rng: np.random.Generator,
) -> tuple[I64, dict[str, int]]:
    """Draw patches of all sizes from one terrain: ``(row, col, side, hole)`` of each, and counts by rule.

    DataError: no patch is left; the message says how many each rule left out.
    """
    counts = dict.fromkeys(RULES, 0)
    known = np.isfinite(heights)
    sums = (Sums(~known), Sums(cover != Cover.GROUND), Sums(np.where(known, heights, 0.0)))
    found: list[tuple[int, int, int, int]] = []
    for scale in SCALES:
        size, hole = options.patch_size // scale, options.hole_size // scale
        if size <= min(heights.shape) and size >= 32:
            places = _tried(heights.shape, size, options.patches * DRAWS // len(SCALES), rng)
            found += _lawful(heights, sums, places, (size, hole), options, counts)
    if not found:
        raise DataError(
            f"no ice-free patch is left: {sentence(counts)}", _hint(counts, heights.shape, options)
        )
    return np.array(found), counts


def _tried(shape: tuple[int, ...], size: int, count: int, rng: np.random.Generator) -> I64:
    """Return distinct random corners, ``(n, 2)``."""
    rows, cols = shape[0] - size + 1, shape[1] - size + 1
    flat = rng.choice(rows * cols, min(count, rows * cols), replace=False)
    return np.stack(np.divmod(flat, cols), axis=1)


def _lawful(
    heights: F32,
    sums: tuple[Sums, Sums, Sums],
    places: I64,
    sizes: tuple[int, int],
    options: PrepareOptions,
    counts: dict[str, int],
) -> list[tuple[int, int, int, int]]:
    """Apply the rules in order and count what each takes; stop at the number of patches wanted."""
    size, hole = sizes
    unknown, ice, total = sums
    counts["drawn"] += len(places)
    off = (size - hole) // 2

    def take(name: str, bad: Bools) -> None:
        nonlocal places
        counts[name] += int(bad.sum())
        places = places[~bad]

    take("unknown ground", unknown.over(places, size) > 0)
    take("ice in the centre", ice.over(places + off, hole) > 0)
    take("too low", total.over(places, size) / size**2 < options.minimum_height)
    kept = []
    relief = options.minimum_relief * size / options.patch_size
    for row, col in places.tolist():
        window = heights[row : row + size, col : col + size]
        if float(window.max() - window.min()) < relief:
            counts["too flat"] += 1
        else:
            kept.append((row, col, size, hole))
    most = max(1, options.patches // len(SCALES))
    return kept[:most]


def sentence(counts: Mapping[str, int]) -> str:
    """Return the counts in words: ``of 4,000 drawn, left out: 120 (unknown ground), …``."""
    parts = [f"{counts[rule]:,} ({rule})" for rule in RULES[1:-1] if counts[rule]]
    return f"of {counts['drawn']:,} drawn, left out: {', '.join(parts) or 'none'}"


def _hint(counts: Mapping[str, int], shape: tuple[int, ...], options: PrepareOptions) -> str:
    if not counts["drawn"]:
        return f"the map has {shape[0]} × {shape[1]} pixels: lower --patch-size (now {options.patch_size})"
    worst = max(RULES[1:-1], key=lambda rule: counts[rule])
    return {
        "unknown ground": "the elevation model has many voids: use a smaller --patch-size",
        "ice in the centre": "use a smaller --hole-size, or check --unlisted-ice",
        "too low": f"lower --minimum-height (now {options.minimum_height:g} m)",
        "too flat": f"lower --minimum-relief (now {options.minimum_relief:g} m)",
        "on the split": "use a smaller --patch-size",
    }[worst]
