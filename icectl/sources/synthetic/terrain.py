"""The ground: a tree of valleys with U-shaped walls, roughened by fractal relief.

Each valley is a line with a floor that climbs from mouth to head. The ground is the lower envelope of
"floor of the nearest valley + wall", so that ridges stand where the walls of two valleys meet, and
tributaries hang above their trunk as glaciers carve them.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from icectl.arrays import F64
from icectl.sources.synthetic.noise import fractal, generator, resize, smooth

STEP = 60.0
"""Distance between the sampled points of a valley line (m)."""

RIDGE = 450.0
"""Height above the valley floor (m) from which walls carry their full roughness."""

ROUNDING = 40.0
"""Height (m) over which the meeting of two walls is rounded."""

REACH = 6000.0
"""Distance (m) beyond which a valley shapes no ground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """The shape of a landscape. Heights and lengths in metres.

    `base`: height of the trunk valley's floor at its mouth; below zero it is a fjord.
    `rise`: climb of the trunk's floor from mouth to head.
    `spacing`: distance between trunk valleys.
    `width`: half width of the trunk's rounded floor; walls are hyperbolas, U-shaped below and straight
        above.
    `walls`: slope of the trunk's upper walls (m per m).
    `flat`: share of the trunk's length, from its mouth, over which the floor does not climb.
    `hang`: height of the tributaries' mouths above the trunk's floor.
    `single`: whether one trunk alone is low, and the others hang 700 m above it. If not, every other one
        runs the other way.
    `roughness`: standard deviation of the fractal relief on the walls.
    """

    base: float = 2500.0
    rise: float = 1400.0
    spacing: float = 7000.0
    width: float = 700.0
    walls: float = 0.52
    flat: float = 0.0
    hang: float = 40.0
    single: bool = False
    roughness: float = 70.0


@dataclass(frozen=True, slots=True)
class Valley:
    """A valley's line: points ``(n, 2)`` as (x, y), metres from the north-west corner, mouth to head."""

    points: F64
    floor: F64
    width: float
    walls: float
    trunk: bool = False


def valleys(seed: int, extent: tuple[float, float], relief: Relief) -> list[Valley]:
    """Return the trunk valleys and their tributaries for ``extent`` = (height, width) in metres."""
    height, width = extent
    count = max(1, round(width / relief.spacing))
    made: list[Valley] = []
    for number in range(-1, count + 1):  # one beyond either edge, so that ridges stand at the edges
        rng = generator(seed, "valley", number)
        trunk = _trunk(
            rng, (number + 0.5) * width / count, height, relief, flipped=not relief.single and number % 2 == 1
        )
        if relief.single and number != count // 2:
            trunk = replace(trunk, floor=trunk.floor + 700.0, trunk=False)
        made += [trunk, *_tributaries(rng, trunk, width / count, relief)]
    return made


def _trunk(rng: np.random.Generator, x: float, height: float, relief: Relief, *, flipped: bool) -> Valley:
    """Draw a winding line from the mouth at one edge to a head short of the other."""
    s = np.arange(-0.05 * height, 0.88 * height, STEP)
    bends = sum(
        rng.uniform(0.04, 0.1)
        * relief.spacing
        / k
        * np.sin(2 * np.pi * k * s / (1.3 * height) + rng.uniform(0, 6.28))
        for k in (1, 2, 3)
    )
    y = s if flipped else height - s
    part = np.clip((s / (0.88 * height) - relief.flat) / (1 - relief.flat), 0, 1)
    steps = ndimage.gaussian_filter1d(rng.standard_normal(s.size), 8) * 70.0 * np.minimum(1, part * 6)
    floor = relief.base + relief.rise * (0.75 * part + 0.25 * part**3) + steps
    return Valley(np.stack([x + bends, y], axis=1), floor, relief.width, relief.walls, trunk=True)


