"""What the pages of a run and of a prediction say in words and tables: everything but their pictures."""

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from icectl.report.costs import cost_table, duration, total
from icectl.report.costs import energy as energy_text
from icectl.report.curves import loss_charts
from icectl.report.record import Evaluation, RunFacts, stages_behind
from icectl.report.sidecars import TYPES, products
from icectl.report.tables import facts_view, headline, interval_words, number, outcome, table_view
from icectl.workspace import RECORD, size_of

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


PANELS = "panels.json"
"""The file in which a prediction keeps what its page shows."""

MAX_LISTED = 60


def prediction_context(run: RunFacts, folder: Path, record: Mapping[str, Any]) -> View:
    """Return all that the template of a prediction needs, besides ``groups`` and ``palettes``."""
    stages = stages_behind(folder, {**record, "stage": "predict"})
    if run.record.get("weights"):
        stages.pop("train", None)  # it was another's
    task = str(record.get("task", ""))
    place, when = (
        record.get("place") or record.get("glacier", ""),
        datetime.fromtimestamp((folder / RECORD).stat().st_mtime),
    )
    weights = run.record.get("weights") or (f"run {run.folder.name}" if run.training else "none needed")
    return {
        "title": f"{record.get('model')} · {place} · icectl",
        "heading": f"{TASKS.get(task, task.capitalize())}: {place}",
        "lead": f"model {record.get('model')} · weights: {weights} · predicted {when:%Y-%m-%d %H:%M}",
        "cards": list(_cards(record, stages)),
        "files": list(_files(folder)),
        "notes": facts_view(
            {k: v for k, v in record.get("notes", {}).items() if k not in ("warnings", "cards")}
        ),
        "warnings": warnings(stages),
        "cost": cost_table(stages),
        "commands": [record["command"]] if record.get("command") else [],
        "versions": facts_view(record.get("versions", {})),
        "options": options(stages),
    }


def _cards(record: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]) -> Iterator[View]:
    """Yield what the prediction noted for the head of the page, the time, and how many warnings there are.

    Without ``notes["cards"]`` (label, value, explanation) these are its first numbers.
    """
    notes = record.get("notes", {})
    numbers = [[k, number(v), ""] for k, v in notes.items() if isinstance(v, int | float)][:4]
    for label, value, small in notes.get("cards", numbers):
        yield {"label": label, "value": value, "small": small}
    meters = [m for s in stages.values() if isinstance(m := s.get("meter"), Mapping)]
    yield {"label": "time, all stages", "value": duration(total(meters, "seconds")), "small": ""}
    if count := len(warnings(stages)):
        yield {"label": "warnings", "value": str(count), "small": "below, under Notes", "tone": "bad"}


def _files(folder: Path) -> Iterator[View]:
    for count, path in enumerate(products(folder)):
        if count == MAX_LISTED:
            yield {"name": "…", "link": "", "kind": f"more files in {folder.name}", "size": ""}
            return
        size = size_of(path)
        name = path.relative_to(folder).as_posix()
        yield {
            "name": name,
            "link": name,
            "kind": TYPES[path.suffix][1],
            "size": f"{size / 1e3:,.{0 if size >= 1e4 else 1}f} kB",
        }
