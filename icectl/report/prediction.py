"""The page of a prediction: what was found, its figures, its files, and how it was made."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from icectl.report.contents import TASKS, options, warnings
from icectl.report.costs import cost_table, duration, total
from icectl.report.record import RunFacts, stages_behind
from icectl.report.sidecars import TYPES, products
from icectl.report.tables import facts_view, number
from icectl.workspace import RECORD, size_of

PANELS = "panels.json"
"""The file in which a prediction keeps what its page shows."""

MAX_LISTED = 60
View = dict[str, Any]


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
