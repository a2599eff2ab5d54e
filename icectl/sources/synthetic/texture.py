"""What rides on the ice: crevasses, ogives and dirt bands, carried along by the surface velocity."""

import numpy as np
from scipy import ndimage

from icectl.arrays import F64
from icectl.sources.synthetic.noise import fractal, generator
from icectl.sources.synthetic.world import World

YEAR = 365.0
"""Days to a year of velocity, as ITS_LIVE counts."""

STEP = 20.0
"""Longest step of a trajectory (days)."""

LIFE = 900.0
"""Days in which a pattern is born, carried and forgotten."""


def origin(world: World, days: float) -> tuple[F64, F64]:
    """Return the (row, column) where the ice now at each pixel was `days` ago (negative: will be).

    Trajectories through the steady surface velocity, by the midpoint rule. Off the ice nothing moves.
    """
    per_day = 1.0 / YEAR / world.resolution
    right, down = world.ice.vx * per_day, -world.ice.vy * per_day  # pixels a day
    grid = [axis.astype("float64") for axis in np.mgrid[: world.shape[0], : world.shape[1]]]
    rows, columns = (axis[world.glacier] for axis in grid)
    steps = max(1, int(np.ceil(abs(days) / STEP)))
    step = days / steps
    for _ in range(steps):
        middle = (
            rows - 0.5 * step * _at(down, rows, columns),
            columns - 0.5 * step * _at(right, rows, columns),
        )
        rows, columns = rows - step * _at(down, *middle), columns - step * _at(right, *middle)
    grid[0][world.glacier], grid[1][world.glacier] = rows, columns
    return grid[0], grid[1]


def _at(field: F64, rows: F64, columns: F64) -> F64:
    return np.asarray(ndimage.map_coordinates(field, (rows, columns), order=1, mode="nearest"))


def pattern(world: World, day: int) -> F64:
    """Return the pattern on the ice on `day` (an ordinal), of about zero mean and unit variance.

    Two generations overlap, half a life apart, each fading in and out; both ride on the same ice, so that the
    whole moves with the velocity and never wears out.
    """
    total = np.zeros(world.shape)
    for offset in (0.0, 0.5):
        life = day / LIFE + offset
        generation, age = int(np.floor(life)), life - np.floor(life)
        rows, columns = origin(world, (age - 0.5) * LIFE)
        born = ndimage.spline_filter(_crevasses(world, generation, offset))
        carried = ndimage.map_coordinates(born, (rows, columns), order=3, mode="mirror", prefilter=False)
        total += np.sin(np.pi * age) * carried  # squares of the two weights sum to one
    return total


def _crevasses(world: World, generation: int, offset: float) -> F64:
    """Return one generation's pattern: crevasses across the flow, bands of dirt along it, and grain."""
    rng = generator(world.seed, "crevasses", generation, int(2 * offset))
    across = fractal(rng, world.shape, 1.6, 22, 2.5, aspect=2.2)
    grain = fractal(rng, world.shape, 1.2, 9, 2.0)
    bands = fractal(rng, world.shape, 2.2, 60, 4, aspect=0.4)
    return np.asarray((np.clip(across, -2.0, 1.2) + 0.5 * grain + 0.7 * bands) / 1.25)
