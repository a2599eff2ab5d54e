"""Which velocities are believed: what two pairs say, and what one pair says like the ice around it."""

import numpy as np

from icectl.arrays import F64, I64, Bools
from icectl.imagery.strips import in_strips
from icectl.tasks.flow.velocity.averaging import AGREEMENT, YEAR

TOLERANCE = 0.25
"""Share of the speed by which a pair may differ from the mean, beside `AGREEMENT` pixels over its span."""

DEVIATIONS = 3.0
"""How many times farther than its neighbours among themselves an unconfirmed cell may lie from them."""


def supporters(layers: F64, velocity: F64, spans: F64) -> I64:
    """Count the pairs that say what the combination says.

    Parameters
    ----------
    layers
        ``(pairs, rows, cols, 2)`` velocities in pixels a year, NaN where a pair tells none.
    velocity
        ``(rows, cols, 2)`` their combination.
    spans
        ``(pairs,)`` days.

    Returns
    -------
    ``(rows, cols)`` pairs within `AGREEMENT` pixels over their span and `TOLERANCE` of the speed.

    Examples
    --------
    >>> layers = np.array([[[[10.0, 0]]], [[[11.0, 0]]], [[[90.0, 0]]]])
    >>> int(supporters(layers, np.array([[[10.5, 0]]]), np.array([365.0, 365, 365]))[0, 0])
    2
    """
    off = np.hypot(*np.moveaxis(layers - velocity, -1, 0))
    speed = np.hypot(*np.moveaxis(velocity, -1, 0))
    slack = AGREEMENT * YEAR / np.maximum(spans, 1e-6)[:, None, None] + TOLERANCE * speed
    return np.asarray((off <= slack).sum(axis=0))


def believed(velocity: F64, support: I64, slack: float, fastest: float | None) -> Bools:
    """Return which cells are kept.

    A cell that two pairs agree on is kept. One that a single pair tells is kept if it is like the confirmed
    cells in 5 × 5 around it (normalised median test, Westerweel and Scarano 2005,
    doi:10.1007/s00348-005-0016-6) and not faster than all of them; what is faster than `fastest` is not.

    Parameters
    ----------
    velocity
        ``(rows, cols, 2)``, NaN where unknown; any unit.
    support
        ``(rows, cols)`` pairs that say so.
    slack
        Difference to its neighbours that counts for nothing, in the unit of `velocity`.
    fastest
        Greatest speed, or None.
    """
    known = np.isfinite(velocity[..., 0])
    sure = known & (support >= 2)
    keep = sure.copy()
    if not sure.any():
        keep = known.copy()  # one pair alone: nothing to confirm it by
    alone = known & ~sure & sure.any()
    off = np.zeros(known.shape, dtype=bool)
    some = np.zeros(known.shape, dtype=np.int64)
    for component in np.moveaxis(velocity, -1, 0):
        near = neighbours(np.where(sure, component, np.nan))
        some = np.isfinite(near).sum(axis=-1)
        middle = median(near)
        spread = median(np.abs(near - middle[..., None]))
        off |= ~(np.abs(component - middle) <= DEVIATIONS * (1.4826 * spread + slack))
    speed = np.hypot(*np.moveaxis(velocity, -1, 0))
    around = neighbours(np.where(sure, speed, -np.inf))
    off |= speed > np.nan_to_num(around, nan=-np.inf).max(axis=-1) + slack
    keep |= alone & ~off & (some >= 3)
    if fastest is not None:
        keep &= ~(speed > fastest)
    return keep


def speed_bias(speed: F64, error: F64) -> F64:
    """Return by how much noise raises a speed: errors of both components add to its square.

    For a component error σ the expected speed exceeds the true one by about σ²/2v, and v − √(v² − σ²)
    estimates it (Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618).

    `speed` and `error`: measured speed and standard error of a component, of one shape and unit.

    Examples
    --------
    >>> float(speed_bias(np.array(100.0), np.array(20.0)).round(2))
    2.02
    """
    return np.asarray(speed - np.sqrt(np.maximum(speed**2 - error**2, 0)))


