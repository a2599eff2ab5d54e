"""Both steps and the baselines on one glacier, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from icectl.tasks.bed.fill import smooth as fill
from icectl.tasks.bed.fill.tiling import refined
from icectl.tasks.bed.networks import Networks
from icectl.tasks.bed.readers import thickness_samples as known
from icectl.tasks.bed.thickness import physics
from icectl.tasks.bed.thickness.features import thickness_inputs

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LARGEST_WINDOW = 1024
"""Side in pixels above which the surroundings of a glacier are filled in on a coarser grid, then in tiles."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A glacier and its surroundings: heights (m, NaN unknown), its ice, all ice, and what is known of it."""

    heights: Floats
    ice: Bools
    all_ice: Bools
    resolution: float
    speed: Floats | None = None
    balance: Floats | None = None


@dataclass(slots=True)
class Answer:
    """Thickness (m) and spread (m) on the scene's grid, 0 off the glacier; `others` by name."""

    thickness: Floats
    spread: Floats
    others: dict[str, Floats] = field(default_factory=dict)


def solve(
    scene: Scene, networks: Networks, *, rounds: int, seed: int, yield_stress: float, slope_length: float
) -> Answer:
    """Run step (b), step (a) and the baselines on one glacier; nothing is negative anywhere.

    ``thickness`` is that of step (b) where it was trained, else that of step (a).
    """
    surface = np.where(np.isfinite(scene.heights), scene.heights, known.whole(scene.heights))
    others: dict[str, Floats] = {"no ice": np.zeros(surface.shape)}
    filled = _fills(scene, surface, networks, rounds, seed)
    for name, ground in filled.items():
        if name != "inpaint spread":
            others[name] = np.where(scene.ice, np.maximum(surface - ground, 0.0), 0.0)
    others["plasticity"] = physics.perfect_plasticity(
        surface, scene.ice, scene.resolution, yield_stress, slope_length
    )
    if networks.has_thickness:
        thickness, spread, prior = _step_b(scene, surface, networks)
        others["mass conservation"] = prior
    else:
        thickness, spread = others["inpaint"], np.where(scene.ice, filled["inpaint spread"], 0.0)
    if "inpaint spread" in filled:
        others["inpaint spread"] = np.where(scene.ice, filled["inpaint spread"], 0.0)
    return Answer(thickness, spread, others)


def _step_b(scene: Scene, surface: Floats, networks: Networks) -> tuple[Floats, Floats, Floats]:
    """Return thickness, its spread and the physical prior, computed on the glacier's working grid."""
    part = _frame(scene.ice, 6)
    one = known.Known(
        "",
        "measured",
        surface[part],
        scene.ice[part],
        scene.resolution,
        np.where(scene.ice[part], 0.0, np.nan),
    )
    zoom = min(1.0, scene.resolution / known.working_resolution(one.area))
    small = known.rescale(one.surface, zoom)
    ice = known.rescale(one.ice.astype(np.float64), zoom) > 0.5
    if not ice.any():  # thinner than a working pixel
        small, ice, zoom = one.surface, one.ice, 1.0
    extras = {
        name: None if field is None else known.rescale(_gapless(field[part], one.ice), zoom)
        for name, field in (("speed", scene.speed), ("balance", scene.balance))
    }
    channels, prior = thickness_inputs(small, ice, scene.resolution / zoom, **extras)
    members = networks.thickness(channels, prior)
    back = [
        _back(members.mean(0), ice, one.ice),
        _back(members.std(0), ice, one.ice),
        _back(prior, ice, one.ice),
    ]
    local = np.sqrt(back[1] ** 2 + (networks.pixel_error * back[0]) ** 2)
    return tuple(_placed(a, part, scene.ice) for a in (back[0], local, back[2]))  # type: ignore[return-value]


def _gapless(field: Floats, ice: Bools) -> Floats:
    """Fill gaps of a field that is known on part of the ice; nothing known stays NaN."""
    known_part = np.isfinite(field)
    return known.whole(field) if (known_part & ice).any() else field


def _back(values: NDArray[np.floating], ice: Bools, target: Bools) -> Floats:
    """Bring values from the working grid to the shape of `target`; off the ice neighbours lend theirs."""
    nearest = ndimage.distance_transform_edt(~ice, return_distances=False, return_indices=True)
    whole = np.asarray(values, dtype=np.float64)[tuple(nearest)]
    axes = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(target.shape, whole.shape, strict=True)]
    wide = ndimage.map_coordinates(whole, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")
    return np.where(target, np.maximum(wide, 0.0), 0.0)


def _placed(values: Floats, part: tuple[slice, slice], ice: Bools) -> Floats:
    out = np.zeros(ice.shape)
    out[part] = values
    return np.where(ice, out, 0.0)


def _frame(mask: Bools, margin: int) -> tuple[slice, slice]:
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(cols[0]) - margin), int(cols[-1]) + 1 + margin),
    )


def _fills(scene: Scene, surface: Floats, networks: Networks, rounds: int, seed: int) -> dict[str, Floats]:
    """Fill in the ground below all ice of the window, on a coarser grid where the window is very large.

    There, the network's answer is refined in tiles; the baselines stay as they are.
    """
    hidden = scene.all_ice | ~np.isfinite(scene.heights)
    heights, factor = surface, 1
    while max(heights.shape) > LARGEST_WINDOW:
        heights, hidden = fill.halve(heights, hidden)
        factor *= 2
    if hidden.all():
        hidden = hidden.copy()
        hidden[[0, -1]], hidden[:, [0, -1]] = False, False
    made = {
        "biharmonic": fill.bounded(fill.biharmonic, heights, hidden),
        "harmonic": fill.bounded(fill.harmonic, heights, hidden),
        "inverse distance": fill.inverse_distance(heights, hidden),
    }
    if networks.has_inpaint:
        made["inpaint"], made["inpaint spread"] = networks.inpaint(heights, hidden, rounds, seed)
    wide = {n: fill.widen(v, surface.shape, factor) for n, v in made.items()}
    if factor > 1 and networks.has_inpaint:
        unknown = scene.all_ice | ~np.isfinite(scene.heights)
        smooth = fill.widen(made["inpaint"], surface.shape, factor, order=3)  # no kinks for tiles to go on
        wide["inpaint"] = refined(surface, unknown, smooth, lambda h, m: networks.inpaint(h, m, 1, seed)[0])
    return wide
