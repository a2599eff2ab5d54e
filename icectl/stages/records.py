"""What stages leave written about themselves: records of runs, stages and metrics."""

import contextlib
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from icectl import registry
from icectl.contract import Metrics
from icectl.run import Run
from icectl.stages.origin import code_of
from icectl.stages.plan import Request, Step
from icectl.workspace import RECORD, contents, relative

_RECORDED_VERSIONS = ("icectl", "torch", "numpy", "rasterio", "opencv-python-headless")
_LATER = {RECORD, "predictions", "evaluations", "report.html", "wandb"}
"""What stands in a run's folder without being the training's own, or is written to after its end."""


def run_record(request: Request, step: Step) -> dict[str, Any]:
    """Return what a run needs to be used again: plugin, schema, options, glacier."""
    found = registry.owner(request.plugin)
    return {
        "model": request.plugin.name,
        "task": request.plugin.task,
        "summary": request.plugin.summary,
        "paper": request.plugin.paper,
        "distribution": found.distribution,
        "version": found.version,
        "schema": request.plugin.schema,
        "api": request.plugin.api,
        "glacier": request.glacier.model_dump(mode="json"),
        "scenes": str(request.scenes) if request.scenes else None,
        "options": {verb: options.model_dump(mode="json") for verb, options in request.options.items()},
        "seed": request.seed,
        "fingerprint": step.fingerprint,
        "command": request.command,
        "inputs": relative(step.inputs, step.out),
    }


def stage_record(
    request: Request, step: Step, out: Path, run: Run, meter: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a finished stage says of itself; its presence in the folder marks the end."""
    outputs = sorted(p.name for p in out.iterdir() if p.name not in _LATER and p.name[0] != ".")
    return {
        "stage": step.verb,
        "model": request.plugin.name,
        "task": request.plugin.task,
        "glacier": request.glacier.name,
        "fingerprint": step.fingerprint,
        "code": code_of(request.plugin, step.verb),
        "options": request.options[step.verb].model_dump(mode="json"),
        "inputs": relative(step.inputs, step.out),
        "seed": run.seed,
        "command": request.command,
        "versions": versions(),
        "meter": dict(meter),
        "notes": run.notes,
        "outputs": outputs,
        "files": contents(out, outputs),
    }


def versions() -> dict[str, str]:
    """Return the versions that a result depends on most."""
    found = {"python": platform.python_version()}
    for name in _RECORDED_VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def score_of(metrics: Mapping[str, Any]) -> str:
    """Return the model's score in the column that decides, in words, from a record of metrics."""
    table = next(iter(metrics.get("tables", [])), None)
    if table is None:
        return "–"
    column = next(c for c in table["columns"] if c["key"] == table["primary"])
    value = next((r["values"].get(table["primary"]) for r in table["rows"] if r["kind"] == "model"), None)
    return "–" if value is None else f"{column['label']} {value:.3g} {column['unit']}".strip()


def metrics_record(metrics: Metrics) -> dict[str, Any]:
    """Return `metrics` as plain JSON data."""
    return {
        "tables": [asdict(table) for table in metrics.tables],
        "notes": list(metrics.notes),
        "details": dict(metrics.details),
    }
