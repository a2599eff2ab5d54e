"""``--dry-run``: what would be read, written and downloaded, with sizes and times; touches nothing."""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from icectl import registry, stages
from icectl.cli import show
from icectl.contract import Estimate
from icectl.errors import DataError, WorkError
from icectl.report.costs import duration
from icectl.tasks import TASKS
from icectl.workspace import RECORD, read_json, size_of

_RECORDS = {
    "fetch": "glaciers/*/scenes/*",
    "prepare": "glaciers/*/prepared/*",
    "train": "runs/{model}/*/*",
    "predict": "runs/{model}/*/*/predictions/*",
    "evaluate": "runs/{model}/*/*/evaluations/*",
}
"""Where a workspace keeps the records of finished stages."""


def describe(request: stages.Request, verb: str) -> dict[str, Any]:
    """Return the plan of `verb` as plain data.

    WorkError: something is to be done, and the workspace cannot be written to.
    """
    steps = []
    for step in stages.plan(request, verb):
        if not step.done:
            request.workspace.expect_writable()
        estimate = Estimate() if step.done else _estimate(step)
        steps.append(
            {
                "stage": step.verb,
                "model": step.request.plugin.name,
                "folder": str(step.out),
                "up_to_date": step.done,
                "on_disk": size_of(step.out) if step.done else None,
                **asdict(estimate),
                "seconds": _seconds(step),
            }
        )
    if request.scenes is not None:
        scenes = {"folder": str(request.scenes), "bytes": size_of(request.scenes)}
    else:
        scenes = None
    return {
        "glacier": request.glacier.name,
        "model": request.plugin.name,
        "source": stages.source_of(request),
        "scenes": scenes,
        "steps": steps,
        "dry_run": True,
    }


def _estimate(step: stages.Step) -> Estimate:
    """Ask the plugin's light estimator, where it has one."""
    plugin = step.request.plugin
    dotted = plugin.estimate
    if not dotted and plugin.task in TASKS:
        dotted = f"icectl.tasks.{plugin.task}.estimate:estimate"
    if not dotted:
        return Estimate(note="this plugin gives no estimate")
    with registry.doing(plugin, f"the estimate of {step.verb}"):
        try:
            answer = registry.resolve(dotted)(stages.run_for(step))
        except WorkError as error:  # no network: all else can be said
            return Estimate(note=f"not known: {error.message}")
    if not isinstance(answer, Estimate):
        raise registry.fault(plugin, f"returned a {type(answer).__name__} from its estimate, not Estimate")
    return answer


def _seconds(step: stages.Step) -> float | None:
    """Return how long this stage took, else the newest of the same model with the same options here."""
    request = step.request
    pattern = _RECORDS[step.verb].format(model=request.plugin.name)
    options = request.options[step.verb].model_dump(mode="json")
    found = sorted(request.workspace.root.glob(f"{pattern}/{RECORD}"), key=lambda p: -p.stat().st_mtime)
    for path in [step.out / RECORD] if step.done else found:
        with contextlib.suppress(DataError, KeyError, TypeError):
            record = read_json(path)
            if step.done or (record["task"], record["options"]) == (request.plugin.task, options):
                return float(record["meter"]["seconds"])
    return None


def show_plan(plan: Mapping[str, Any]) -> None:
    """Print a plan as a table."""
    sizes = dict.fromkeys(("reads", "downloads", "writes", "memory"), human)
    known = {key for step in plan["steps"] for key, value in step.items() if value is not None}
    told = {key: say for key, say in {**sizes, "seconds": duration}.items() if key in known}
    rows = []
    for step in plan["steps"]:
        state = f"up to date ({human(step['on_disk'])})" if step["up_to_date"] else "would run"
        facts = [say(step[key]) for key, say in told.items()]
        whose = "" if step["model"] == plan["model"] else f" {step['model']}"
        rows.append([step["stage"] + whose, state, *facts, step["note"] or step["folder"]])
    title = f"{plan['model']} on {plan['glacier']}, scenes from {plan['source']} (nothing was touched)"
    names = ["time before" if key == "seconds" else key for key in told]
    show.listing(title, ["stage", "", *names, "folder or note"], rows)


def human(size: int | None) -> str:
    """Return a number of bytes for people, e.g. ``89.6 MB``; a dash where it is not known."""
    if size is None:
        return "–"
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
