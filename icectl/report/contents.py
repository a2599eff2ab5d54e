"""What the page of one run says in words and tables: everything but its pictures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from icectl.report import charts
from icectl.report.panels import Curve, Series
from icectl.report.record import Evaluation, RunFacts
from icectl.report.tables import facts_view, headline, number, table_view
from icectl.workspace import RECORD

View = dict[str, Any]

_TASKS = {
    "snow": "Snow forecast",
    "front": "Calving fronts",
    "flow": "Ice flow",
    "bed": "Ice thickness and bed",
}
_RATES = ("lr", "rate", "learning")
_NOT_CURVES = ("step", "epoch", "seconds", "time")
"""Words at the start of a log's keys: learning rates get a chart of their own, these none."""


def run_context(run: RunFacts) -> View:
    """Return all that the template of one run needs, besides ``views`` and ``palettes``."""
    newest = run.evaluations[0] if run.evaluations else None
    stages = run.stages()
    found = details(newest) if newest else {}
    return {
        "title": f"{run.name} · icectl",
        "heading": heading(run),
        "lead": _lead(run),
        "cards": cards(run, stages),
        "tables": tables(newest) if newest else [],
        "notes": list(newest.metrics.get("notes", [])) if newest else [],
        "curves": loss_charts({run.folder.name: run.log}),
        "data": facts_view(found.get("data", {})),
        "audit": facts_view(found.get("audit", {})),
        "warnings": warnings(stages),
        "cost": cost_table(stages),
        "commands": commands(run),
        "identity": identity(run),
        "versions": facts_view(run.training.get("versions", {})),
        "options": options(run),
        "earlier": [_earlier(e) for e in run.evaluations[1:]],
    }


def details(evaluation: Evaluation) -> Mapping[str, Any]:
    """Return the ``details`` of an evaluation's metrics."""
    found = evaluation.metrics.get("details", {})
    return found if isinstance(found, Mapping) else {}


def heading(run: RunFacts) -> str:
    """Return the page's title in words, e.g. “Snow forecast: Parvati”."""
    task = str(run.record.get("task", ""))
    place = run.glacier.get("title") or run.glacier.get("name", "")
    shown = run.evaluations[0].glacier if run.evaluations else ""
    if shown and shown != run.glacier.get("name"):
        place = f"{place}, evaluated on {shown}"
    return f"{_TASKS.get(task, task.capitalize() or 'Run')}: {place}"


def _lead(run: RunFacts) -> str:
    when = datetime.fromtimestamp((run.folder / RECORD).stat().st_mtime) if run.training else None
    parts = [f"model {run.record.get('model', '?')}", f"run {run.folder.name}"]
    parts.append(f"trained {when:%Y-%m-%d %H:%M}" if when else "training not finished")
    return " · ".join(parts)


def cards(run: RunFacts, stages: Mapping[str, Mapping[str, Any]]) -> list[View]:
    """Return the few numbers at the head of the page."""
    found: list[View] = []
    first = next(iter(run.evaluations[0].metrics.get("tables", [])), None) if run.evaluations else None
    head = headline(first) if first else None
    if head:
        unit = f" {head['unit']}" if head["unit"] else ""
        found.append(
            {"label": f"{head['label']}, {head['name']}", "value": head["value"] + unit, "small": ""}
        )
        if "bar" in head:
            better = head["gain"] >= 0
            words = f"{abs(head['gain'])} % {'better' if better else 'worse'}"
            small = f"{head['bar']}: {head['bar_value']}{unit}"
            tone = "good" if better else "bad"
            found.append(
                {"label": "against the strongest baseline", "value": words, "small": small, "tone": tone}
            )
    meters = [m for s in stages.values() if isinstance(m := s.get("meter"), Mapping)]
    if meters:
        found.append({"label": "time, all stages", "value": duration(_sum(meters, "seconds")), "small": ""})
    energy = _sum(meters, "energy_kwh")
    if energy is not None:
        source = " and ".join(
            sorted({str(m.get("energy_source", "")) for m in meters if m.get("energy_kwh")})
        )
        grams = _sum(meters, "co2e_g")
        small = f"{'' if grams is None else f'{number(grams)} g CO₂e · '}{source}"
        found.append({"label": "energy", "value": _kwh(energy), "small": small})
    return found


