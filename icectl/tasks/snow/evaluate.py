"""Scores of whole-scene forecasts beside baselines: all leads, each lead, and the paper's Table 2."""

from collections.abc import Callable

import numpy as np

from icectl.contract import Column, Metrics, Row, Table
from icectl.errors import DataError
from icectl.intervals import certainty
from icectl.report.panels import pack
from icectl.run import Run
from icectl.tasks.model import TaskModel, published_rows
from icectl.tasks.snow.baselines import NAMES
from icectl.tasks.snow.dataset import open_dataset
from icectl.tasks.snow.figures import figures
from icectl.tasks.snow.masks.moments import forecast, hindcasts, season, trained_days
from icectl.tasks.snow.metrics import MEASURES, Scores, score, skill
from icectl.tasks.snow.options import EvaluateOptions
from icectl.tasks.snow.split import scope_of

TITLE = "Snow masks, all lead times"
PUBLISHED = "Müller 2023, Table 2: other frames, windows split at random"
_LABELS = dict(zip(MEASURES, ("MSE", "MAE", "MSE ≥ 0.3", "MAE ≥ 0.3", "Brier score"), strict=True))


def evaluate(run: Run, model: TaskModel, options: EvaluateOptions) -> Metrics:
    """Score the hindcasts in ``run.inputs["predict"]`` beside the four baselines and the published figures.

    DataError: if no moment of the series has a truth, or a prediction is missing.
    """
    cube = open_dataset(run.inputs["prepare"])
    _, facts = model.load(run)
    trained = model.trained_options(run, facts)
    scope = scope_of(cube, facts["cube"], trained, facts["seed"])
    moments = hindcasts(cube.times, trained.past, trained.future, scope.starts)
    if not moments:
        raise DataError(
            f"{cube.shape[0]} frames hold no truth to score with: {trained.past + trained.future} are needed",
            "predict alone needs no truth; give more scenes to evaluate",
        )
    filled = options.count_filled or trained.count_filled
    rival = np.asarray(facts.get("rival", facts["linear"]))
    observed, interpolated = score(run, cube, moments, scope.weights, rival, trained.patch, filled)
    if observed.empty:
        raise DataError(
            "no scored pixel has an observed value", "use --count-filled to score filled pixels too"
        )
    run.say(scope.sentence)
    name = run.plugin.name
    tables = [overall(name, observed), *by_lead(name, observed), *by_time(name, observed)]
    if not interpolated.empty:
        tables.append(_interpolated(name, interpolated))
    ahead = forecast(cube.times, trained.past, trained.future, trained_days(facts))
    dated = ahead.sentence(cube.times)
    units = {label(key, name): {m: observed.by_tile(key, m) for m in MEASURES} for key in (name, *NAMES)}
    details = {
        "panels": pack(figures(run, cube, moments, scope.weights, observed)),
        "audit": scope.facts,
        "data": {**cube.facts, "moments scored": len(moments)},
        **certainty(tables[0], units, draws=options.bootstrap, seed=run.seed),
    }
    return Metrics(tables=tuple(tables), notes=(scope.sentence, dated), details=details)


def label(key: str, model: str) -> str:
    """Return the name of a row: the model's own, or a baseline's in words."""
    return model if key == model else NAMES[key]


def _rows(name: str, values: Callable[[str], dict[str, float | None]]) -> tuple[Row, ...]:
    """Return the model's row and those of the baselines, with ``values(key)``."""
    return tuple(
        Row(name=label(key, name), kind="model" if key == name else "baseline", values=values(key))
        for key in (name, *NAMES)
    )


def overall(name: str, scores: Scores) -> Table:
    """Return every measure over all leads, with the model's skill against each baseline."""

    def values(key: str) -> dict[str, float | None]:
        own = scores.overall(key)
        if key != name:
            return {**own}
        mse = own["mse"]
        return {**own, **{f"skill_{other}": skill(mse, scores.overall(other)["mse"]) for other in NAMES}}

    return Table(
        title=TITLE,
        columns=(
            *(Column(key=key, label=words) for key, words in _LABELS.items()),
            *(Column(key=f"skill_{key}", label=f"skill vs {key}", better="higher") for key in NAMES),
        ),
        rows=(*_rows(name, values), *published_rows("mueller2023", "table2", ("mse", "mae"), PUBLISHED)),
        primary="mse",
        note="≥ 0.3: forecasts below the threshold set to 0. Brier score: of snow (NDSI ≥ 0.3), its chance "
        f"being the forecast over {scores.typical:.2f}, the mean of past snow. Skill: 1 − MSE / MSE of that "
        "baseline.",
    )


def by_lead(name: str, scores: Scores) -> list[Table]:
    """Return a table for each measure with a column for each lead."""
    columns = tuple(Column(key=f"lead_{k + 1}", label=f"lead {k + 1}") for k in range(scores.leads))
    tables = []
    for measure in MEASURES:
        thresholded = ", thresholded at 0.3" if measure.endswith("thresholded") else ""

        def values(key: str, measure: str = measure) -> dict[str, float | None]:
            return dict(zip((c.key for c in columns), scores.per_lead(key, measure), strict=True))

        title = f"{_LABELS[measure].removesuffix(' ≥ 0.3')} by lead time{thresholded}"
        tables.append(Table(title=title, columns=columns, rows=_rows(name, values), primary="lead_1"))
    return tables


def by_time(name: str, scores: Scores) -> list[Table]:
    """Return the MSE by season and by year of the frames forecast, where there are several."""
    tables = []
    for title, key in (("MSE by season", season), ("MSE by year", lambda day: str(day.year))):
        found = {row: scores.grouped(row, key) for row in (name, *NAMES)}
        groups = list(found[name])
        if len(groups) > 1:
            columns = tuple(Column(key=group, label=group) for group in groups)

            def values(row: str, found: dict[str, dict[str, float]] = found) -> dict[str, float | None]:
                return {**found[row]}

            tables.append(Table(title=title, columns=columns, rows=_rows(name, values), primary=groups[0]))
    return tables


def _interpolated(name: str, scores: Scores) -> Table:
    return Table(
        title="Interpolated pixels, apart",
        columns=tuple(Column(key=key, label=_LABELS[key]) for key in ("mse", "mae")),
        rows=_rows(name, lambda key: {k: v for k, v in scores.overall(key).items() if k in ("mse", "mae")}),
        primary="mse",
        note="No measurement lies behind these: they were interpolated between their neighbours in time.",
    )
