"""Neighbours taken into account as far as a cell's own noise asks for it, and errors told from them."""

import numpy as np
from numpy.typing import ArrayLike

from icectl.arrays import F64
from icectl.imagery.strips import in_strips
from icectl.tasks.flow.velocity.confirm import CELLS, WIDTH, neighbours

SURFACES = (1, 1.0), (1, 2.0), (2, 2.0)
"""Surfaces tried through a cell's neighbours: order (plane, quadratic) and relative width."""


def rough(velocity: F64, lag: int, alike: ArrayLike) -> F64:
    """Return the error of a component that second differences between neighbours tell ``(rows, cols)``.

    They hold noise and what a chip cannot resolve, and nothing of a steady rise.

    Parameters
    ----------
    velocity
        ``(rows, cols, 2)``, NaN where unknown.
    lag
        Cells between the three of a difference.
    alike
        Correlation of the noise of cells one and two lags apart.
    """
    once, twice = np.asarray(alike)
    share = 1.5 - 2 * once + twice / 2
    halo = lag + WIDTH // 2
    square = in_strips(lambda part: (_bends(part, lag),), velocity, halo=halo, pixels=CELLS)[0]
    return np.asarray(np.sqrt(square / share))


def _bends(velocity: F64, lag: int) -> F64:
    """Return the mean square of the second differences around each cell."""
    padded = np.pad(velocity, ((lag, lag), (lag, lag), (0, 0)), constant_values=np.nan)
    inner = padded[lag:-lag, lag:-lag]
    squares = [
        (inner - (np.roll(padded, lag, axis) + np.roll(padded, -lag, axis))[lag:-lag, lag:-lag] / 2) ** 2
        for axis in (0, 1)
    ]
    near = np.concatenate([neighbours(s[..., k]) for s in squares for k in (0, 1)], axis=-1)
    return _mean(near)


def calm(velocity: F64, noise: F64, spread: float, alike: float) -> tuple[F64, F64]:
    """Move each cell towards a surface through its neighbours, as far as its noise explains the difference.

    With the surface's value p, a cell's own v and the variance n² of its noise, v + g (p − v) is best for
    g = −E[(v − truth)(p − v)] / E[(p − v)²]. The numerator is n² (1 − s), where s is the share of a cell's
    noise that its own surface holds; the denominator is measured in the neighbourhood. Of `SURFACES` each
    cell takes the one that leaves the least error: where velocities bend by more than noise does, that is a
    narrow or a bent one, and little is changed.

    Parameters
    ----------
    velocity, noise
        ``(rows, cols, 2)``, NaN where unknown; ``(rows, cols)`` its standard error.
    spread
        Width of the Gaussian of the neighbours' weights, in cells, for the narrowest surface.
    alike
        Noises of cells d cells apart correlate by exp(−d² / 4 alike²); 0 for independent noise.

    Returns
    -------
    Velocity, and the standard error left to it.
    """
    wide = int(np.ceil(2 * spread * max(wider for _, wider in SURFACES)))
    halo = wide + WIDTH // 2
    found = in_strips(lambda v, n: _calm(v, n, spread, alike), velocity, noise, halo=halo, pixels=CELLS // 2)
    return found[0], found[1]


def _calm(velocity: F64, noise: F64, spread: float, alike: float) -> tuple[F64, F64]:
    """Do it for some rows of cells."""
    known = np.isfinite(velocity[..., 0])
    if not known.any():
        return velocity, noise
    weights = np.where(known, 1 / np.maximum(noise, 1e-9) ** 2, 0.0)
    variance, moved = noise**2, np.zeros_like(velocity)
    least, left = variance, variance
    for order, wider in SURFACES:
        near, offsets = _surface(weights, order, spread * wider)
        width = round(np.sqrt(offsets.size))
        around = [np.nan_to_num(neighbours(v, width)) for v in np.moveaxis(velocity, -1, 0)]
        off = np.stack([(near * values).sum(axis=-1) for values in around], axis=-1) - velocity
        own = np.clip(near @ np.exp(-((offsets / max(2 * alike, 1e-3)) ** 2)), 0, 1)
        apart = np.maximum(_mean(neighbours((off**2).mean(axis=-1))), 1e-30)
        told = variance * (1 - own)
        share = np.minimum(told / apart, 1)
        rest = variance - 2 * share * told + share**2 * apart
        better = rest < least
        least = np.where(better, rest, least)
        left = np.where(better, np.maximum(rest, variance * own), left)
        moved = np.where(better[..., None], share[..., None] * off, moved)
    return velocity + moved, np.sqrt(left)


def _surface(weights: F64, order: int, spread: float) -> tuple[F64, F64]:
    """Return what each neighbour adds to a surface at a cell, ``(rows, cols, n)``, and how far it is."""
    half = int(np.ceil(2 * spread))
    across, along = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1).astype(float)
    near = np.nan_to_num(neighbours(weights, 2 * half + 1))
    near = near * np.exp(-(across**2 + along**2) / (2 * spread**2))
    powers = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
    base = np.stack([across**i * along**j for i, j in powers])
    products = (base[:, None] * base).reshape(-1, base.shape[1]).T
    matrix = (near @ products).reshape(*weights.shape, len(base), len(base)) + 1e-30 * np.eye(len(base))
    loose = np.diag([0.0] + [1.0] * (len(base) - 1))
    matrix += 1e-3 * np.maximum(matrix[..., :1, :1], 1e-12) * loose
    first = np.zeros((*weights.shape, len(base), 1))
    first[..., 0, 0] = 1
    return near * (np.linalg.solve(matrix, first)[..., 0] @ base), np.hypot(across, along)


def _mean(values: F64) -> F64:
    known = np.isfinite(values)
    number = known.sum(axis=-1)
    return np.where(number > 0, np.where(known, values, 0.0).sum(axis=-1) / np.maximum(number, 1), np.nan)
