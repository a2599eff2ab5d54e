"""Does what a verb asks, glacier by glacier: dry run, work, tables, JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icectl import stages
from icectl.cli import resolve, show
from icectl.errors import IcectlError
from icectl.workspace import RECORD, read_json


def perform(verb: str, model: str, shared: dict[str, Any], typed: dict[str, Any]) -> None:
    """Perform `verb` of `model` on every glacier asked for; one failure does not stop the others."""
    show.start_log(bool(shared.get("quiet")))
    last = "evaluate" if verb in ("run", "demo") else verb
    wanted = list(resolve.requests(verb, model, shared, typed))
    results: list[dict[str, Any]] = []
    failures: list[IcectlError] = []
    for name, build in wanted:
        try:
            results.append(_one(last, build(), shared))
        except IcectlError as problem:
            if len(wanted) == 1:
                raise
            show.error(problem)
            failures.append(problem)
            results.append({"glacier": name, "failed": problem.message})
    _report(results, last, shared, many=len(wanted) > 1)
    if failures:
        raise SystemExit(max(problem.exit_code for problem in failures))


def _one(verb: str, request: stages.Request, shared: Mapping[str, Any]) -> dict[str, Any]:
    """Plan or perform one glacier and return what is to be shown of it."""
    if shared.get("dry_run"):
        from icectl.cli.dry_run import describe

        return describe(request, verb)
    outcome = stages.perform(request, verb)
    if outcome.follower:
        raise SystemExit(0)
    result: dict[str, Any] = {
        "glacier": request.glacier.name,
        "model": request.plugin.name,
        "stage": verb,
        "folder": str(outcome.out),
        "skipped": outcome.skipped,
    }
    if outcome.run is not None:
        result["run"] = str(outcome.run)
    result["record"] = read_json(outcome.out / RECORD)
    if verb == "evaluate":
        result["metrics"] = read_json(outcome.out / "metrics.json")
        result["report"] = str(_write_report(outcome))
    return result


def _write_report(outcome: stages.Outcome) -> Path:
    from icectl.report.page import write_report

    return write_report(outcome.run or outcome.out)


def _report(results: list[dict[str, Any]], verb: str, shared: Mapping[str, Any], many: bool) -> None:
    """Print the results: JSON, or tables and paths."""
    if shared.get("json_output"):
        show.as_json(results if many else results[0])
        return
    for result in results:
        _print(result, shared)
    if many:
        rows = [
            [r["glacier"], "failed" if "failed" in r else "done", r.get("failed") or r.get("folder", "")]
            for r in results
        ]
        show.listing(f"{verb}: {len(results)} glaciers", ["glacier", "", "folder or reason"], rows)


def _print(result: dict[str, Any], shared: Mapping[str, Any]) -> None:
    if "failed" in result:
        return
    if shared.get("dry_run"):
        from icectl.cli.dry_run import show_plan

        show_plan(result)
        return
    if "metrics" in result:
        show.metrics(result["metrics"])
        print(f"run:    {result['run']}")
        print(f"report: {result['report']}")
    else:
        print(result["folder"])
