"""Errors of whole-scene forecasts and of all baselines, gathered strip by strip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from icectl.errors import DataError
from icectl.imagery.composite import Flag
from icectl.raster import Window, read
from icectl.run import Run
from icectl.tasks.snow import baselines
from icectl.tasks.snow.dataset import Cube, Floats, countable
from icectl.tasks.snow.metrics import Scores
from icectl.tasks.snow.options import EvaluateOptions, TrainOptions
from icectl.tasks.snow.products import Moment
from icectl.tasks.snow.scope import Scope

_STRIP = 128


@dataclass(frozen=True)
class Scored:
    """Scores of the frames that count, and of interpolated ones apart."""

    observed: Scores
    interpolated: Scores
    moments: tuple[Moment, ...]


def score(
    run: Run,
    cube: Cube,
    scope: Scope,
    trained: TrainOptions,
    known: list[Moment],
    linear: npt.NDArray[Any],
    options: EvaluateOptions,
) -> Scored:
    """Gather the errors of the model and of all baselines, strip by strip."""
    shape = (cube.shape[1], cube.shape[2])
    observed, interpolated = (Scores(trained.patch, shape, trained.future) for _ in range(2))
    with run.progress("scoring", total=len(known) * shape[0]) as advance:
        for moment in known:
            weight, path = scope.weights(moment.start), prediction(run, moment)
            for top in range(0, shape[0], _STRIP):
                rows = slice(top, min(top + _STRIP, shape[0]))
                if weight[rows].any():
                    truth, flags, forecasts = _strip(run.plugin.name, cube, moment, rows, path, linear)
                    known_here = ~np.isnan(truth) & ~np.isnan(forecasts[run.plugin.name])
                    counts = countable(flags, options.count_filled or trained.count_filled) & known_here
                    made_up = (flags == Flag.INTERPOLATED) & known_here
                    truth = np.nan_to_num(truth)
                    observed.add(top, truth, counts * weight[rows], forecasts)
                    interpolated.add(top, truth, made_up * weight[rows], forecasts)
                advance(rows.stop - rows.start)
    return Scored(observed, interpolated, tuple(known))


def prediction(run: Run, moment: Moment) -> Path:
    """Return the file of one hindcast."""
    path = run.inputs["predict"] / f"{moment.stem}.tif"
    if not path.is_file():
        raise DataError(f"{path} is missing", "run `icectl predict` again without --moments last")
    return path


def _strip(
    name: str, cube: Cube, moment: Moment, rows: slice, path: Path, linear: npt.NDArray[Any]
) -> tuple[Floats, npt.NDArray[np.uint8], dict[str, Floats]]:
    """Return truth and flags (F, rows, columns), and the forecasts of the model and all baselines."""
    past, count = len(moment.past), len(moment.past) + len(moment.future)
    frames = slice(moment.start, moment.start + count)
    values = cube.read(rows, frames)
    flags = cube.flags(rows, slice(moment.start + past, moment.start + count))
    window = Window(rows.start, 0, rows.stop - rows.start, cube.shape[2])
    forecast = np.ma.filled(read(path, window, band=None), np.nan).astype(np.float32)
    others = baselines.predict(np.nan_to_num(values[:past]), moment.past, moment.future, linear)
    return values[past:], flags, {name: forecast, **others}
