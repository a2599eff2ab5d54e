"""``icectl compare``: every model of a task in one table, or two sets of lines against each other."""

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from icectl.cli import show
from icectl.cli.options import Json
from icectl.errors import IcectlError, UsageError, did_you_mean

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def compare(
    context: typer.Context,
    task: Annotated[str | None, typer.Option("--task", help="snow, flow, front or bed.")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Only this model; give it again for several."),
    ] = None,
    within_days: Annotated[
        float, typer.Option("--within-days", help="Fronts: most days between two lines of a pair.", min=0)
    ] = 1.0,
    length: Annotated[
        bool,
        typer.Option("--length", help="Fronts: advance and retreat of each set since its first date."),
    ] = False,
    length_method: Annotated[
        str, typer.Option("--length-method", help="Fronts: box or centre-line.")
    ] = "box",
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="Fronts: write the lengths to this file, and a figure (SVG) beside it.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what each model would read and write; touch nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train and evaluate every model of a task and print one table, baselines included.

    Other options go to each model: icectl compare --task snow --glacier parvati --preset small

    Sets of front lines: icectl compare fronts A.gpkg B.gpkg (distances, of every two), or with --length
    """
    from icectl.cli.together import merged

    show.start_log("--quiet" in context.args or "-q" in context.args)
    if context.args[:1] == ["fronts"]:
        if length:
            _lengths(context.args[1:], length_method, None if dry_run else csv, as_json)
        else:
            _fronts(context.args[1:], within_days, as_json)
        return
    if task is None:
        word = next(iter(context.args), "-")
        raise UsageError(
            "compare what?" if word.startswith("-") else f"compare takes no '{word}'",
            "icectl compare --task snow, icectl compare fronts A B, or for "
            "runs: icectl report RUN RUN --out compare.html",
        )
    requests = _requests(_models_of(task, models), context.args, bool(models))
    if dry_run:
        _plans(requests, as_json)
        return
    records, runs, failures = _evaluated(requests)
    if not records:
        raise failures[0]
    found = merged(records)
    if as_json:
        show.as_json({**found, "runs": runs})
    else:
        show.metrics(found)
        _next(requests[0].workspace, runs)
    if failures:
        raise SystemExit(max(problem.exit_code for problem in failures))


def _models_of(task: str, wanted: list[str] | None) -> list[Any]:
    """Return the usable plugins of a task, or those wanted."""
    from icectl import registry

    if wanted:
        return [registry.get(name) for name in wanted]
    usable = registry.usable()
    found = [plugin for plugin in usable if plugin.task == task]
    if not found:
        raise UsageError(f"no model has the task '{task}'", did_you_mean(task, {p.task for p in usable}))
    found.sort(key=lambda plugin: "member" in plugin.stages["train"].model_fields)  # ensembles last
    return found


def _requests(plugins: list[Any], arguments: list[str], named: bool) -> list[Any]:
    """Return what each model would do; one that lacks an option is left out, unless named."""
    from icectl import registry
    from icectl.cli.verbs import LacksOption

    found, refused = [], []
    for plugin in plugins:
        try:
            found.append(_request(plugin, arguments))
        except LacksOption as lack:
            refused.append((plugin, lack))
    if refused and (named or not found):
        raise refused[0][1]
    for plugin, why in refused:
        logging.getLogger("icectl").warning(f"{registry.typed(plugin)} is left out: {why.message}")
    return found


def _request(plugin: Any, arguments: list[str]) -> Any:
    from icectl.cli import resolve, verbs
    from icectl.cli.asked import Asked

    context = verbs.command("run", plugin).make_context(plugin.name, list(arguments))
    (_, build), *more = resolve.requests(Asked.of("run", plugin, context.params))
    if more:
        raise UsageError("compare works on one glacier", "call it once for each")
    return build()


def _plans(requests: list[Any], as_json: bool) -> None:
    from icectl.cli import dry_run, show

    plans = [dry_run.describe(request, "evaluate") for request in requests]
    if as_json:
        show.as_json(plans)
        return
    for plan in plans:
        dry_run.show_plan(plan)


def _next(workspace: Any, runs: list[Path]) -> None:
    """Print the command that sets the runs side by side on one page."""
    if len(runs) > 1:
        other = [] if workspace == type(workspace).locate() else ["--workspace", str(workspace.root)]
        words = ["icectl", "report", *(run.name for run in runs), *other, "--out", "compare.html"]
        print(f"side by side: {shlex.join(words)}")


def _evaluated(requests: list[Any]) -> tuple[list[Mapping[str, Any]], list[Path], list[Any]]:
    """Run all verbs of every model; return metrics records and run folders, and what stopped the others."""
    from icectl import stages
    from icectl.cli.together import named
    from icectl.workspace import metrics_of

    records: list[Mapping[str, Any]] = []
    runs: list[Path] = []
    failures: list[IcectlError] = []
    for request in requests:
        try:
            outcome = stages.perform(request, "evaluate")
        except IcectlError as problem:
            if problem.interrupted:
                raise
            if len(requests) > 1:
                show.error(type(problem)(f"{request.plugin.name}: {problem.message}", problem.hint))
            failures.append(problem)
        else:
            records.append(named(metrics_of(outcome.out), request.plugin))
            runs.append(outcome.run or outcome.out)
    return records, runs, failures


def _fronts(arguments: list[str], within_days: float, as_json: bool) -> None:
    from icectl.contract import Metrics
    from icectl.stages import metrics_record
    from icectl.tasks.front.files.compare import compare_fronts

    paths = _paths(arguments, 2)
    _print(metrics_record(Metrics(tables=(compare_fronts(*paths, within_days=within_days),))), as_json)


def _lengths(arguments: list[str], method: str, csv: Path | None, as_json: bool) -> None:
    """Print, and write, how the length of each glacier changed in each set."""
    from icectl.contract import Metrics
    from icectl.stages import metrics_record
    from icectl.tasks.front.files.lengths import length_table, lengths_of, write_csv, write_figure

    if method not in ("box", "centre-line"):
        hint = did_you_mean(method, ("box", "centre-line"))
        raise UsageError(f"--length-method {method} is not known", hint)
    found = lengths_of(_paths(arguments, 1), method)
    if csv is not None:
        write_csv(found, csv)
        write_figure(found, csv.with_suffix(".svg"), method)
    table = length_table(found, method)
    lengths = [[v.product, v.glacier, f"{v.day:%Y-%m-%d}", v.metres] for v in found]
    _print(metrics_record(Metrics(tables=(table,), details={"lengths": lengths})), as_json)


def _print(record: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        show.as_json(record)
    else:
        show.metrics(record)


def _paths(words: list[str], fewest: int) -> list[Path]:
    """Return the files among some words; refuse too few and those that are not there."""
    paths = [Path(word) for word in words if not word.startswith("-")]
    if len(paths) < fewest:
        raise UsageError(
            f"compare fronts takes {fewest} files or more", "icectl compare fronts mine.gpkg theirs.gpkg"
        )
    for path in paths:
        if not Path(str(path).partition("|layername=")[0]).exists():
            raise UsageError(f"{path} does not exist", "check the path")
    return paths
