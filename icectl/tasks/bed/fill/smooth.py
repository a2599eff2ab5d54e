"""Fill a hole in a height field from its rim: biharmonic, harmonic, inverse distance.

The biharmonic and harmonic fills are one sparse direct solve over the hidden pixels, so their
cost follows the hole and not the map; a rectangular hole is solved by sine transforms, faster still.
Heights are metres, arrays ``(y, x)``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from icectl.arrays import F64, I64, Bools, Floats
from icectl.errors import DataError
from icectl.tasks.bed.fill.rectangle_fill import fill_rectangle, rectangle

LARGEST_SOLVE = 150_000
"""Hidden pixels above which a hole is filled on a coarser grid first (memory of the factors)."""


def biharmonic(heights: Floats, hidden: Bools) -> F64:
    """Fill `hidden` so that the bilaplacian of the surface vanishes there.

    The stencil is the discrete Laplacian applied twice, shrunk by reflection at the map's edge,
    as in ``skimage.restoration.inpaint_biharmonic``, to which the result is equal to rounding
    (Damelin & Hoang 2018, *On surface completion and image inpainting by biharmonic functions*).

    Parameters
    ----------
    heights
        ``(y, x)`` metres; values under `hidden` are never read.
    hidden
        ``(y, x)`` True where the height is to be filled in.

    Returns
    -------
    numpy.ndarray
        ``(y, x)`` float64 heights, unchanged outside `hidden`.

    Raises
    ------
    DataError
        If nothing is known to fill from.
    """
    box = rectangle(hidden)
    if box is None:
        return _solve(heights, hidden, radius=2)
    out = _start(heights, hidden)
    out[box[0] : box[1], box[2] : box[3]] = fill_rectangle(out, box)
    return out


def harmonic(heights: Floats, hidden: Bools) -> F64:
    """Fill `hidden` so that the Laplacian vanishes there: a stretched membrane."""
    return _solve(heights, hidden, radius=1)


def inverse_distance(heights: Floats, hidden: Bools) -> F64:
    """Fill `hidden` with the mean of the 64 nearest rim pixels, weighted by distance to ``-2``."""
    out = _start(heights, hidden)
    rim = ndimage.binary_dilation(hidden, iterations=2) & ~hidden
    if not hidden.any():
        return out
    known = np.argwhere(rim)
    count = min(64, len(known))
    distance, index = cKDTree(known).query(np.argwhere(hidden), k=count)
    distance, index = distance.reshape(-1, count), index.reshape(-1, count)
    weight = distance**-2.0
    out[hidden] = (weight * out[rim][index]).sum(1) / weight.sum(1)
    return out


def bounded(fill: Callable[[Floats, Bools], F64], heights: Floats, hidden: Bools) -> F64:
    """Apply `fill`, on a coarser grid where the hole is too large for one direct solve.

    The grid is halved until no more than `LARGEST_SOLVE` pixels are hidden; the coarse fill is
    brought back by linear interpolation, and the known heights stay as they are.
    """
    if int(hidden.sum()) <= LARGEST_SOLVE:
        return fill(heights, hidden)
    coarse, unknown = halve(heights, hidden)
    small = bounded(fill, coarse, unknown)
    return np.where(hidden, widen(small, heights.shape, 2), _start(heights, hidden))


def widen(values: Floats, shape: tuple[int, ...], factor: int, order: int = 1) -> F64:
    """Bring values from a grid of pixels `factor` times as wide to `shape`, by splines of `order`."""
    if factor == 1:
        return np.asarray(values, dtype=np.float64)
    axes = [(np.arange(n) + 0.5) / factor - 0.5 for n in shape]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.asarray(ndimage.map_coordinates(values, grid, order=order, mode="nearest"), dtype=np.float64)


def halve(heights: Floats, hidden: Bools) -> tuple[F64, Bools]:
    """Average the known heights of each 2×2 block; a block with none is hidden."""
    pad = [(0, n % 2) for n in heights.shape]
    values = np.pad(_start(heights, hidden), pad, mode="edge")
    known = np.pad(~hidden, pad, mode="edge")
    shape = (values.shape[0] // 2, 2, values.shape[1] // 2, 2)
    weight = known.reshape(shape).sum((1, 3))
    total = np.where(known, values, 0.0).reshape(shape).sum((1, 3))
    return total / np.maximum(weight, 1), weight == 0


def _start(heights: Floats, hidden: Bools) -> F64:
    if heights.shape != hidden.shape:
        raise ValueError(f"heights {heights.shape} and mask {hidden.shape} differ in shape")
    if hidden.all():
        raise DataError("every pixel of the window is hidden", "take a larger window around the glacier")
    out = np.array(heights, dtype=np.float64)
    out[hidden] = 0.0
    return out


def _solve(heights: Floats, hidden: Bools, radius: int) -> F64:
    """Assemble and solve the Laplacian applied `radius` times over the hidden pixels."""
    out = _start(heights, hidden)
    if not hidden.any():
        return out
    points = np.argwhere(hidden)
    number = np.full(hidden.shape, -1, dtype=np.int64)
    number[hidden] = np.arange(len(points))
    rows, flat, weights = _stencils(points, hidden.shape, radius)
    column = number.ravel()[flat]
    inner = column >= 0
    matrix = sparse.csc_array(
        (weights[inner], (rows[inner], column[inner])), shape=(len(points), len(points))
    )
    known = np.bincount(
        rows[~inner], weights=weights[~inner] * out.ravel()[flat[~inner]], minlength=len(points)
    )
    # Inner rows are symmetric and diagonally strong: ordering by AᵀA, the usual choice, costs 5x the fill.
    factors = splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True}
    )
    out[hidden] = factors.solve(-known)
    return out


def _stencils(points: I64, shape: tuple[int, ...], radius: int) -> tuple[I64, I64, F64]:
    """Return (row of the system, flat pixel, weight) of every stencil entry.

    Points are grouped by how near they lie to the map's edge: a group shares one stencil.
    """
    low = np.minimum(points, radius)
    high = np.minimum(np.array(shape) - 1 - points, radius)
    kinds, kind = np.unique(np.hstack([low, high]), axis=0, return_inverse=True)
    parts: list[tuple[I64, I64, F64]] = []
    for i, (top, left, bottom, right) in enumerate(kinds):
        mine = np.flatnonzero(kind.ravel() == i)
        spot = np.zeros((top + bottom + 1, left + right + 1))
        spot[top, left] = 1.0
        for _ in range(radius):
            spot = ndimage.laplace(spot)
        dy, dx = np.nonzero(spot)
        y = points[mine, 0][:, None] + dy - top
        x = points[mine, 1][:, None] + dx - left
        weight = np.broadcast_to(spot[dy, dx], y.shape)
        parts.append((np.repeat(mine, len(dy)), (y * shape[1] + x).ravel(), weight.ravel()))
    rows, flat, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return rows, flat, weights
