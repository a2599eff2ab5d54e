"""Does what a verb asks, glacier by glacier: dry run, work, tables, JSON."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from numbers import Number
from pathlib import Path
from types import NoneType
from typing import Any

from icectl import registry, stages
from icectl.cli import options, resolve, show
from icectl.cli.asked import Asked
from icectl.contract import VERBS
from icectl.errors import IcectlError, UsageError, did_you_mean, worded
from icectl.workspace import metrics_of, stage_of

Wanted = list[tuple[str, Callable[[], stages.Request]]]
"""Glaciers by name, each with what builds its request."""

Named = tuple[str, dict[str, Any] | IcectlError]
"""A glacier, and what is to be shown of it or why it failed."""


_PLAIN = (str, Path, Number, date, list, tuple, dict, NoneType)
"""What Python may give for an option."""


def perform(asked: Asked) -> None:
    """Do what was asked on every glacier; one failure does not stop the others."""
    show.start_log(asked.quiet)
    last = "evaluate" if asked.verb in ("run", "demo") else asked.verb
    wanted = list(resolve.requests(asked))
    results: list[dict[str, Any]] = []
    failures: list[IcectlError] = []
    spread = bool(asked.cluster) and len(wanted) > 1 and not asked.dry_run
    for name, result in (_spread if spread else _in_turn)(wanted, last, asked):
        if not isinstance(result, IcectlError):
            results.append(result)
            continue
        if len(wanted) == 1:
            raise result
        show.error(result)
        failures.append(result)
        results.append({"glacier": name, "failed": result.message})
    _report(results, last, asked, many=len(wanted) > 1)
    if failures:
        raise SystemExit(max(problem.exit_code for problem in failures))


def outcome(verb: str, model: str, values: Mapping[str, Any]) -> stages.Outcome:
    """Do `verb` of `model` on one place, with options by name as Python gives them.

    UsageError: there is no such option, or the options name several glaciers.
    """
    plugin = registry.get(model)
    shared = {name: _typed(name, value) for name, value in values.items()}
    known = {*options.OF_VERB[verb], *(n for v in VERBS for n in plugin.stages[v].model_fields)}
    if unknown := sorted(set(values) - known):
        raise UsageError(f"{plugin.name} has no option '{unknown[0]}'", did_you_mean(unknown[0], known))
    said = ", ".join(
        [repr(model), *(f"{n}={str(v) if isinstance(v, Path) else v!r}" for n, v in values.items())]
    )
    asked = replace(Asked.of(verb, plugin, shared), command=f"icectl.{verb}({said})")
    found = list(resolve.requests(asked))
    if len(found) > 1:
        raise UsageError("several glaciers were named", "call it once for each")
    return stages.perform(found[0][1](), verb)


def _typed(name: str, value: Any) -> Any:
    """Return a value as the terminal would have parsed it; refuse data that a file must hold."""
    paths = name in ("scenes", "workspace", "from_export") and value is not None
    if not isinstance(value, (str, Path) if paths else _PLAIN):
        wanted = "one path is" if paths else "text, a number or a path is"
        raise UsageError(
            f"{name} is a {type(value).__name__}, and {wanted} expected", "name a file or folder"
        )
    if name == "glacier" and isinstance(value, str):
        return [value]
    if isinstance(value, str | Path):
        value = type(value)(options.local(str(value)))
    return Path(value) if paths else value


def _in_turn(wanted: Wanted, verb: str, asked: Asked) -> Iterator[Named]:
    for name, build in wanted:
        try:
            yield name, _one(verb, build(), asked)
        except IcectlError as problem:
            if problem.interrupted:
                raise
            yield name, problem


def _spread(wanted: Wanted, verb: str, asked: Asked) -> Iterator[Named]:
    """Work on all glaciers over the cluster; yield them in the order they were named."""
    from icectl.scale import perform_all

    requests: dict[int, stages.Request] = {}
    found: dict[int, dict[str, Any] | IcectlError] = {}
    for number, (_, build) in enumerate(wanted):
        try:
            requests[number] = build()
        except IcectlError as problem:
            found[number] = problem
    numbers = list(requests)
    for place, result in perform_all(list(requests.values()), verb, str(asked.cluster)):
        number = numbers[place]
        if isinstance(result, IcectlError):
            found[number] = result
        else:
            found[number] = _described(verb, requests[number], result)
            logging.getLogger("icectl").info(f"{wanted[number][0]}: done")
    for number, (name, _) in enumerate(wanted):
        yield name, found[number]


def _one(verb: str, request: stages.Request, asked: Asked) -> dict[str, Any]:
    """Plan or perform one glacier and return what is to be shown of it."""
    if asked.dry_run:
        from icectl.cli.dry_run import describe

        return describe(request, verb)
    outcome = stages.perform(request, verb)
    if outcome.follower:
        raise SystemExit(0)
    return _described(verb, request, outcome)


def _described(verb: str, request: stages.Request, outcome: stages.Outcome) -> dict[str, Any]:
    """Return what is to be shown of a finished stage."""
    result: dict[str, Any] = {
        "glacier": request.glacier.name,
        "model": request.plugin.name,
        "stage": verb,
        "folder": str(outcome.out),
        "skipped": outcome.skipped,
    }
    if outcome.run is not None:
        result["run"] = str(outcome.run)
    result["record"] = stage_of(outcome.out)
    if verb == "evaluate":
        result["metrics"] = metrics_of(outcome.out)
    if verb in ("predict", "evaluate"):
        result["report"] = _write_report(outcome, verb)
    return result


def _write_report(outcome: stages.Outcome, verb: str) -> str | None:
    """Write the page and return its path; what was made stands even where that cannot be written."""
    from icectl.report.page import REPORT, write_prediction, write_report

    page = (outcome.run or outcome.out if verb == "evaluate" else outcome.out) / REPORT
    try:
        if verb == "evaluate":
            return str(write_report(page.parent))
        return str(page if outcome.skipped and page.is_file() else write_prediction(outcome.out))
    except (IcectlError, OSError, MemoryError) as error:
        said = worded(error, "" if getattr(error, "filename", None) else page) or error
        logging.getLogger("icectl").warning(f"the report could not be written: {said}")
        return str(page) if outcome.skipped and page.is_file() else None


def _report(results: list[dict[str, Any]], verb: str, asked: Asked, many: bool) -> None:
    if asked.json_output:
        show.as_json(results if many else results[0])
        return
    for result in results:
        _print(result, asked)
    if many:
        rows = [
            [r["glacier"], "failed" if "failed" in r else "done", r.get("failed") or r.get("folder", "")]
            for r in results
        ]
        show.listing(f"{verb}: {len(results)} glaciers", ["glacier", "", "folder or reason"], rows)


def _print(result: dict[str, Any], asked: Asked) -> None:
    if "failed" in result:
        return
    if asked.dry_run:
        from icectl.cli.dry_run import show_plan

        show_plan(result)
        return
    if "metrics" in result:
        show.metrics(result["metrics"], asked.verbose)
        print(f"run:    {result['run']}")
        print(f"report: {result['report'] or 'not written'}")
        return
    if result.get("report"):
        show.say(f"report: {result['report']}")
    print(result["folder"])
