"""Ice physics without a network: perfect plasticity, and thickness from the conservation of mass.

Both take the ice surface and the outline, nothing below. Heights and lengths are metres, stresses pascal,
mass balance metres of ice a year.
"""

import heapq

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve_triangular

from icectl.arrays import F64, I64, Bools, Floats

DENSITY = 917.0
"""Density of ice, kg/m³."""

GRAVITY = 9.81
"""m/s²."""

GLEN = 3
"""Exponent of Glen's flow law."""

RATE = 2.4e-24
"""Rate factor of temperate ice, 1/(s Pa³) (Cuffey & Paterson 2010, table 3.4)."""

YEAR = 365.25 * 86_400.0
SHAPE_FACTOR = 0.8
"""Share of the driving stress that the bed carries in a valley (Nye 1965)."""

CREEP = 0.5
"""Share of the surface speed that is creep; the rest is sliding."""

GENTLEST = 0.03
"""Least slope (m/m) used: on flatter ice neither law holds."""


def ice_slope(surface: Floats, ice: Bools, resolution: float, length: float) -> F64:
    """Return the slope (m/m) of the ice surface, averaged over ice within `length` metres (one sigma).

    The ground beside the glacier has no part in it.
    """
    down, right = np.gradient(np.asarray(surface, dtype=np.float64), resolution)
    parts = [over_ice(np.asarray(part), ice, length / resolution) for part in (down, right)]
    return np.asarray(np.hypot(*parts))


def over_ice(values: Floats, ice: Bools, sigma: float) -> F64:
    """Smooth `values` over `ice` alone with a Gaussian of `sigma` pixels; others keep their value."""
    if sigma < 0.3:
        return np.asarray(values, dtype=np.float64)
    total = ndimage.gaussian_filter(np.where(ice, values, 0.0), sigma, mode="constant")
    weight = ndimage.gaussian_filter(ice.astype(np.float64), sigma, mode="constant")
    return np.where(ice, total / np.maximum(weight, 1e-9), values)


def perfect_plasticity(
    surface: Floats,
    ice: Bools,
    resolution: float,
    yield_stress: float = 100_000.0,
    smoothing: float = 100.0,
) -> F64:
    """Return the thickness (m) of a perfectly plastic glacier, ``τ / (ρ g sin α)``; 0 off the ice.

    Nye (1951, *Proc. R. Soc. A* 207, 554–572); α is the surface slope averaged over `smoothing` metres.
    """
    slope = np.maximum(ice_slope(surface, ice, resolution, smoothing), GENTLEST)
    sine = np.sin(np.arctan(slope))
    return np.where(ice, yield_stress / (DENSITY * GRAVITY * sine), 0.0)


def steady_balance(surface: Floats, ice: Bools, gradient: float = 0.007) -> F64:
    """Return a mass balance (m of ice a year) linear in height that sums to nothing over the glacier.

    On many glaciers the gradient is smaller above the equilibrium line; half of it there changed nothing on
    measured glaciers left out.
    """
    heights = np.asarray(surface, dtype=np.float64)
    return np.where(ice, gradient * (heights - heights[ice].mean()), 0.0)


def mass_conservation(
    surface: Floats,
    ice: Bools,
    resolution: float,
    balance: F64 | None = None,
) -> F64:
    """Return the thickness (m) that shallow ice needs to carry the balance flux; 0 off the ice.

    ``h = ((n + 2) q / (2 A (f ρ g sin α)ⁿ))^(1/(n+2))``, the idea of Farinotti et al. (2009, *J. Glaciol.*
    55, 422–430) on a map instead of a flow line. Lengths of averaging follow the glacier's size √area:
    surface 3 %, slope 3 %, flux 6 %, chosen on measured glaciers other than the test's.

    `balance`: mass balance (m of ice a year); by default `steady_balance`. Its mean over the glacier is taken
    off, since only a balance that sums to nothing keeps the surface as it is.
    """
    size = np.sqrt(ice.sum()) * resolution
    heights = np.asarray(surface, dtype=np.float64)
    smooth = over_ice(heights, ice, 0.03 * size / resolution)
    source = steady_balance(heights, ice) if balance is None else balance - balance[ice].mean()
    flux = np.maximum(balance_flux(smooth, ice, resolution, np.where(ice, source, 0.0)), 0.0)
    flux = over_ice(flux, ice, 0.06 * size / resolution)
    flux = np.maximum(flux, 0.02 * np.percentile(flux[ice], 95))
    slope = np.maximum(ice_slope(heights, ice, resolution, 0.03 * size), GENTLEST)
    stress = SHAPE_FACTOR * DENSITY * GRAVITY * np.sin(np.arctan(slope))
    power = 1.0 / (GLEN + 2)
    depth = ((GLEN + 2) * flux / YEAR / (2 * RATE * stress**GLEN)) ** power
    return np.where(ice, depth, 0.0)


def velocity_inversion(surface: Floats, ice: Bools, resolution: float, speed: F64, length: float) -> F64:
    """Return the thickness (m) whose shallow-ice creep moves the surface as observed; 0 off the ice.

    ``h = ((n + 1) c u / (2 A (f ρ g sin α)ⁿ))^(1/(n+1))``, where half of the surface speed is creep and
    half is sliding (c = 0.5) and A is that of temperate ice, the method of Gantayat et al. (2014, *J.
    Glaciol.* 60, 805–821).

    `speed`: surface speed (m/a), ``(y, x)``; NaN counts as nothing known and gives 0. `length`: metres over
    which slope and speed are averaged: a few thicknesses, over which stress is passed on.
    """
    slope = np.maximum(ice_slope(surface, ice, resolution, length), GENTLEST)
    known = np.isfinite(speed) & ice
    creep = CREEP * over_ice(np.where(known, speed, 0.0), known, 0.5 * length / resolution) / YEAR
    stress = SHAPE_FACTOR * DENSITY * GRAVITY * np.sin(np.arctan(slope))
    depth = ((GLEN + 1) * creep / (2 * RATE * stress**GLEN)) ** (1 / (GLEN + 1))
    return np.where(known, depth, 0.0)


def edge_distance(ice: Bools, resolution: float) -> F64:
    """Return the distance (m) of each ice pixel to the edge of the ice, half a pixel off the rim; 0 off it.

    The map's border counts as ice going on, unless nothing but ice is on the map.
    """
    padded = np.pad(ice, 1, mode="edge") if not ice.all() else np.pad(ice, 1)
    distance = ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * resolution
    return np.where(ice, np.maximum(distance - resolution / 2, resolution / 2), 0.0)


ICE_DENSITY = 900.0
"""kg/m³ of glacier ice with its firn, for mass (the usual value; thickness by flow laws uses 917)."""

WATER_DENSITY = 1000.0
OCEAN_AREA = 3.625e8
"""km² (Cogley et al. 2011)."""


def sea_level(volume: float) -> float:
    """Return millimetres of sea level for km³ of ice above the sea's level: all of it melts into the ocean.

    >>> round(sea_level(158_000.0), 1)
    392.3
    """
    return volume * ICE_DENSITY / WATER_DENSITY / OCEAN_AREA * 1e6


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
