"""The mean of several models' forecasts: files of its own, scored like a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from icectl.contract import Metrics
from icectl.errors import DataError, UsageError
from icectl.raster import BlockWriter, Window, grid_of, read, same_grid
from icectl.run import Run
from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.options import EvaluateOptions

_STRIP = 256


def score_mean(run: Run, model: SnowModel, predictions: Sequence[Path], out: Path) -> Metrics:
    """Average the forecasts of several models into `out` and score them as one model's.

    Parameters
    ----------
    run
        The evaluation of one of the models; all were trained on the same split of the same cube.
    model
        That model.
    predictions
        The folders of forecasts, one a model.
    out
        A folder for the means, named as the forecasts are.

    Raises
    ------
    UsageError
        There are fewer than two models to average.
    DataError
        The models forecast different moments, or on different grids.
    """
    average(predictions, out)
    named = replace(run.plugin, name=f"mean of the {len(predictions)} models")
    options = run.options["evaluate"]
    assert isinstance(options, EvaluateOptions)
    return model.evaluate(run.at(plugin=named, inputs={**run.inputs, "predict": out}), options)


def average(predictions: Sequence[Path], out: Path) -> list[Path]:
    """Write the mean of the forecasts of the same name in `predictions`, band by band, into `out`."""
    if len(predictions) < 2:
        raise UsageError("a mean needs the forecasts of two models", "name more of them, or leave --mean out")
    names = [sorted(path.name for path in folder.glob("*cast_*.tif")) for folder in predictions]
    if any(other != names[0] for other in names):
        differ = sorted(set(names[0]).symmetric_difference(*names[1:])) or names[0]
        raise DataError(
            f"the models forecast different moments: {differ[0]} is not in all of them",
            "give all of them the same options",
        )
    out.mkdir(parents=True, exist_ok=True)
    return [_mean_of([folder / name for folder in predictions], out / name) for name in names[0]]


def _mean_of(stacks: Sequence[Path], path: Path) -> Path:
    """Average stacks of one grid strip by strip; a pixel that one of them lacks has no mean."""
    import rasterio

    grid = grid_of(stacks[0])
    for other in stacks[1:]:
        same_grid(grid, grid_of(other), str(stacks[0]), str(other))
    with rasterio.open(stacks[0]) as first:
        count, names, tags = first.count, list(first.descriptions), first.tags()
    kept = ("title", "quantity", "past", "software")
    tags = {"model": "mean of several", **{key: tags[key] for key in kept if key in tags}}
    rows, cols = (int(n) for n in grid.shape)
    with BlockWriter(path, grid, count, "float32", descriptions=names, tags=tags) as writer:
        for top in range(0, rows, _STRIP):
            window = Window(top, 0, min(_STRIP, rows - top), cols)
            parts = [np.ma.filled(read(stack, window, band=None), np.nan) for stack in stacks]
            writer.write(np.mean(parts, axis=0).astype(np.float32), top, 0)
    return path
