"""What the report shows of an evaluation: maps over time with flow arrows, and errors by lead time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from icectl.imagery.flow import arrows, optical_flow
from icectl.raster import read
from icectl.report.panels import Curve, Frame, Layer, Panel, Series, TimeMaps
from icectl.run import Run
from icectl.tasks.snow.baselines import NAMES
from icectl.tasks.snow.dataset import Cube, Floats
from icectl.tasks.snow.metrics import Scores
from icectl.tasks.snow.options import EvaluateOptions
from icectl.tasks.snow.products import Moment
from icectl.tasks.snow.scoring import Scored, prediction

Arrow = tuple[float, float, float, float]

MOST_PIXELS = 2_000_000
"""Scenes with more pixels are shown without flow arrows."""


def panels_of(run: Run, cube: Cube, scored: Scored, options: EvaluateOptions) -> list[Panel]:
    """Return the panels of the latest scored moment and of the errors."""
    moment = scored.moments[-1]
    maps = TimeMaps(
        title=f"Snow masks forecast from {moment.past[-1].isoformat()}",
        frames=tuple(_frames(run, cube, moment, options)),
        colours="snow",
        low=0.0,
        high=1.0,
        difference_limit=0.6,
        unit="NDSI",
        note="The difference is forecast minus truth. Arrows show optical flow from the frame before.",
    )
    return [maps, _curve(run.plugin.name, scored.observed)]


def _frames(run: Run, cube: Cube, moment: Moment, options: EvaluateOptions) -> Iterator[Frame]:
    path, past = prediction(run, moment), len(moment.past)
    small = cube.shape[1] * cube.shape[2] <= MOST_PIXELS
    before_truth = before_forecast = _frame(cube, moment.start + past - 1) if small else None
    for lead, day in enumerate(moment.future):
        number = moment.start + past + lead
        truth_arrows: tuple[Arrow, ...] = ()
        forecast_arrows: tuple[Arrow, ...] = ()
        if before_truth is not None and before_forecast is not None:
            truth = _frame(cube, number)
            forecast = np.ma.filled(read(path, band=lead + 1), np.nan).astype(np.float32)
            truth_arrows = _arrows(before_truth, truth, options.arrows)
            forecast_arrows = _arrows(before_forecast, forecast, options.arrows)
            before_truth, before_forecast = truth, forecast
        yield Frame(
            label=f"{day.isoformat()} · lead {lead + 1}",
            truth=Layer(file=str(cube.path), variable="snow", index=(number,)),
            prediction=Layer(file=str(path), band=lead + 1),
            truth_arrows=truth_arrows,
            prediction_arrows=forecast_arrows,
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
            label=name if key == name else NAMES[key],
            x=leads,
            y=tuple(scores.per_lead(key, "mse")),
            role="prediction" if key == name else "baseline",
        )
        for key in (name, *NAMES)
    ]
    return Curve(
        title="Error by lead time", series=tuple(series), x_label="lead time (frames)", y_label="MSE"
    )
