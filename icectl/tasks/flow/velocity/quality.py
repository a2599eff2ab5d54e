"""Quality of a velocity map without a truth: a measure of GLAFT (Zheng et al. 2023, The Cryosphere).

Over ground that stands still velocities should vanish. How far they do not is told as the half-width of the
peak of the density of vx and vy, so that outliers do not count.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import signal

from icectl import raster
from icectl.arrays import F64, Bools
from icectl.contract import Column, Row, Table
from icectl.run import Run

SIGMA = 2.0
"""The peak ends where the density falls below that of a normal distribution at so many deviations."""

CELLS = 200
"""Cells of the mesh on which a density is estimated."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The peak of a density: half-widths along both axes, and where it is."""

    x: float
    y: float
    at: tuple[float, float]


def peak(x: F64, y: F64) -> Peak:
    """Measure the peak of the density of samples ``(n,)``, by an Epanechnikov kernel of the rule of thumb.

    Examples
    --------
    >>> x, y = np.random.default_rng(0).standard_normal((2, 20000))
    >>> bool(abs(peak(x, y).x - 2) < 0.4)
    True
    """
    spread = (x.var(ddof=1) * y.var(ddof=1)) ** 0.25
    if not spread > 0:
        return Peak(0.0, 0.0, (float(np.median(x)), float(np.median(y))))
    width = 2.1991 * spread * x.size ** (-1 / 6)
    half = (SIGMA + 1) * spread
    for _ in range(2):  # roughly, then within the peak
        edges = [np.linspace(np.median(v) - half, np.median(v) + half, CELLS + 1) for v in (x, y)]
        step = 2 * half / CELLS
        reach = int(np.ceil(width / step))
        grid = np.mgrid[-reach : reach + 1, -reach : reach + 1] * step
        kernel = np.clip(1 - (grid**2).sum(axis=0) / width**2, 0, None)
        counts = np.histogram2d(x, y, edges)[0]
        density = signal.fftconvolve(counts, kernel, mode="same")
        inside = density >= density.max() / np.exp(SIGMA**2 / 2)
        spans = [np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0)]
        sides = [float(span[-1] - span[0] + 1) * step for span in spans]
        half = max(sum(sides) / 2, 2 * step)
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    row, col = np.unravel_index(int(density.argmax()), density.shape)
    at = float(middles[0][row]), float(middles[1][col])
    return Peak(float(sides[0]) / 2, float(sides[1]) / 2, at)


def static(vx: F64, vy: F64, still: Bools) -> Peak:
    """Measure the velocities ``(rows, cols)`` on ground that stands still, in their unit."""
    use = still & np.isfinite(vx) & np.isfinite(vy)
    return peak(vx[use], vy[use])


LIMITS = (50.0, 100.0, 200.0, np.inf)
"""Speeds between which cells are counted together, in metres a year; slower ice hardly moves a pixel."""

COLUMNS = (
    Column(key="ratio", label="Median of measured / true speed", better=""),
    Column(key="error", label="Median relative error"),
    Column(key="cells", label="Cells", better=""),
    Column(key="found", label="With a velocity", better="higher"),
)


def velocity_table(run: Run) -> Table | None:
    """Compare ``velocity.nc`` with ``truth`` beside the scenes, on the ice; None where there is no truth."""
    scenes, found = run.inputs.get("fetch"), run.inputs["predict"] / "velocity.nc"
    if scenes is None or not (scenes / "truth" / "vx.tif").is_file() or not found.is_file():
        return None
    with raster.open_cube(found) as data:
        measured = np.stack([data[name].values.astype(np.float64) for name in ("vx", "vy")])
        places = data["x"].values, data["y"].values
    true = np.stack([_at(scenes / "truth" / f"{name}.tif", *places) for name in ("vx", "vy")])
    ice = _at(scenes / "ice.tif", *places) > 0
    speed = np.hypot(*true)
    rows = []
    bounds = [(LIMITS[0], np.inf), *itertools.pairwise(LIMITS)]
    for low, high in bounds:
        cells = ice & (speed >= low) & (speed < high)
        if cells.any():
            name = f"{low:g} to {high:g} m/yr" if np.isfinite(high) else f"from {low:g} m/yr"
            rows.append(Row(name=name, kind="model", values=_values(measured[:, cells], true[:, cells])))
    return Table(
        title="Velocity on the ice beside the synthetic truth",
        columns=COLUMNS,
        rows=tuple(rows),
        primary="error",
        note="a velocity is the mean over its chip; true speed at the cell's centre",
    )


def _at(path: Path, x: F64, y: F64) -> F64:
    """Return a raster's values at the pixels that hold the places, ``(y, x)``."""
    grid, values = raster.grid_of(path), np.ma.filled(raster.read(path), 0).astype(np.float64)
    back = ~grid.transform
    cols = np.floor([(back * (float(place), float(y[0])))[0] + 1e-6 for place in x]).astype(int)
    rows = np.floor([(back * (float(x[0]), float(place)))[1] + 1e-6 for place in y]).astype(int)
    return np.asarray(values[np.ix_(rows, cols)])


def _values(measured: F64, true: F64) -> Mapping[str, float | None]:
    """Return one row's figures from velocities ``(2, cells)``."""
    known = np.isfinite(measured[0])
    found = {"cells": float(known.size), "found": float(known.mean())}
    if not known.any():
        return {"ratio": None, "error": None, **found}
    speed = np.hypot(*true)[known]
    ratio = np.hypot(*measured[:, known]) / speed
    error = np.hypot(*(measured - true)[:, known]) / speed
    return {"ratio": float(np.median(ratio)), "error": float(np.median(error)), **found}
