"""Scores on ice-free ground: cut a hole, fill it, compare."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from icectl.arrays import F64, Bools
from icectl.tasks.bed.baselines import fills
from icectl.tasks.bed.dataset import Dataset
from icectl.tasks.bed.fill.answer import Filler
from icectl.tasks.bed.fill.ice import Cover
from icectl.tasks.bed.fill.patches import Sums

FILLS = ("inpaint", "biharmonic", "harmonic", "inverse distance")


@dataclass(frozen=True, slots=True)
class Score:
    """Squared and absolute errors (sums over a hole's pixels) of every fill, on one hole."""

    terrain: str
    resolution: float
    hole: int
    pixels: int
    mean_height: float
    squared: dict[str, float]
    absolute: dict[str, float]


def score_holes(
    dataset: Dataset, filler: Filler | None, sizes: tuple[int, ...], each: int, rounds: int, seed: int
) -> Iterator[Score]:
    """Yield scores of up to `each` random holes of each size on the test ground of each elevation model.

    The window around a hole of n pixels has 8/3 n (the paper's 96 in 256) and lies wholly in the ground
    kept for the test; the hole is ice-free; ice elsewhere in the window is hidden too, for all fills alike.
    """
    for terrain in dataset.facts["terrains"]:
        top, left, rows, cols = terrain["test_area"]
        area = np.s_[top : top + rows, left : left + cols]
        arrays = dataset.terrain(terrain["name"])
        heights = np.asarray(arrays["height"][area], dtype=np.float64)
        ground = np.asarray(arrays["cover"][area]) == Cover.GROUND
        rng = np.random.default_rng([seed, 62])
        for hole in sizes:
            for row, col, window in _places(heights, ground, hole, each, rng):
                part = np.s_[row : row + window, col : col + window]
                yield _score(terrain, heights[part], ground[part], hole, filler, rounds, seed)


def _places(
    heights: F64, ground: Bools, hole: int, each: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    window = round(hole * 8 / 3 / 8) * 8
    if window > min(heights.shape):
        return []
    corners = np.indices((heights.shape[0] - window + 1, heights.shape[1] - window + 1)).reshape(2, -1).T
    off = (window - hole) // 2
    bad = Sums(~np.isfinite(heights)).over(corners, window) > 0
    bad |= Sums(~ground).over(corners + off, hole) > 0
    good = corners[~bad]
    good = good[rng.permutation(len(good))[:each]]
    return [(int(r), int(c), window) for r, c in good]


def _score(
    terrain: dict[str, object],
    heights: F64,
    ground: Bools,
    hole: int,
    filler: Filler | None,
    rounds: int,
    seed: int,
) -> Score:
    target = np.zeros(heights.shape, dtype=bool)
    off = (heights.shape[0] - hole) // 2
    target[off : off + hole, off : off + hole] = True
    hidden = target | ~ground
    made, _ = fills(
        np.where(hidden, 0.0, heights), hidden, float(str(terrain["resolution"])), filler, rounds, seed
    )
    made.pop("inpaint spread", None)
    off_by = {n: (v - heights)[target] for n, v in made.items()}
    return Score(
        terrain=str(terrain["name"]),
        resolution=float(str(terrain["resolution"])),
        hole=hole,
        pixels=int(target.sum()),
        mean_height=float(heights[target].mean()),
        squared={n: float((e**2).sum()) for n, e in off_by.items()},
        absolute={n: float(np.abs(e).sum()) for n, e in off_by.items()},
    )


def pooled(scores: list[Score], name: str) -> dict[str, float]:
    """Return RMSE and MAE (m), RMSE over the mean height (%), and RMSE over the biharmonic fill's."""
    mine = [s for s in scores if name in s.squared]
    pixels = sum(s.pixels for s in mine)
    if not pixels:
        return {}
    rmse = (sum(s.squared[name] for s in mine) / pixels) ** 0.5
    base = (sum(s.squared["biharmonic"] for s in mine) / pixels) ** 0.5
    height = sum(s.mean_height * s.pixels for s in mine) / pixels
    return {
        "rmse": rmse,
        "mae": sum(s.absolute[name] for s in mine) / pixels,
        "relative": 100 * rmse / height if height > 0 else float("nan"),
        "ratio": rmse / base if base else float("nan"),
    }
