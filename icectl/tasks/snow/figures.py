"""What the report shows of an evaluation: maps over time, and errors by lead time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from icectl.imagery.flow import arrows, optical_flow
from icectl.raster import read
from icectl.report.panels import Curve, Frame, Layer, Panel, Series, TimeMaps
from icectl.run import Run
from icectl.tasks.snow.baselines import NAMES
from icectl.tasks.snow.dataset import Cube, Floats
from icectl.tasks.snow.masks.moments import Moment
from icectl.tasks.snow.metrics import Scores, hindcast
from icectl.tasks.snow.options import EvaluateOptions

Arrow = tuple[float, float, float, float]

MAX_PIXELS = 2_000_000
"""Scenes with more pixels are shown without arrows."""


def figures(run: Run, cube: Cube, moment: Moment, scores: Scores, options: EvaluateOptions) -> list[Panel]:
    """Return the panels of one scored moment (the latest) and of the errors."""
    note = "The difference is forecast minus truth."
    if options.arrows:
        note += (
            " Arrows: optical flow of the mask from the frame before, how snow's outline moves; not ice flow."
        )
    maps = TimeMaps(
        title=f"Snow masks forecast from {moment.past[-1].isoformat()}",
        frames=tuple(_frames(run, cube, moment, options.arrows)),
        colours="snow",
        low=0.0,
        high=1.0,
        difference_limit=0.6,
        unit="NDSI",
        note=note,
    )
    return [maps, _curve(run.plugin.name, scores)]


def _frames(run: Run, cube: Cube, moment: Moment, step: int) -> Iterator[Frame]:
    path, first = hindcast(run, moment), moment.frames.stop
    drawn = step > 0 and cube.shape[1] * cube.shape[2] <= MAX_PIXELS
    before = (_frame(cube, first - 1),) * 2 if drawn else None
    for lead, day in enumerate(moment.future):
        moved: tuple[tuple[Arrow, ...], ...] = ((), ())
        if before is not None:
            forecast = np.ma.filled(read(path, band=lead + 1), np.nan).astype(np.float32)
            now = (_frame(cube, first + lead), forecast)
            moved = tuple(_arrows(a, b, step) for a, b in zip(before, now, strict=True))
            before = now
        yield Frame(
            label=f"{day.isoformat()} · lead {lead + 1}",
            truth=Layer(file=str(cube.path), variable="snow", index=(first + lead,)),
            prediction=Layer(file=str(path), band=lead + 1),
            truth_arrows=moved[0],
            prediction_arrows=moved[1],
        )


def _frame(cube: Cube, number: int) -> Floats:
    return np.asarray(cube.read(slice(None), slice(number, number + 1))[0])


def _arrows(before: Floats, after: Floats, step: int) -> tuple[Arrow, ...]:
    """Return the mean flow of each cell of `step` pixels (Farnebäck, as in the paper's figure 3)."""
    if not (np.isfinite(before).any() and np.isfinite(after).any()):
        return ()
    found = arrows(optical_flow(before, after, low=0.0, high=1.0), step)
    return tuple(
        (round(float(x), 1), round(float(y), 1), round(float(dx), 2), round(float(dy), 2))
        for x, y, dx, dy in zip(found.x, found.y, found.dx, found.dy, strict=True)
    )


def _curve(name: str, scores: Scores) -> Curve:
    leads = tuple(float(k + 1) for k in range(scores.leads))
    series = [
        Series(
            label=NAMES.get(key, name),
            x=leads,
            y=tuple(scores.per_lead(key, "mse")),
            role="prediction" if key == name else "baseline",
        )
        for key in (name, *NAMES)
    ]
    return Curve(
        title="Error by lead time", series=tuple(series), x_label="lead time (frames)", y_label="MSE"
    )
