"""Simple answers on one glacier: smooth fills of the ground, perfect plasticity, no ice."""

import numpy as np

from icectl.arrays import F64, Bools
from icectl.tasks.bed.fill import smooth
from icectl.tasks.bed.fill.answer import Filler, refined
from icectl.tasks.bed.thickness.physics import perfect_plasticity
from icectl.tasks.bed.thickness.solve import Scene

MAX_WINDOW = 1024
"""Side in pixels above which the surroundings of a glacier are filled in on a coarser grid, then in tiles."""


def baselines(scene: Scene, filler: Filler | None, rounds: int, seed: int) -> tuple[dict[str, F64], str]:
    """Return the thickness (m) of every simple answer, and of step (a) as ``inpaint`` with its spread.

    The second value says why step (a) fell back to the biharmonic fill, if it did.
    """
    surface = scene.surface
    filled, words = fills(
        surface, scene.all_ice | ~np.isfinite(scene.heights), scene.resolution, filler, rounds, seed
    )
    spread = filled.pop("inpaint spread", None)
    made = {n: np.where(scene.ice, np.maximum(surface - ground, 0.0), 0.0) for n, ground in filled.items()}
    made["plasticity"] = perfect_plasticity(surface, scene.ice, scene.resolution)
    made["no ice"] = np.zeros(surface.shape)
    if spread is not None:
        made["inpaint spread"] = np.where(scene.ice, spread, 0.0)
    return made, words


def fills(
    surface: F64, hidden: Bools, resolution: float, filler: Filler | None, rounds: int, seed: int
) -> tuple[dict[str, F64], str]:
    """Fill in hidden ground by every method, on a coarser grid where the window is very large.

    There, the network's answer is refined in tiles; the baselines stay as they are.
    """
    heights, unknown, factor = surface, hidden, 1
    while max(heights.shape) > MAX_WINDOW:
        heights, unknown = smooth.halve(heights, unknown)
        factor *= 2
    if unknown.all():
        unknown = unknown.copy()
        unknown[[0, -1]], unknown[:, [0, -1]] = False, False
    made = {
        "biharmonic": smooth.bounded(smooth.biharmonic, heights, unknown),
        "harmonic": smooth.bounded(smooth.harmonic, heights, unknown),
        "inverse distance": smooth.inverse_distance(heights, unknown),
    }
    words = ""
    if filler is not None:
        made["inpaint"], made["inpaint spread"], words = filler(
            heights, unknown, resolution * factor, rounds, seed
        )
    wide = {n: smooth.widen(v, surface.shape, factor) for n, v in made.items()}
    if factor > 1 and filler is not None:
        coarse = smooth.widen(made["inpaint"], surface.shape, factor, order=3)  # no kinks for tiles to go on
        wide["inpaint"] = refined(surface, hidden, coarse, lambda h, m: filler(h, m, resolution, 1, seed)[0])
    return wide, words
