"""What the page of a prediction shows: velocity with arrows, its error, the flow line, frames forecast."""

import csv

import numpy as np
from skimage.measure import approximate_polygon, find_contours

from icectl.arrays import F64, I64, Array
from icectl.raster import Info, open_cube, read
from icectl.report.panels import Arrow, Curve, Layer, Lines, Map, Panel, Series
from icectl.run import Run
from icectl.tasks.flow.dataset import open_dataset
from icectl.tasks.flow.figures import UNITS, flow_line
from icectl.tasks.flow.options import AHEAD, PredictOptions
from icectl.tasks.flow.products import MONTHS, SIDE
from icectl.tasks.flow.velocity.measure import centres

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
        cell = 1.0 if metres else float(run.given(PredictOptions).spacing)
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
                    layer=Layer(file=str((run.out / f"{name}.tif").absolute()), metres=metres, cell=cell),
                    colours="speed" if first else "sequential",
                    low=0.0,
                    unit=unit,
                    arrows=_arrows(run) if first else (),
                    arrow_unit=unit,
                )
            )
        if len(speed):
            found += _along_flow(run, unit)
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


def _along_flow(run: Run, unit: str) -> list[Panel]:
    """Return arrows, outline and flow line on the image with least cloud, and the speed along the line."""
    sequences = open_dataset(run.inputs["prepare"])
    cells = centres(sequences.grid.shape, run.given(PredictOptions))
    vx, vy, error = (_layer(run, name) for name in ("vx", "vy", "v_error"))
    with open_cube(run.out / "velocity.nc") as data:
        count = data["count"].values
    at, far, length = flow_line(vx, vy, count, cells, sequences)
    lines = [Lines(label="flow line", pixels=(_pixels(cells[at] + 0.5),))]
    if "ice" in sequences.data:
        rings = find_contours(np.pad(sequences.array("ice").astype(np.float64), 1), 0.5)
        outline = tuple(_pixels(approximate_polygon(ring - 0.5, 0.5)) for ring in rings)
        lines.append(Lines(label="outline", role="contour", pixels=outline))
    cloud = sequences.data["cloud"].mean([d for d in sequences.data["cloud"].dims if d != "time"]).values
    clearest = int(np.argmin(cloud))
    day = str(sequences.array("time")[clearest])[:10]
    grid, known = sequences.grid, sequences.data.attrs["units"] == "m"
    metres = abs(grid.affine.a) if known and grid.crs is None else None
    picture = Layer(file=str(sequences.path.absolute()), variable="frame", index=(clearest, 0), metres=metres)
    speed, sigma = np.hypot(vx, vy)[at], np.nan_to_num(error[at])
    profile = Series(
        label="speed ± 1σ", x=tuple(far), y=tuple(speed), low=tuple(speed - sigma), high=tuple(speed + sigma),
        role="prediction",
    )  # fmt: skip
    return [
        Map(
            title=f"Velocity on the image of {day}",
            layer=picture,
            colours="grey",
            label="brightness",
            lines=tuple(lines),
            arrows=_arrows(run, cells),
            arrow_unit=unit,
            note="white: the flow line through the fastest ice" + "; thin: the outline" * (len(lines) > 1),
        ),
        Curve(
            title="Speed along the flow line",
            x_label=f"distance downstream ({length})",
            y_label=f"speed ({unit})",
            series=(profile,),
        ),
    ]


def _pixels(places: Array) -> tuple[tuple[float, float], ...]:
    return tuple((float(column), float(row)) for row, column in places)


def _layer(run: Run, name: str) -> F64:
    return read(run.out / f"{name}.tif").filled(np.nan).astype(np.float64)


def _arrows(run: Run, cells: I64 | None = None) -> tuple[Arrow, ...]:
    """Return velocities in the map's unit, right and down, thinned to what can be told apart.

    They stand on the map's own cells, or on an image whose pixels the `cells` are.
    """
    vx, vy = _layer(run, "vx"), _layer(run, "vy")
    few = max(max(vx.shape) // ARROWS, 1)
    rows, columns = np.indices(vx.shape)[:, ::few, ::few].reshape(2, -1)
    stand = np.stack([rows, columns], axis=1) if cells is None else cells[rows, columns]
    listed = np.column_stack([stand[:, ::-1] + 0.5, vx[rows, columns], -vy[rows, columns]])
    known = listed[np.isfinite(listed).all(axis=1)].round(2)
    return tuple((float(x), float(y), float(right), float(down)) for x, y, right, down in known)