def _tributaries(rng: np.random.Generator, trunk: Valley, room: float, relief: Relief) -> list[Valley]:
    """Draw side valleys on alternate sides, steeper and narrower than their trunk."""
    made = []
    position, side = rng.uniform(0.1, 0.2) * trunk.floor.size, rng.choice([-1.0, 1.0])
    while position < trunk.floor.size - 8:
        start = int(position)
        ahead = trunk.points[min(start + 4, trunk.floor.size - 1)] - trunk.points[max(start - 4, 0)]
        angle = np.arctan2(ahead[1], ahead[0]) + side * np.deg2rad(rng.uniform(45, 75))
        length = rng.uniform(0.30, 0.45) * room
        s = np.arange(0, length, STEP)
        turn = angle + np.deg2rad(rng.uniform(-25, 25)) * s / length
        points = (
            trunk.points[start] + np.cumsum(np.stack([np.cos(turn), np.sin(turn)], axis=1), axis=0) * STEP
        )
        hang = relief.hang * np.clip(s / relief.width, 0, 1)
        climb = rng.uniform(0.03, 0.09) * s + 120.0 * (s / length) ** 2
        made.append(Valley(points, trunk.floor[start] + hang + climb, 0.5 * relief.width, 1.1 * relief.walls))
        position += rng.uniform(0.7, 1.2) * 0.19 * relief.spacing / STEP
        side = -side
    return made


def ground_lines(seed: int, shape: tuple[int, int], resolution: float, relief: Relief) -> list[Valley]:
    """Return the valleys below a grid of `shape` pixels, the main trunk first."""
    lines = valleys(seed, (shape[0] * resolution, shape[1] * resolution), relief)
    inside = [v for v in lines if v.trunk and 0 < v.points[:, 0].mean() < shape[1] * resolution]
    return [*inside, *(v for v in lines if not v.trunk)]


def ground(seed: int, shape: tuple[int, int], resolution: float, relief: Relief) -> F64:
    """Return the height of the ground (m) on `shape` pixels of `resolution` m, row 0 in the north."""
    extent = shape[0] * resolution, shape[1] * resolution
    coarse = max(1, round(STEP / resolution))
    small = -(-shape[0] // coarse), -(-shape[1] // coarse)
    size = resolution * coarse
    warp = [
        0.035 * relief.spacing * fractal(generator(seed, "warp", axis), small, 4, 4000 / size, 500 / size)
        for axis in "xy"
    ]
    x = (np.arange(small[1]) + 0.5)[None, :] * size + warp[0]
    y = (np.arange(small[0]) + 0.5)[:, None] * size + warp[1]
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    height, share = _lower_envelope(valleys(seed, extent, relief), places)
    whole = small[0] * coarse, small[1] * coarse
    fine = [resize(f.reshape(small), whole)[: shape[0], : shape[1]] for f in (height, share)]
    return _roughen(seed, smooth(fine[0], 0.5 * coarse), fine[1], resolution, relief)


def _lower_envelope(lines: list[Valley], places: F64) -> tuple[F64, F64]:
    """Return ``−c · log Σ exp(−h/c)`` over the valleys, a rounded minimum, and their wall shares (0 to 1)."""
    height = np.full(len(places), np.inf)
    total, shares = np.zeros(len(places)), np.zeros(len(places))
    for valley in lines:
        low, high = valley.points.min(axis=0) - REACH, valley.points.max(axis=0) + REACH
        near = np.flatnonzero(((places > low) & (places < high)).all(axis=1))
        distance, nearest = cKDTree(valley.points).query(places[near])
        rise = valley.walls * (np.hypot(distance, valley.width) - valley.width)
        candidate = valley.floor[nearest] + rise
        lowest = np.minimum(height[near], candidate)
        kept = np.where(
            np.isinf(height[near]), 0.0, np.exp((lowest - np.minimum(height[near], 1e9)) / ROUNDING)
        )
        weight = np.exp((lowest - candidate) / ROUNDING)
        total[near] = total[near] * kept + weight
        shares[near] = shares[near] * kept + weight * np.clip(rise / RIDGE, 0.0, 1.0)
        height[near] = lowest
    return height - ROUNDING * np.log(total), shares / total


def _roughen(seed: int, height: F64, share: F64, resolution: float, relief: Relief) -> F64:
    """Add fractal relief: strong on walls and crests, weak on floors, with gullies and sharpened crests."""
    shape = height.shape
    broad = fractal(generator(seed, "relief"), shape, 4.0, 3000 / resolution)
    gullies = -np.abs(fractal(generator(seed, "gullies"), shape, 3.6, 1000 / resolution, 60 / resolution))
    fine = fractal(generator(seed, "fine"), shape, 3.2, 300 / resolution)
    rough = broad + 0.6 * (gullies + 0.8) + 0.10 * fine
    return height + relief.roughness * (0.10 + 0.90 * share) * rough
