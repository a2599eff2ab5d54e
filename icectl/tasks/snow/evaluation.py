"""Scores of whole-scene forecasts beside baselines, as tables and panels."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from icectl.contract import Metrics
from icectl.errors import DataError
from icectl.run import Run
from icectl.tasks.snow.dataset import Cube
from icectl.tasks.snow.options import EvaluateOptions, TrainOptions
from icectl.tasks.snow.panels import panels_of
from icectl.tasks.snow.products import moments
from icectl.tasks.snow.scope import Scope
from icectl.tasks.snow.scoring import score
from icectl.tasks.snow.tables import metrics_of


def evaluate_predictions(
    run: Run,
    cube: Cube,
    scope: Scope,
    trained: TrainOptions,
    linear: npt.NDArray[Any],
    options: EvaluateOptions,
) -> Metrics:
    """Score the hindcasts in ``run.inputs["predict"]``.

    Parameters
    ----------
    scope
        What may be scored.
    trained
        The options of the training.
    linear
        (F, 2P + 2) coefficients of the linear baseline, fitted on the training part.

    Raises
    ------
    DataError
        If no moment of the series has a truth, or a prediction is missing.
    """
    known = [m for m in moments(cube.times, trained.past, trained.future, scope.starts) if m.known]
    if not known:
        raise DataError(
            f"{cube.shape[0]} frames hold no truth to score with: {trained.past + trained.future} are needed",
            "predict alone needs no truth; give more scenes to evaluate",
        )
    scored = score(run, cube, scope, trained, known, linear, options)
    if scored.observed.empty:
        raise DataError(
            "no scored pixel has an observed value", "use --count-filled to score filled pixels too"
        )
    run.say(scope.sentence)
    panels = panels_of(run, cube, scored, options)
    return metrics_of(run.plugin.name, cube, scope, scored, options, run.seed, panels)
