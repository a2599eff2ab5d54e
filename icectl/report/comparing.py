"""What the comparison page says: one table for each result, and what tells the runs apart."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icectl.errors import DataError, UsageError
from icectl.report import contents
from icectl.report.costs import cost_table
from icectl.report.curves import loss_charts
from icectl.report.layers import Reader
from icectl.report.painter import arrange, draw_all
from icectl.report.panels import Layer, SampleRow, Samples, TimeMaps, pack, unpack
from icectl.report.record import Evaluation, RunFacts
from icectl.report.tables import merged, table_view

View = dict[str, Any]

_FIGURES = ("time-maps", "map", "image-lines", "samples", "cross-section")


def context(runs: Sequence[RunFacts], folder: Path) -> View:
    """Return all that the template of a comparison needs, besides ``palettes``.

    UsageError: the runs belong to different tasks.
    """
    tasks = sorted({str(run.record.get("task")) for run in runs})
    if len(tasks) > 1:
        raise UsageError(
            f"runs of different tasks cannot be compared: {', '.join(tasks)}", "compare runs of one task"
        )
    names = names_of(runs)
    nothing: View = {"cells": [], "kind": "", "class": "", "note": ""}
    totals = [(cost_table(run.stages())["rows"] or [nothing])[-1] for run in runs]
    costs = [{**row, "name": name} for name, row in zip(names, totals, strict=True)]
    return {
        "title": f"{len(runs)} runs compared · icectl",
        "heading": f"{len(runs)} runs compared",
        "lead": ", ".join(names),
        "tables": merged_tables(runs, names),
        "warnings": caveats(runs, names),
        "curves": loss_charts({n: r.log for n, r in zip(names, runs, strict=True)}),
        "differences": {"names": names, "rows": differences(runs)},
        "cost": {**cost_table({}), "notes": [], "rows": costs},
        "together": arrange(together(runs, names), 100 * len(runs)),
        "figures": [
            _figures(n, r, folder, 100 * k) for k, (n, r) in enumerate(zip(names, runs, strict=True))
        ],
    }


def names_of(runs: Sequence[RunFacts]) -> list[str]:
    """Return short names: the model; where models repeat also the id, and the glacier if they differ."""
    models = [str(run.record.get("model", "?")) for run in runs]
    if len(set(models)) == len(models):
        return models
    places = [str(run.glacier.get("name", "?")) for run in runs]
    if len(set(places)) > 1:
        models = [f"{model} · {place}" for model, place in zip(models, places, strict=True)]
    return [f"{model} · {run.folder.name}" for model, run in zip(models, runs, strict=True)]


def _newest(run: RunFacts) -> Evaluation | None:
    return run.evaluations[0] if run.evaluations else None


def merged_tables(runs: Sequence[RunFacts], names: Sequence[str]) -> list[View]:
    """Merge tables of one title: a row for each model, and every other row once.

    A baseline that came out differently in two runs was measured on different data; both rows are kept.
    """
    records = [(name, e.metrics) for run, name in zip(runs, names, strict=True) if (e := _newest(run))]
    tables, intervals = merged(records, lambda row, run: run if row in run else f"{row} ({run})")
    return [table_view(table, intervals.get(table.get("title", ""))) for table in tables]


def caveats(runs: Sequence[RunFacts], names: Sequence[str]) -> list[str]:
    """Say what keeps the figures from being comparable."""
    found = [f"{n} has not been evaluated." for n, r in zip(names, runs, strict=True) if not r.evaluations]
    places = sorted({e.glacier for run in runs if (e := _newest(run))})
    if len(places) > 1:
        found.append(f"The runs were evaluated on different glaciers: {', '.join(places)}.")
    data = {str(e.record.get("inputs", {}).get("prepare")) for run in runs if (e := _newest(run))}
    if len(places) == 1 and len(data) > 1:
        found.append("The runs were evaluated on differently prepared data; baselines may differ too.")
    return found


def differences(runs: Sequence[RunFacts]) -> list[tuple[str, list[str]]]:
    """Return the options, and the seed, in which the runs differ."""
    tables = [
        {f"{verb} › {key}": text for verb, lines in contents.all_options(run) for key, text in lines}
        for run in runs
    ]
    for table, run in zip(tables, runs, strict=True):
        table["seed"] = str(run.record.get("seed", ""))
        table["model"] = str(run.record.get("model", ""))
    keys = list(dict.fromkeys(key for table in tables for key in table))
    rows = [(key, [table.get(key, "–") for table in tables]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def together(runs: Sequence[RunFacts], names: Sequence[str]) -> list[View]:
    """Return one truth beside the predictions of all runs, where all show the same frames."""
    found = []
    for run in runs:
        evaluation = _newest(run)
        panels = contents.details(evaluation).get("panels", []) if evaluation else []
        first = next((p for p in panels if isinstance(p, Mapping) and p.get("kind") == "time-maps"), None)
        if first is None or evaluation is None:
            return []
        try:
            panel, reader = unpack(first), Reader([evaluation.folder, run.folder])
            assert isinstance(panel, TimeMaps)
            layers = {
                f.label: (_absolute(f.truth, reader), _absolute(f.prediction, reader)) for f in panel.frames
            }
        except DataError:
            return []
        found.append((panel, layers))
    labels = list(found[0][1])
    if any(list(layers) != labels for _, layers in found):
        return []
    rows = [
        SampleRow(label=label, images=(found[0][1][label][0], *(layers[label][1] for _, layers in found)))
        for label in labels
    ]
    shown = found[0][0]
    samples = Samples(
        title=f"{shown.title}: truth and all models",
        columns=("truth", *names),
        rows=rows,
        unit=shown.unit,
        colours=shown.colours,
        low=shown.low,
        high=shown.high,
    )
    return draw_all(pack([samples]), [Path()])


def _absolute(layer: Layer | None, reader: Reader) -> Layer | None:
    """Return a layer whose file does not depend on the folder it is read from."""
    return layer and layer.model_copy(update={"file": str(reader.find(layer.file).absolute())})


def _figures(name: str, run: RunFacts, folder: Path, first_number: int) -> View:
    """Return the first figure of a run, and the way to its report."""
    evaluation = _newest(run)
    panels = contents.details(evaluation).get("panels", []) if evaluation else []
    first = [p for p in panels if isinstance(p, Mapping) and p.get("kind") in _FIGURES][:1]
    views = draw_all(first, [evaluation.folder, run.folder]) if evaluation else []
    link = os.path.relpath(run.folder / "report.html", folder)
    return {"name": name, "groups": arrange(views, first_number), "link": link.replace(os.sep, "/")}
