"""Table 1 of Min et al. (2019), on test chips: the model beside baselines, marks, and the paper's figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from icectl.arrays import F64, I64, U8, Bools
from icectl.contract import Column, Metrics, Row, Table
from icectl.errors import DataError
from icectl.intervals import certainty, gain_interval
from icectl.run import Run
from icectl.tasks.flow.baselines import BASELINES, MARKS, NOTES, baselines, fitted
from icectl.tasks.flow.dataset import Sequences, open_dataset
from icectl.tasks.flow.figures import correlation_maps, figures
from icectl.tasks.flow.metrics import by_chip, classes, correlation, likeness
from icectl.tasks.flow.options import AHEAD, CLOUDY, EvaluateOptions
from icectl.tasks.flow.predict import open_predictions
from icectl.tasks.flow.split import Parts, split
from icectl.tasks.flow.velocity.quality import velocity_table
from icectl.tasks.model import TaskModel, published_rows

COLUMNS = (
    Column(key="mean", label="Mean correlation", better="higher"),
    Column(key="low", label="< 0.3", better="lower"),
    Column(key="medium", label="0.3–0.7", better=""),
    Column(key="high", label="> 0.7", better="higher"),
)
LIKENESS = (
    Column(key="ssim", label="SSIM", better="higher"),
    Column(key="psnr", label="PSNR", unit="dB", better="higher"),
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Correlations with t2 by method, ``(window, sequence)``; whether t0 is cloudy, and whether t2 is."""

    by: Mapping[str, F64]
    cloudy: Bools
    covered: Bools
    likeness: Mapping[str, Mapping[str, float]]


def evaluate(run: Run, model: TaskModel, options: EvaluateOptions) -> Metrics:
    """Score all windows of the test chips; write the correlation maps and return tables and panels."""
    predictions = open_predictions(run)
    sequences = open_dataset(run.inputs["prepare"])
    _, facts = model.load(run)
    trained = model.trained_options(run, facts)
    part = split(sequences, trained)
    chosen = _predicted(predictions, part.of)
    scores = score_all(run, sequences, predictions, chosen, part)
    samples = int(predictions.attrs["samples"])
    label = run.plugin.name
    pasts = predictions["past"].values
    count = f"{pasts.min()}" if pasts.min() == pasts.max() else f"{pasts.min()} to {pasts.max()}"
    tables = _tables(scores, label, count)
    chips = sequences.array("sequence_chip")[chosen]
    names = {"model": label, **BASELINES, **MARKS}
    units = {row: {"mean": by_chip(scores.by[key], chips)} for key, row in names.items()}
    maps = correlation_maps(run.out, sequences, chosen, scores.by)
    notes = [
        f"{scores.cloudy.size} windows of {len(chosen)} chips and bands; "
        f"t0 is cloudy in {scores.cloudy.mean():.0%}",
        "the model saw frames up to t0 and is scored on t2; it never saw t1",
        part.sentence(),
    ]
    if samples > 1:
        notes.append(f"{label} is the mean of {samples} futures that were drawn")
    if predictions.attrs["parts"] == "all":
        notes.append("--parts all: what was trained on is scored too")
    ours = units[label]["mean"]
    drawn: Any = {"draws": options.bootstrap, "seed": run.seed}
    gains = {
        row: gain_interval(ours, units[row]["mean"], higher_is_better=True, **drawn)
        for row in (BASELINES[key] for key in ("normalised", "linear", "persistence"))
    }
    details: dict[str, Any] = {
        "gains": gains,
        "data": _facts(sequences, count),
        "audit": part.facts(),
        "panels": figures(run, sequences, predictions, maps),
        **certainty(tables[0], units, **drawn),
        "by_window": {name: np.nanmean(value, axis=1).round(4).tolist() for name, value in scores.by.items()},
    }
    truth = velocity_table(run)
    return Metrics(tables=tables if truth is None else (*tables, truth), notes=tuple(notes), details=details)


def _predicted(predictions: Any, of: U8) -> I64:
    listed: I64 = predictions["sequence"].values.astype(np.int64)
    if len(listed) and listed.max() >= len(of):
        raise DataError("the predictions belong to another dataset", "predict again (--force)")
    return listed


