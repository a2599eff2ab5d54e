"""What the page of one run says in words and tables: everything but its pictures."""

import json
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from icectl.report.costs import cost_table, duration, total
from icectl.report.costs import energy as energy_text
from icectl.report.curves import loss_charts
from icectl.report.record import Evaluation, RunFacts
from icectl.report.tables import facts_view, headline, interval_words, outcome, table_view
from icectl.workspace import RECORD

View = dict[str, Any]

TASKS = {
    "snow": "Snow forecast",
    "front": "Calving fronts",
    "flow": "Ice flow",
    "bed": "Ice thickness and bed",
}


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
        "options": all_options(run),
        "earlier": [
            {"title": f"{e.glacier} · {e.folder.name}", "tables": tables(e)} for e in run.evaluations[1:]
        ],
    }


def details(evaluation: Evaluation) -> Mapping[str, Any]:
    """Return the ``details`` of an evaluation's metrics."""
    found = evaluation.metrics.get("details", {})
    return found if isinstance(found, Mapping) else {}


def heading(run: RunFacts) -> str:
    """Return the page's title in words, e.g. “Snow forecast: Parvati”; a task may name the ``"place"``."""
    task = str(run.record.get("task", ""))
    place = run.glacier.get("title") or run.glacier.get("name", "")
    newest = run.evaluations[0] if run.evaluations else None
    shown = (details(newest).get("place") or newest.glacier) if newest else ""
    if shown and "weights" in run.record:
        place = shown
    elif shown and shown != run.glacier.get("name"):
        place = f"{place}, evaluated on {shown}"
    return f"{TASKS.get(task, task.capitalize() or 'Run')}: {place}"


def _lead(run: RunFacts) -> str:
    if "weights" in run.record:
        return f"model {run.record.get('model', '?')} · weights {run.record['weights']}"
    when = datetime.fromtimestamp((run.folder / RECORD).stat().st_mtime) if run.training else None
    parts = [f"model {run.record.get('model', '?')}", f"run {run.folder.name}"]
    parts.append(f"trained {when:%Y-%m-%d %H:%M}" if when else "training not finished")
    return " · ".join(parts)


def cards(run: RunFacts, stages: Mapping[str, Mapping[str, Any]]) -> list[View]:
    """Return the few numbers at the head of the page."""
    found: list[View] = []
    first = next(iter(run.evaluations[0].metrics.get("tables", [])), None) if run.evaluations else None
    intervals = details(run.evaluations[0]).get("intervals", {}) if run.evaluations else {}
    head = headline(first, intervals.get(first.get("title"))) if first else None
    if head:
        unit = f" {head['unit']}" if head["unit"] else ""
        found.append(
            {"label": f"{head['label']}, {head['name']}", "value": head["value"] + unit, "small": ""}
        )
        if "bar" in head:
            gain = details(run.evaluations[0]).get("gain")
            words, tone = outcome(head["gain"], gain)
            sure = f" · {interval_words(gain)}" if gain else ""
            small = f"{head['bar']}: {head['bar_value']}{unit}{sure}"
            found.append(
                {"label": "against the strongest baseline", "value": words, "small": small, "tone": tone}
            )
    meters = [m for s in stages.values() if isinstance(m := s.get("meter"), Mapping)]
    if meters:
        found.append({"label": "time, all stages", "value": duration(total(meters, "seconds")), "small": ""})
    energy = total(meters, "energy_kwh")
    if energy is not None:
        source = " and ".join(
            sorted({str(m.get("energy_source", "")) for m in meters if m.get("energy_kwh")})
        )
        grams = total(meters, "co2e_g")
        small = f"{'' if grams is None else f'{grams:.2g} g CO₂e · '}{source}"
        found.append({"label": "energy", "value": energy_text(energy), "small": small})
    return found


def tables(evaluation: Evaluation) -> list[View]:
    """Return the result tables, with intervals where there are any."""
    intervals = details(evaluation).get("intervals", {})
    return [table_view(t, intervals.get(t.get("title"))) for t in evaluation.metrics.get("tables", [])]


def warnings(stages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what the stages warned of, each sentence once."""
    found = []
    for verb, record in stages.items():
        notes = record.get("notes", {})
        for text in notes.get("warnings", []) if isinstance(notes, Mapping) else []:
            found.append(f"{verb}: {text}")
    return list(dict.fromkeys(found))


def commands(run: RunFacts) -> list[str]:
    """Return the commands that make this result again: as typed, and as icectl would spell them out."""
    records = (run.record, *(e.record for e in run.evaluations[:1]))
    found = list(dict.fromkeys(str(one["command"]) for one in records if one.get("command")))
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
        "from": f"{record.get('distribution', '')} {record.get('version', '')}".strip(" -"),
        "task": record.get("task"),
        "glacier": run.glacier.get("name"),
        "scenes": record.get("scenes"),
        "seed": record.get("seed"),
        "fingerprint": record.get("fingerprint"),
        "folder": "/".join(run.folder.absolute().parts[-4:]),  # from the workspace, which may move
    }
    return facts_view({k: v for k, v in facts.items() if v not in (None, "")})


def all_options(run: RunFacts) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every option of every stage: as planned, and as used where the stage has a record."""
    planned = {verb: {"options": found} for verb, found in run.record.get("options", {}).items()}
    return options({**planned, **{v: r for v, r in run.stages().items() if r.get("options")}})


def options(stages: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every option in records of stages."""
    return [
        (verb, [(key, _text(value)) for key, value in found.items()])
        for verb, record in stages.items()
        if (found := record.get("options"))
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
