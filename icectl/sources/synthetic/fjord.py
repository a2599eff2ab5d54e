"""The calving front: where the ice ends in the sea, on every day.

The front stands R(t) behind its farthest advance. Calving would take it to

    R*(t) = R₀ + loss · (t − 1995) + season(t) + slow wander + large events that heal in months,

but the ice can bring it forward no faster than it flows: dR/dt ≥ −u. So it creeps out through winter and
spring and breaks back in summer. Across the valley its shape is an arc, with bays and headlands that come
and go.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import shapely
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import find_contours, label

from icectl.arrays import F64, Bools
from icectl.errors import UsageError
from icectl.sources.synthetic.noise import generator, smooth
from icectl.sources.synthetic.terrain import ground_lines
from icectl.sources.synthetic.world import FRONT_LINE, World

EPOCH = date(1985, 1, 1)
DAYS = 366 * 45
RANGE = 1500.0
"""Greatest retreat from the farthest advance (m)."""


@dataclass(frozen=True, slots=True)
class Fjord:
    """The main valley: `along` (m, growing seaward), `across` (m from its line), and the front in it.

    `farthest` is the farthest advance as a value of `along`; `speed` that of the ice behind it (m a⁻¹).
    """

    world: World
    along: F64
    across: F64
    farthest: float
    speed: float

    def level(self, day: date) -> F64:
        """Return metres seaward of the front at every pixel; negative behind it. Zero is the front."""
        return self.along - self.farthest + self.retreat(day) + self._shape(day)

    def retreat(self, day: date) -> float:
        """Return how far the front's middle stands behind its farthest advance (m)."""
        return float(_positions(self.world.seed, self.speed)[(day - EPOCH).days])

    def _shape(self, day: date) -> F64:
        """Return how far each place across the front lags behind its middle (m)."""
        months = (day - EPOCH).days / 30.4
        rng = generator(self.world.seed, "bays")
        arc = 220.0 * np.clip(self.across / 700.0, -1.6, 1.6) ** 2
        bays = np.zeros_like(arc)
        for order in range(1, 6):
            phase, drift = rng.uniform(0, 6.28), rng.uniform(-0.25, 0.25)
            bays += 60.0 / order * np.sin(2 * np.pi * order * self.across / 1600.0 + phase + drift * months)
        return arc + bays

    def ice(self, day: date) -> Bools:
        """Return where there is ice on `day`."""
        return np.asarray(self.world.glacier & ~(self.tongue & (self.level(day) >= 0)))

    def water(self, day: date) -> Bools:
        """Return where there is open water, or what floats on it."""
        return np.asarray((self.world.bed < 0) & ~self.ice(day) & self.basin)

    @property
    def tongue(self) -> Bools:
        """Where the ice may break off: the main valley within reach of the front."""
        near = (np.abs(self.across) < 1500.0) | (self.along > self.farthest)
        return np.asarray((self.along > self.farthest - RANGE - 900.0) & near)

    @property
    def basin(self) -> Bools:
        """The part of the valley below sea level that the sea can reach: fjord, and bed it would flood."""
        labels = label(self.world.bed < 0, connectivity=1)
        row, column = np.unravel_index(
            int(np.argmin(np.where(self.along > self.farthest, self.world.bed, 1e9))), self.world.shape
        )
        return np.asarray(labels == labels[row, column])

    def front(self, day: date) -> shapely.LineString:
        """Return the front in map coordinates, wall to wall: the zero of `level` in the fjord."""
        level = self.level(day)
        channel = ndimage.binary_dilation(self.basin & self.world.glacier & self.tongue, iterations=1)
        pieces = find_contours(level, 0.0, mask=channel)
        if not pieces:
            raise UsageError(
                f"the synthetic fjord {self.world.seed} has no front on {day}", "use another seed"
            )
        longest = max(pieces, key=len)
        points = [self.world.grid.affine @ (column + 0.5, row + 0.5) for row, column in longest]
        return shapely.LineString(points)


def fjord(world: World) -> Fjord:
    """Return the fjord of a world of that setting.

    UsageError: if the world is an alpine one, which has no sea.
    """
    if world.setting != "fjord":
        raise UsageError("an alpine world has no calving front", 'make the world with setting="fjord"')
    line = ground_lines(world.seed, world.shape, world.resolution, world.relief)[0]
    rows, columns = np.mgrid[: world.shape[0], : world.shape[1]]
    places = np.stack([(columns + 0.5) * world.resolution, (rows + 0.5) * world.resolution], axis=-1)
    distance, nearest = cKDTree(line.points).query(places.reshape(-1, 2))
    direction = np.gradient(line.points, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    step = places.reshape(-1, 2) - line.points[nearest]
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line.points, axis=0), axis=1))])
    along = -(lengths[nearest] + (step * direction[nearest]).sum(axis=1))
    side = np.sign(direction[nearest, 0] * step[:, 1] - direction[nearest, 1] * step[:, 0])
    along, across = (f.reshape(world.shape) for f in (along, side * distance))
    middle = np.abs(across) < 2 * world.resolution
    at_line = np.abs(rows - FRONT_LINE * world.shape[0]) < 1.5
    farthest = float(along[middle & at_line].mean()) - 100.0
    tip = world.glacier & (np.abs(across) < 500.0) & (along > farthest - 900.0) & (along < farthest)
    speeds = np.hypot(world.ice.vx, world.ice.vy)[tip]
    speed = max(float(speeds.mean()) if speeds.size else 0.0, 100.0)
    return Fjord(world, smooth(along, 2.0), smooth(across, 2.0), farthest, round(speed, 6))


@lru_cache(maxsize=8)
def _positions(seed: int, speed: float) -> F64:
    """Return the retreat behind the farthest advance (m) on every day since `EPOCH`; `speed` in m a⁻¹."""
    rng = generator(seed, "calving")
    days = np.arange(DAYS)
    swing, loss = rng.uniform(110, 190), rng.uniform(4.0, 12.0)
    year = days / 365.25 + EPOCH.year
    season = swing * (1 - np.cos(2 * np.pi * (year - 0.42))) / 2  # farthest out at the end of May
    wander = ndimage.gaussian_filter1d(rng.standard_normal(DAYS), 300) * 2600.0
    events = (rng.random(DAYS) < 0.004) * rng.exponential(70.0, DAYS)
    fresh = ndimage.convolve1d(events, np.exp(-np.arange(0, 400) / 120.0), origin=-200, mode="constant")
    wanted = 250.0 + loss * np.maximum(year - 1995, 0) + season + wander + fresh
    retreat = np.clip(wanted, 0.0, RANGE)
    for day in days[1:]:
        retreat[day] = max(retreat[day], retreat[day - 1] - speed / 365.25)
    return np.asarray(retreat)