def score_all(
    run: Run,
    sequences: Sequences,
    predictions: Any,
    chosen: I64,
    part: Parts,
) -> Scores:
    """Correlate the model's t2, and that of every baseline and mark, with the true one."""
    windows = list(
        zip(predictions["first"].values.tolist(), predictions["past"].values.tolist(), strict=True)
    )
    linear = fitted(sequences, part, run.seed)
    found: dict[str, list[F64]] = {}
    hidden, covered, pictures = [], [], []
    share, band = sequences.array("cloud_share"), sequences.array("sequence_band")[chosen]
    span = (sequences.array("high") - sequences.array("low"))[band]
    with run.progress("scoring windows", total=len(windows)) as advance:
        for number, (start, past) in enumerate(windows):
            t0 = start + past - 1
            last, truth = sequences.chips(chosen, slice(t0, t0 + AHEAD + 1))[:, [0, -1]].swapaxes(0, 1)
            made = predictions["chip"][number, :, AHEAD - 1].values
            by = {"model": correlation(made, truth)}
            by |= baselines(sequences, chosen, start, past, linear)
            for name, values in by.items():
                found.setdefault(name, []).append(values)
            hidden.append(share[chosen, t0] > CLOUDY)
            covered.append(share[chosen, t0 + AHEAD] > CLOUDY)
            pictures.append([likeness(truth, made, span), likeness(truth, last, span)])
            advance()
    means = {
        name: {key: float(np.mean([p[i][key] for p in pictures])) for key in ("ssim", "psnr")}
        for i, name in enumerate(("model", "persistence"))
    }
    return Scores(
        {name: np.array(values) for name, values in found.items()}, np.array(hidden), np.array(covered), means
    )


def _tables(scores: Scores, label: str, past: str) -> tuple[Table, ...]:
    """Return Table 1 for all windows, and once more by whether t0 is cloudy."""
    everything = np.ones_like(scores.cloudy)
    tables = [_table(scores, everything, f"Correlation with t2, {past} past frames", label, published=True)]
    groups = {
        "t2 is clear": ~scores.covered, "t2 is cloudy": scores.covered,
        "t0 is cloudy": scores.cloudy, "t0 is clear": ~scores.cloudy,
    }  # fmt: skip
    for name, which in groups.items():
        if which.any():
            title = f"Only where {name} ({which.mean():.0%} of the windows)"
            tables.append(_table(scores, which, title, label, published=False))
    rows = [
        Row(name=label, kind="model", values=scores.likeness["model"]),
        Row(name=BASELINES["persistence"], kind="baseline", values=scores.likeness["persistence"]),
    ]
    note = "likeness in level and contrast as well as pattern, as in the reference's evaluation"
    tables.append(
        Table(title="SSIM and PSNR at t2", columns=LIKENESS, rows=tuple(rows), primary="ssim", note=note)
    )
    return tuple(tables)


def _table(scores: Scores, which: Bools, title: str, label: str, *, published: bool) -> Table:
    rows = [Row(name=label, kind="model", values=classes(scores.by["model"][which]))]
    for names, of in ((BASELINES, "baseline"), (MARKS, "mark")):
        for key, name in names.items():
            values = classes(scores.by[key][which])
            rows.append(Row(name=name, kind=of, values=values, note=NOTES.get(key, "")))
    note = "mean over non-zero correlations; an oracle uses what no forecast knows"
    if published:
        rows += published_rows("min2019", "table1", [c.key for c in COLUMNS], "Byrd Glacier, other data")
    return Table(title=title, columns=COLUMNS, rows=tuple(rows), primary="mean", note=note)


def _facts(sequences: Sequences, past: str) -> dict[str, Any]:
    time = sequences.data["time"].values
    share = sequences.array("cloud_share").mean(axis=0)
    return {
        "frames": f"{sequences.times}, {str(time[0])[:10]} to {str(time[-1])[:10]}",
        "days between frames": ", ".join(f"{d:g}" for d in np.diff(sequences.days)),
        "sequences": int(sequences.data.sizes["sequence"]),
        "bands": ", ".join(sequences.bands),
        "chip": f"{sequences.size} pixels",
        "past frames": past,
        "cloud over the chips, frame by frame": ", ".join(f"{s:.0%}" for s in share),
    }
