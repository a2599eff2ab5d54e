"""Where ice flows to: the flux of a mass balance, handed down a surface without pits."""

import heapq

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve_triangular

from icectl.arrays import F64, I64, Bools, Floats

NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]

STEP = 1e-3
"""Metres that a filled pit rises from cell to cell, so that ice leaves it."""


def drained(surface: Floats, ice: Bools, balance: Floats) -> F64:
    """Return the surface (m) with its pits filled, so that every cell of ice drains to an outlet.

    Outlets are the cells at the margin that lose mass, those at the map's border (ice goes on beyond), and
    the lowest cell of each part. The others are raised as far as it takes, in the order of height
    (Priority-Flood+ε; Barnes et al. 2014, *Comput. Geosci.* 62, 117–127).

    `surface`, `ice` and `balance` are ``(y, x)``; the balance's sign alone counts.
    """
    inner = np.zeros(ice.shape, dtype=bool)
    inner[1:-1, 1:-1] = True
    rim = ice & ~ndimage.binary_erosion(ice, np.ones((3, 3)))
    outlets = ice & ~inner | rim & (balance < 0)
    parts, count = ndimage.label(ice, np.ones((3, 3)))
    for place in ndimage.minimum_position(surface, parts, range(1, count + 1)):
        outlets[place] = True
    outlets, whole = np.pad(outlets, 1), np.pad(ice, 1)
    heights = np.pad(np.asarray(surface, dtype=np.float64), 1)
    width = whole.shape[1]
    level, todo = heights.ravel().tolist(), bytearray((whole & ~outlets).tobytes())
    steps = [dy * width + dx for dy, dx in NEIGHBOURS]
    queue = [(level[cell], cell) for cell in np.flatnonzero(outlets).tolist()]
    heapq.heapify(queue)
    while queue:
        height, cell = heapq.heappop(queue)
        for step in steps:
            near = cell + step
            if todo[near]:
                todo[near] = False
                level[near] = max(level[near], height + STEP)
                heapq.heappush(queue, (level[near], near))
    return np.array(level).reshape(whole.shape)[1:-1, 1:-1]


def balance_flux(surface: F64, ice: Bools, resolution: float, balance: F64) -> F64:
    """Return the ice flux (m²/a, per metre of width) that carries `balance` down the surface.

    Each cell hands its flux on to all lower neighbours in proportion to the slope towards them (Quinn
    et al. 1991, *Hydrol. Process.* 5, 59–79); one sparse solve. Pits are filled before (see `drained`): ice
    leaves at a margin that melts, at the map's border, or at the lowest cell.
    """
    surface = drained(surface, ice, balance)
    count = int(ice.sum())
    number = np.full(ice.shape, -1)
    number[ice] = np.arange(count)
    shares = _shares(surface, ice, number)
    matrix = sparse.eye_array(count, format="csc") - shares
    # Rows of higher cells do not depend on lower ones: in the order of height the system is triangular.
    order = np.argsort(-surface[ice], kind="stable")
    ordered = sparse.csr_array(matrix.tocsr()[order][:, order])
    flux = np.empty(count)
    flux[order] = spsolve_triangular(ordered, (balance[ice] * resolution**2)[order], lower=True)
    out = np.zeros(ice.shape)
    out[ice] = flux / resolution
    return out


def _shares(surface: F64, ice: Bools, number: I64) -> sparse.csc_array:
    """Return the matrix of the share of each cell's outflow (column) that each neighbour gets (row)."""
    padded, numbers = np.pad(surface, 1, mode="edge"), np.pad(number, 1, constant_values=-1)
    rows, cols = ice.shape
    parts, total = [], np.zeros(int(ice.sum()))
    for dy, dx in NEIGHBOURS:
        window = np.s_[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + cols]
        other, drop = numbers[window][ice], surface[ice] - padded[window][ice]
        # Diagonal neighbours lie farther off and share less of the cell's edge (Quinn's contour lengths).
        length, edge = (1.0, 0.5) if dy == 0 or dx == 0 else (2**0.5, 0.354)
        weight = np.where((other >= 0) & (drop > 0), np.maximum(drop, 0.0) / length * edge, 0.0)
        total += weight
        parts.append((other, weight))
    source = number[ice]
    entries = [
        (other[weight > 0], source[weight > 0], (weight / np.maximum(total, 1e-300))[weight > 0])
        for other, weight in parts
    ]
    target, origin, share = (np.concatenate(column) for column in zip(*entries, strict=True))
    return sparse.csc_array((share, (target, origin)), shape=(len(source), len(source)))
