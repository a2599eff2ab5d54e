"""What the report shows of an evaluation: maps over time, and errors by lead time."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from icectl.arrays import F32
from icectl.raster import ground_areas, read
from icectl.report.panels import Curve, Frame, Layer, Panel, Series, TimeMaps
from icectl.run import Run
from icectl.tasks.snow.baselines import NAMES
from icectl.tasks.snow.dataset import Cube
from icectl.tasks.snow.masks.moments import Moment, season
from icectl.tasks.snow.masks.terrain import Cover, cover
from icectl.tasks.snow.metrics import Scores, hindcast
from icectl.tasks.snow.products import THRESHOLDED


def figures(
    run: Run, cube: Cube, moments: Sequence[Moment], weights: Callable[[int], F32], scores: Scores
) -> list[Panel]:
    """Return maps of the latest scored moment, the errors, the reliability, and snow cover by date.

    `weights` says for the first frame of a moment which pixels count, as `Scope.weights`.
    """
    moment = moments[-1]
    note = "The difference is forecast minus truth."
    since = moment.past[-1].isoformat()
    path = hindcast(run, moment)
    panels: list[Panel] = [_maps(f"Snow masks forecast from {since}", cube, moment, path, note)]
    cut = path.with_name(moment.stem + THRESHOLDED)
    if cut.is_file():  # forecasts of version 0.1.0 have none
        note = "Values below 0.3 were set to 0 after the prediction, as in figure 6 of Müller 2023."
        panels.append(_maps(f"Thresholded forecast from {since}", cube, moment, cut, note))
    name = run.plugin.name
    return [*panels, _curve(name, scores), _reliability(name, scores), *_covers(run, cube, moments, weights)]


def _maps(title: str, cube: Cube, moment: Moment, path: Path, note: str) -> TimeMaps:
    frames = (
        Frame(
            label=f"{day.isoformat()} · lead {lead + 1} · {season(day)}",
            truth=Layer(file=str(cube.path), variable="snow", index=(moment.frames.stop + lead,)),
            prediction=Layer(file=str(path), band=lead + 1),
        )
        for lead, day in enumerate(moment.future)
    )
    return TimeMaps(
        title=title,
        frames=tuple(frames),
        colours="snow",
        low=0.0,
        high=1.0,
        difference_limit=0.6,
        unit="NDSI",
        note=note,
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


def _reliability(name: str, scores: Scores) -> Curve:
    """Return how often there was snow where it was forecast at a chance (Murphy and Winkler 1977)."""
    series = []
    for key in (name, "linear"):
        weight, chances, snow = scores.bins[key][:, scores.bins[key][0] > 0]
        series.append(
            Series(
                label=NAMES.get(key, name),
                x=tuple((chances / weight).round(4).tolist()),
                y=tuple((snow / weight).round(4).tolist()),
                role="prediction" if key == name else "baseline",
                points=True,
            )
        )
    series.append(Series(label="as often as forecast", x=(0.0, 1.0), y=(0.0, 1.0), role="truth"))
    return Curve(
        title="Reliability of the chance of snow",
        series=tuple(series),
        x_label="chance of snow that was forecast",
        y_label="share with snow (NDSI ≥ 0.3)",
        note="The chance is the forecast over what past snow shows on average; ten bins, scored pixels only.",
    )


def _covers(run: Run, cube: Cube, moments: Sequence[Moment], weights: Callable[[int], F32]) -> list[Panel]:
    """Return snow-covered area and (with heights) snowline altitude of the scored pixels by date."""
    height = cube.height() if cube.has_height else None
    pixel = ground_areas(cube.grid) / 1e6
    pairs = []
    for moment in moments:
        counted, path = weights(moment.start) > 0, hindcast(run, moment)
        for lead, day in enumerate(moment.future):
            truth = cube.read(slice(None), slice(moment.frames.stop + lead, moment.frames.stop + lead + 1))[0]
            forecast = np.ma.filled(read(path, band=lead + 1), np.nan).astype(np.float32)
            both = counted & np.isfinite(truth) & np.isfinite(forecast)
            if both.any():
                ends = ((truth, "observed"), (forecast, run.plugin.name))
                pairs.append([cover(m, height, pixel, day, kind, where=both) for m, kind in ends])
    panels: list[Panel] = []
    for title, label, unit in (("Snow-covered area", "snow", "km²"), ("Snowline altitude", "line", "m")):
        if label == "line" and height is None:
            continue
        panels.append(
            Curve(
                title=f"{title} of the scored pixels",
                series=tuple(_by_date([pair[k] for pair in pairs], label, k) for k in range(2)),
                x_label="first day of the frame",
                y_label=unit,
                dates=True,
                note="Where a date was forecast more than once, each forecast has its point.",
            )
        )
    return panels


def _by_date(found: Sequence[Cover], value: str, k: int) -> Series:
    """Return one value of masks by date; the first of a pair (`k` = 0) is the truth."""
    ordered = sorted(found, key=lambda one: one.day)
    numbers = (float(getattr(one, value)) for one in ordered)
    return Series(
        label=ordered[0].kind if ordered else "",
        x=tuple(one.day.isoformat() for one in ordered),
        y=tuple(round(v, 4) if np.isfinite(v) else None for v in numbers),
        role="prediction" if k else "truth",
        points=True,
    )
