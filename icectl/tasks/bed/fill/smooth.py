"""Fill a hole in a height field from its rim: biharmonic, harmonic, inverse distance.

The biharmonic and harmonic fills are one sparse direct solve over the hidden pixels, so their
cost follows the hole and not the map; a rectangular hole is solved by sine transforms, faster still.
Heights are metres, arrays ``(y, x)``.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage, sparse
from scipy.fft import dstn
from scipy.ndimage import laplace
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from icectl.arrays import F64, I64, Bools, Floats
from icectl.errors import DataError

LARGEST_SOLVE = 150_000
"""Hidden pixels above which a hole is filled on a coarser grid first (memory of the factors)."""


def biharmonic(heights: Floats, hidden: Bools) -> F64:
    """Fill `hidden` so that the bilaplacian of the surface vanishes there.

    The stencil is the discrete Laplacian applied twice, shrunk by reflection at the map's edge,
    as in ``skimage.restoration.inpaint_biharmonic``, to which the result is equal to rounding
    (Damelin & Hoang 2018, *On surface completion and image inpainting by biharmonic functions*).

    `heights`: ``(y, x)`` metres; values under `hidden` are never read. `hidden`: ``(y, x)`` True where the
    height is to be filled in.

    Returns ``(y, x)`` float64 heights, unchanged outside `hidden`.

    DataError: if nothing is known to fill from.
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


Box = tuple[int, int, int, int]


def rectangle(hidden: Bools) -> Box | None:
    """Return (top, bottom, left, right) if `hidden` is one full rectangle two pixels off the map's edge."""
    rows, cols = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
    if not len(rows):
        return None
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
    inside = top >= 2 and left >= 2
    inside &= bottom <= hidden.shape[0] - 2 and right <= hidden.shape[1] - 2
    return (top, bottom, left, right) if inside and bool(hidden[top:bottom, left:right].all()) else None


def fill_rectangle(heights: F64, box: Box) -> F64:
    """Return the biharmonic fill of `box`, ``(bottom - top, right - left)``, from the two pixels around it.

    By sine transforms, in O(n² log n) for n × n pixels. With heights known two pixels deep around it, the
    discrete bilaplacian is ``L² + D``: the square of the Dirichlet Laplacian, which the sine transform makes
    diagonal, and ones on the rectangle's edge pixels (twos in its corners). ``D`` joins only modes of one
    parity in each direction, so the correction for it is four small dense systems, as in Bjørstad (1983,
    *SIAM J. Numer. Anal.* 20, 59–71). `heights` must be 0 inside the box.
    """
    top, bottom, left, right = box
    window = heights[top - 2 : bottom + 2, left - 2 : right + 2]
    level = float(window[0].mean())  # a plane solves the equation: taking off the level saves digits
    window = window - level
    window[2:-2, 2:-2] = 0.0
    load = -laplace(laplace(window, mode="constant"), mode="constant")[2:-2, 2:-2]
    return np.asarray(_solve_rectangle(load) + level)


def _solve_rectangle(load: F64) -> F64:
    """Solve ``(L² + D) v = load`` on a rectangle with nothing around it."""
    spectrum = dstn(load, type=1, norm="ortho")
    sine_y, value_y = _modes(load.shape[0])
    sine_x, value_x = _modes(load.shape[1])
    green = (value_y[:, None] + value_x[None, :]) ** -2
    for i in (0, 1):
        for j in (0, 1):
            part = np.s_[i::2, j::2]
            spectrum[part] = _correct(spectrum[part], green[part], sine_y[i::2], sine_x[j::2])
    return np.asarray(dstn(spectrum, type=1, norm="ortho"))


def _modes(n: int) -> tuple[F64, F64]:
    """Return √2 × each mode's value on the first pixel, and its eigenvalue of minus the Laplacian."""
    angle = np.pi * np.arange(1, n + 1) / (n + 1)
    return np.sqrt(4.0 / (n + 1)) * np.sin(angle), 2.0 - 2.0 * np.cos(angle)


def _correct(load: F64, green: F64, edge_y: F64, edge_x: F64) -> F64:
    """Solve one parity class by Woodbury's identity; the unknowns of the rows' ends go first."""
    if not load.size:
        return load
    free = green * load
    ends = edge_y @ free  # what the free solution does on the first and last row, by column mode
    sides = free @ edge_x
    diagonal_x = 1.0 + edge_y**2 @ green
    diagonal_y = 1.0 + green @ edge_x**2
    mixed = edge_y[:, None] * green * edge_x[None, :]
    scaled = mixed / diagonal_x
    schur = np.diag(diagonal_y) - scaled @ mixed.T
    force_y = np.linalg.solve(schur, sides - scaled @ ends)
    force_x = (ends - mixed.T @ force_y) / diagonal_x
    return np.asarray(free - green * (edge_y[:, None] * force_x + force_y[:, None] * edge_x))
