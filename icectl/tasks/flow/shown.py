"""What the page of a prediction shows: velocity with arrows, its error, speed by month, frames forecast."""

import csv

import numpy as np

from icectl.raster import Info, read
from icectl.report.panels import Arrow, Curve, Layer, Map, Panel, Series
from icectl.run import Run
from icectl.tasks.flow.figures import UNITS
from icectl.tasks.flow.options import AHEAD
from icectl.tasks.flow.products import MONTHS, SIDE

ARROWS = 24
"""Arrows along the longer side of the map, about."""


def shown(run: Run) -> list[Panel]:
    """Return maps of what was written into ``run.out``."""
    found: list[Panel] = []
    velocity = run.out / "v.tif"
    if velocity.is_file():
        tags = Info(velocity).tags
        unit, speed = UNITS.get(tags.get("units", ""), ""), read(velocity).compressed()
        metres = float(tags[SIDE]) if SIDE in tags else None
        if len(speed):
            median, fast = (
                f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
                for value in np.percentile(speed, [50, 98])
            )
            pairs = f"pairs of frames: {tags.get('pairs', '?')}"
            run.notes["cards"] = [["median speed", median, pairs], ["98th percentile", fast, ""]]
        for name, title in (("v", "Velocity of the ice"), ("v_error", "Standard error of the velocity")):
            first = name == "v"
            found.append(
                Map(
                    title=title,
                    layer=Layer(file=str((run.out / f"{name}.tif").absolute()), metres=metres),
                    colours="speed" if first else "sequential",
                    low=0.0,
                    unit=unit,
                    arrows=_arrows(run) if first else (),
                    arrow_unit=unit,
                )
            )
        found += _by_month(run, unit)
    for ahead in range(1, AHEAD + 1):
        path = run.out / f"forecast_{ahead}.tif"
        if path.is_file():
            days = Info(path).tags.get("days_ahead", "?")
            title = f"Forecast of the frame {days} days ahead"
            found.append(Map(title=title, layer=Layer(file=str(path.absolute())), colours="grey"))
    return found


def _by_month(run: Run, unit: str) -> list[Panel]:
    """Return the median speed by month with its quartiles, where the dates told two months or more."""
    path = run.out / MONTHS
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    middle, low, high = (tuple(float(row[name]) for row in rows) for name in ("speed", "low", "high"))
    months = tuple(f"{row['month']}-15" for row in rows)
    series = Series(label="median and quartiles", x=months, y=middle, low=low, high=high, role="prediction")
    pairs = ", ".join(row["pairs"] for row in rows)
    note = f"over the {rows[0]['cells']} cells known in every month; pairs of frames: {pairs}"
    return [Curve(title="Speed by month", note=note, series=(series,), y_label=f"speed ({unit})", dates=True)]


def _arrows(run: Run) -> tuple[Arrow, ...]:
    """Return velocities in the map's unit, right and down, thinned to what can be told apart."""
    vx, vy = (read(run.out / f"{name}.tif").filled(np.nan).astype(np.float64) for name in ("vx", "vy"))
    few = max(max(vx.shape) // ARROWS, 1)
    rows, columns = np.indices(vx.shape)[:, ::few, ::few].reshape(2, -1)
    listed = np.stack([columns + 0.5, rows + 0.5, vx[rows, columns], -vy[rows, columns]], axis=1)
    known = listed[np.isfinite(listed).all(axis=1)].round(2)
    return tuple((float(x), float(y), float(right), float(down)) for x, y, right, down in known)
