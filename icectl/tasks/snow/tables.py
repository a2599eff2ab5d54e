"""Result tables of the snow task: all leads, each lead, interpolated frames, and the paper's Table 2."""

from __future__ import annotations

from collections.abc import Sequence

from icectl.contract import Column, Metrics, Row, Table
from icectl.report.panels import Panel, pack
from icectl.tasks.snow.baselines import NAMES
from icectl.tasks.snow.dataset import Cube
from icectl.tasks.snow.metrics import Scores, skill
from icectl.tasks.snow.options import EvaluateOptions
from icectl.tasks.snow.published import published_rows
from icectl.tasks.snow.scope import Scope
from icectl.tasks.snow.scoring import Scored

TITLE = "Snow masks, all lead times"

COLUMNS = (
    Column(key="mse", label="MSE"),
    Column(key="mae", label="MAE"),
    Column(key="mse_thresholded", label="MSE ≥ 0.3"),
    Column(key="mae_thresholded", label="MAE ≥ 0.3"),
    *(Column(key=f"skill_{key}", label=f"skill vs {key}", better="higher") for key in NAMES),
)


def metrics_of(
    name: str,
    cube: Cube,
    scope: Scope,
    scored: Scored,
    options: EvaluateOptions,
    seed: int,
    panels: Sequence[Panel],
) -> Metrics:
    """Build the tables, notes and report data of one evaluation."""
    tables = [overall_table(name, scored.observed), *lead_tables(name, scored.observed)]
    if not scored.interpolated.empty:
        tables.append(_interpolated(name, scored.interpolated))
    intervals = scored.observed.intervals(options.bootstrap, options.confidence, seed)
    labelled = {label(key, name): values for key, values in intervals.items()}
    gain = gain_over_bar(name, tables[0], scored.observed, options, seed)
    details = {
        "panels": pack(panels),
        "audit": scope.facts,
        "data": {**cube.facts, "moments scored": len(scored.moments)},
        "intervals": {TITLE: labelled} if labelled else {},
        "gain": gain,
    }
    return Metrics(tables=tuple(tables), notes=(scope.sentence,), details=details)


def gain_over_bar(
    name: str, table: Table, scores: Scores, options: EvaluateOptions, seed: int
) -> list[float] | None:
    """Return the interval of the model's gain over the strongest baseline, in per cent of its MSE."""
    bar = table.bar()
    rival = next((key for key, words in NAMES.items() if bar is not None and words == bar.name), None)
    if rival is None:
        return None
    return scores.gain(name, rival, options.bootstrap, options.confidence, seed)


def label(key: str, model: str) -> str:
    """Return the name of a row: the model's own, or a baseline's in words."""
    return model if key == model else NAMES[key]


def overall_table(name: str, scores: Scores) -> Table:
    """Return every measure over all leads, with the skill against each baseline."""
    mse = {key: scores.overall(key)["mse"] for key in (name, *NAMES)}
    rows = []
    for key in (name, *NAMES):
        values: dict[str, float | None] = {**scores.overall(key)}
        if key == name:
            values |= {f"skill_{other}": skill(mse[name], mse[other]) for other in NAMES}
        rows.append(Row(name=label(key, name), kind="model" if key == name else "baseline", values=values))
    return Table(
        title=TITLE,
        columns=COLUMNS,
        rows=(*rows, *published_rows()),
        primary="mse",
        note="≥ 0.3: forecasts below the threshold set to 0. Skill is 1 − MSE / MSE of that baseline.",
    )


def lead_tables(name: str, scores: Scores) -> list[Table]:
    """Return a table for each measure with a column for each lead."""
    titles = {
        "mse": "MSE by lead time",
        "mae": "MAE by lead time",
        "mse_thresholded": "MSE by lead time, thresholded at 0.3",
        "mae_thresholded": "MAE by lead time, thresholded at 0.3",
    }
    columns = tuple(Column(key=f"lead_{k + 1}", label=f"lead {k + 1}") for k in range(scores.leads))
    tables = []
    for measure, title in titles.items():
        rows = []
        for key in (name, *NAMES):
            values = dict(zip((c.key for c in columns), scores.per_lead(key, measure), strict=True))
            rows.append(
                Row(name=label(key, name), kind="model" if key == name else "baseline", values=values)
            )
        tables.append(Table(title=title, columns=columns, rows=tuple(rows), primary="lead_1"))
    return tables


def _interpolated(name: str, scores: Scores) -> Table:
    rows = [
        Row(
            name=label(key, name),
            kind="model" if key == name else "baseline",
            values={k: v for k, v in scores.overall(key).items() if k in ("mse", "mae")},
        )
        for key in (name, *NAMES)
    ]
    return Table(
        title="Interpolated pixels, apart",
        columns=COLUMNS[:2],
        rows=tuple(rows),
        primary="mse",
        note="No measurement lies behind these: they were interpolated between their neighbours in time.",
    )