WIDTH = 5
FRACTION_VALID = 8 / 25
FRACTION_SEARCH = 0.20
MAD_SCALAR = 4.0
REPEATS = 3
CELLS = 2**15
"""Cells that are tested at a time, with the neighbours of each."""

LEAST_MAD = 0.1
"""Pixels; a field that is smooth to less than this is not torn apart by the second test."""

LEAST_NEAR = 3
"""Cells that must agree, the one itself among them."""


def coherent(dy: F64, dx: F64, reach: float, own: Bools | None = None) -> Bools:
    """Return which displacements are kept, after autoRIFT's normalised displacement coherence.

    Two tests in square neighbourhoods, repeated because each rejection changes the neighbours (Gardner
    et al. 2018; nasa-jpl/autoRIFT, class autoRIFT, filtDisp):

    1. coherence: at least a share `FRACTION_VALID` of the neighbourhood must lie within
       `FRACTION_SEARCH` of the search range, in both components; of the cells of its own kind, where ice
       and still ground are parted (a narrow glacier has few neighbours), but `LEAST_NEAR` at least;
    2. deviation: what lies farther from the neighbourhood's median than `MAD_SCALAR` median absolute
       deviations is rejected.

    Parameters
    ----------
    dy, dx
        ``(rows, cols)`` displacements in pixels; NaN where there is none.
    reach
        Search range in pixels, by which displacements are normalised.
    own
        ``(rows, cols)`` cells of one kind, judged among themselves; all without it.

    Returns
    -------
    ``(rows, cols)`` bool; False where either is NaN.
    """
    own = np.ones(dy.shape, dtype=bool) if own is None else own
    halo = 2 * REPEATS * (WIDTH // 2)
    return in_strips(lambda y, x, o: (_coherent(y, x, o, reach),), dy, dx, own, halo=halo, pixels=CELLS)[0]


def _coherent(dy: F64, dx: F64, own: Bools, reach: float) -> Bools:
    """Test some rows of cells."""
    keep = np.isfinite(dy) & np.isfinite(dx) & own
    cells = np.where(own, 1.0, np.nan)
    needed = np.maximum(FRACTION_VALID * np.isfinite(neighbours(cells)).sum(axis=-1), LEAST_NEAR)
    for _ in range(REPEATS):
        fields = [np.where(keep, f, np.nan) for f in (dy, dx)]
        near = [neighbours(f) for f in fields]
        close = np.ones(near[0].shape, dtype=bool)
        for field, around in zip(fields, near, strict=True):
            close &= np.abs(around - field[..., None]) <= FRACTION_SEARCH * max(reach, 1.0)
        keep = keep & (close.sum(axis=-1) >= needed)
        for field, around in zip(fields, near, strict=True):
            around = np.where(neighbours(np.where(keep, 1.0, np.nan)) == 1, around, np.nan)
            middle = median(around)
            spread = median(np.abs(around - middle[..., None]))
            keep = keep & (np.abs(field - middle) <= MAD_SCALAR * np.maximum(spread, LEAST_MAD))
    return np.asarray(keep)


def neighbours(field: F64, width: int = WIDTH) -> F64:
    """Return the `width`² values around each cell on a last axis; NaN beyond the border."""
    padded = np.pad(field, width // 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (width, width))
    return np.asarray(windows.reshape(*field.shape, -1))


def median(values: F64) -> F64:
    """Median over the last axis without NaN; NaN where all are."""
    order = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(values).sum(axis=-1)
    low = np.take_along_axis(order, np.maximum((count - 1) // 2, 0)[..., None], -1)[..., 0]
    high = np.take_along_axis(order, np.maximum(count // 2, 0).clip(max=values.shape[-1] - 1)[..., None], -1)[
        ..., 0
    ]
    return np.where(count > 0, (low + high) / 2, np.nan)
