"""Neighbours taken into account as far as a cell's own noise asks for it, and errors told from them."""

import numpy as np
from numpy.typing import ArrayLike

from icectl.arrays import F64
from icectl.tasks.flow.velocity.confirm import WIDTH, neighbours


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
    padded = np.pad(velocity, ((lag, lag), (lag, lag), (0, 0)), constant_values=np.nan)
    inner = padded[lag:-lag, lag:-lag]
    squares = [
        (inner - (np.roll(padded, lag, axis) + np.roll(padded, -lag, axis))[lag:-lag, lag:-lag] / 2) ** 2
        for axis in (0, 1)
    ]
    near = np.concatenate([neighbours(s[..., k]) for s in squares for k in (0, 1)], axis=-1)
    return np.asarray(np.sqrt(_mean(near) / share))


def calm(velocity: F64, noise: F64, spread: float, gain: float) -> F64:
    """Move each cell towards the plane through its neighbours, as far as its noise explains the difference.

    With the plane's value p, a cell's own v and the variance n² of its noise, v + g (p − v) is best for
    g = −E[(v − truth)(p − v)] / E[(p − v)²]; the numerator is ``gain`` n², the denominator is measured
    in the neighbourhood. Where velocities vary by more than noise does, little is changed.

    Parameters
    ----------
    velocity, noise
        ``(rows, cols, 2)``, NaN where unknown; ``(rows, cols)`` its standard error.
    spread
        Width of the Gaussian of the neighbours' weights, in cells.
    """
    known = np.isfinite(velocity[..., 0])
    if not known.any():
        return velocity
    half = WIDTH // 2
    across, along = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1).astype(float)
    near = neighbours(np.where(known, 1 / np.maximum(noise, 1e-9) ** 2, 0.0))
    near = np.nan_to_num(near) * np.exp(-(across**2 + along**2) / (2 * spread**2))
    base = np.stack([np.ones_like(across), across, along])
    matrix = 1e-30 * np.eye(3) + np.einsum("rcn,in,jn->rcij", near, base, base)
    matrix = matrix + 1e-3 * np.maximum(matrix[..., :1, :1], 1e-12) * np.diag([0, 1, 1])
    plane = np.empty_like(velocity)
    for k in (0, 1):
        values = np.nan_to_num(neighbours(velocity[..., k]))
        right = np.einsum("rcn,in,rcn->rci", near, base, values)
        plane[..., k] = np.linalg.solve(matrix, right[..., None])[..., 0, 0]
    off = plane - velocity
    apart = _mean(neighbours((off**2).mean(axis=-1)))
    share = np.clip(gain * noise**2 / np.maximum(apart, 1e-30), 0, 1)
    return velocity + share[..., None] * off


def _mean(values: F64) -> F64:
    known = np.isfinite(values)
    number = known.sum(axis=-1)
    return np.where(number > 0, np.where(known, values, 0.0).sum(axis=-1) / np.maximum(number, 1), np.nan)
