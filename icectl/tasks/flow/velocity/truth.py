"""Velocity beside the truth, where a synthetic glacier tells it. Nothing but this table reads it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from icectl import raster
from icectl.arrays import F64
from icectl.contract import Column, Row, Table
from icectl.run import Run

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