def _sum(meters: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [float(m[key]) for m in meters if isinstance(m.get(key), int | float)]
    return sum(values) if values else None


def _kwh(value: float) -> str:
    return f"{value * 1000:.3g} Wh" if value < 0.1 else f"{value:.3g} kWh"


def duration(seconds: float | None) -> str:
    """Return seconds in words, e.g. ``2 h 5 min``.

    >>> duration(7512), duration(75), duration(2.34)
    ('2 h 5 min', '1 min 15 s', '2.3 s')
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.2g} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def tables(evaluation: Evaluation) -> list[View]:
    """Return the result tables, with intervals where there are any."""
    intervals = details(evaluation).get("intervals", {})
    return [table_view(t, intervals.get(t.get("title"))) for t in evaluation.metrics.get("tables", [])]


def _earlier(evaluation: Evaluation) -> View:
    return {"title": f"{evaluation.glacier} · {evaluation.folder.name}", "tables": tables(evaluation)}


def loss_charts(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[View]:
    """Return charts of the training's measures: of one run, or of several over each other.

    The same measure of training and validation shares a chart; the learning rate has its own.
    """
    keys = {k for log in logs.values() for line in log for k, v in line.items() if _is_number(v)}
    keys = {k for k in keys if not k.lower().startswith(_NOT_CURVES)}
    rates = {k for k in keys if k.lower().startswith(_RATES)}
    charts_of = []
    for title, group in {**_grouped(keys - rates), "learning rate": sorted(rates)}.items():
        series = [s for name, log in logs.items() for s in _series(name if len(logs) > 1 else "", log, group)]
        if series:
            panel = Curve(
                title=title[:1].upper() + title[1:],
                series=tuple(series),
                x_label="update",
                log_y=_wide(series),
            )
            charts_of.append(
                {"title": panel.title, "note": "", "words": "over updates", "svg": charts.curve(panel)}
            )
    return charts_of


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _grouped(keys: Iterable[str]) -> dict[str, list[str]]:
    """Group ``train/loss`` with ``valid/loss``; the loss comes first."""
    groups: dict[str, list[str]] = {}
    for key in sorted(keys):
        groups.setdefault(key.rpartition("/")[2].replace("_", " "), []).append(key)
    return dict(sorted(groups.items(), key=lambda item: (item[0] != "loss", item[0])))


def _series(name: str, log: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[Series]:
    found = []
    for key in keys:
        points = [(line.get("step", i), line[key]) for i, line in enumerate(log) if _is_number(line.get(key))]
        if points:
            label = " · ".join(part for part in (name, key.rpartition("/")[0] or key) if part)
            x, y = zip(*points, strict=True)
            role = "other" if name else "prediction" if _checked(key) else "truth"
            found.append(Series(label=label, x=x, y=y, role=role))
    return found


def _checked(key: str) -> bool:
    """Tell whether a measure is of validation data."""
    return key.lower().startswith(("val", "valid"))


def _wide(series: Sequence[Series]) -> bool:
    """Tell whether values span more than two powers of ten, all above zero."""
    values = [v for s in series for v in s.y if v is not None]
    return bool(values) and min(values) > 0 and max(values) / min(values) > 100


def warnings(stages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what the stages warned of, each sentence once."""
    found = []
    for verb, record in stages.items():
        notes = record.get("notes", {})
        for text in notes.get("warnings", []) if isinstance(notes, Mapping) else []:
            found.append(f"{verb}: {text}")
    return list(dict.fromkeys(found))


def cost_table(stages: Mapping[str, Mapping[str, Any]]) -> View:
    """Return what each stage took: time, memory, energy and what the energy figure rests on."""
    rows = []
    for verb, record in stages.items():
        meter = record.get("meter", {})
        rows.append(_cost_row(verb, [meter] if isinstance(meter, Mapping) else []))
    everything = [m for s in stages.values() if isinstance(m := s.get("meter"), Mapping)]
    if len(rows) > 1:
        rows.append(_cost_row("together", everything))
    heads = ("time", "peak memory [MB]", "GPU memory [MB]", "energy", "CO₂e [g]")
    return {
        "title": "What it cost",
        "note": "" if rows else "No stage has left a record.",
        "kind": "energy from",
        "heads": [{"label": h, "unit": "", "arrow": "", "primary": False} for h in heads],
        "rows": rows,
    }


def _cost_row(name: str, meters: Sequence[Mapping[str, Any]]) -> View:
    energy, grams = _sum(meters, "energy_kwh"), _sum(meters, "co2e_g")
    texts = (
        duration(_sum(meters, "seconds")),
        _megabytes(meters, "peak_memory"),
        _megabytes(meters, "peak_device_memory"),
        "–" if energy is None else _kwh(energy),
        number(grams),
    )
    sources = sorted({str(m["energy_source"]) for m in meters if m.get("energy_source")})
    cells = [{"text": text, "best": False, "interval": ""} for text in texts]
    return {"name": name, "kind": ", ".join(sources), "class": "", "note": "", "cells": cells}


def _megabytes(meters: Sequence[Mapping[str, Any]], key: str) -> str:
    values = [m[key] for m in meters if _is_number(m.get(key))]
    return f"{max(values) / 1e6:,.0f}" if values else "–"


def commands(run: RunFacts) -> list[str]:
    """Return the commands that make this result again: as typed, and as icectl would spell them out."""
    typed = [run.record.get("command", "")]
    typed += [e.record.get("command", "") for e in run.evaluations[:1]]
    found = [str(c) for c in dict.fromkeys(typed) if c]
    return found or [_spelled(run)]


def _spelled(run: RunFacts) -> str:
    words = ["icectl", "run", str(run.record.get("model", "")), "--glacier", str(run.glacier.get("name", ""))]
    if run.record.get("scenes"):
        words += ["--scenes", str(run.record["scenes"])]
    return shlex.join([*words, "--seed", str(run.record.get("seed", 0))])


def identity(run: RunFacts) -> list[tuple[str, str]]:
    """Return what tells this run from others."""
    record = run.record
    facts = {
        "model": record.get("model"),
        "from": f"{record.get('distribution', '')} {record.get('version', '')}".strip(),
        "task": record.get("task"),
        "glacier": run.glacier.get("name"),
        "scenes": record.get("scenes"),
        "seed": record.get("seed"),
        "fingerprint": record.get("fingerprint"),
        "folder": str(run.folder),
    }
    return facts_view({k: v for k, v in facts.items() if v not in (None, "")})


def options(run: RunFacts) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every option of every stage."""
    stages = {**run.record.get("options", {})}
    for verb, record in run.stages().items():
        if record.get("options"):
            stages[verb] = record["options"]
    return [
        (verb, [(key, _text(value)) for key, value in found.items()])
        for verb, found in stages.items()
        if found
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
