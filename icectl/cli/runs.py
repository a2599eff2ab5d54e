"""``icectl runs``: list, show and remove runs of a workspace."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from icectl.cli import show
from icectl.cli.options import Json, Where, complete_runs
from icectl.errors import IcectlError, UsageError

app = typer.Typer(help="The runs of a workspace.", no_args_is_help=True, add_completion=False)


Name = Annotated[str, typer.Argument(help="A run: its id, folder, or last.", autocompletion=complete_runs)]


@app.command("list")
def list_runs(workspace: Where = None, as_json: Json = False) -> None:
    """List runs, the newest first: place, model, date, score, size."""
    from icectl import stages
    from icectl.cli.dry_run import human
    from icectl.workspace import Workspace

    found = [facts(run) for run in reversed(stages.runs(Workspace.locate(workspace)))]
    if as_json:
        show.as_json(found)
        return
    rows = [[f["id"], f["place"], _made(f), f["date"], human(f["bytes"]), f["score"]] for f in found]
    show.listing("runs", ["id", "place", "model", "date", "size", "score"], rows)


def _made(shown: dict[str, Any]) -> str:
    """Return the model of a run, and who made it where that is not what is installed now."""
    return f"{shown['model']} ({shown['from']}, {shown['since']})" if shown["since"] else str(shown["model"])


def facts(run: Path) -> dict[str, Any]:
    """Return what is shown of a run; one whose record is damaged says so."""
    from icectl import registry
    from icectl.workspace import RUN, run_of, size_of

    size = size_of(run)
    date = datetime.fromtimestamp((run / RUN).stat().st_mtime).astimezone()
    shown = {"id": run.name, "folder": str(run), "date": f"{date:%Y-%m-%d %H:%M}", "bytes": size}
    try:
        saved, score = run_of(run), _score(run)
    except IcectlError as problem:
        return {**shown, "place": "?", "model": "?", "from": "?", "since": "", "score": problem.message}
    place = saved["glacier"].get("title") or saved["glacier"]["name"]
    if "weights" in saved:  # somebody else's: they belong to the places that they were used on
        used = {product.name.rpartition("-")[0] for product in run.glob("predictions/*")}
        place = ", ".join(sorted(used)) or "not used yet"
    origin, since = f"{saved['distribution']} {saved['version']}", registry.since_then(saved)
    made = {"model": saved["model"], "from": origin, "since": since}
    return {**shown, "place": place, **made, "score": score}


def _score(run: Path) -> str:
    """Return the model's score of the newest evaluation, from its short record where that has it."""
    from icectl.export import newest_evaluation
    from icectl.stages import score_of
    from icectl.workspace import RECORD, metrics_of, read_record

    newest = newest_evaluation(run)
    if newest is None:
        return "not evaluated"
    shape, path = {"notes?": {"score?": str}}, newest / RECORD
    record = read_record(path, shape, "record of a stage") if path.is_file() else {}
    return str(record.get("notes", {}).get("score") or score_of(metrics_of(newest)))


@app.command("show")
def show_run(name: Name, workspace: Where = None, as_json: Json = False) -> None:
    """Show a run: its record, what was predicted and evaluated with it, and the command that made it."""
    from icectl import stages
    from icectl.workspace import Workspace, run_of

    run = stages.find_run(Workspace.locate(workspace), name)
    saved = run_of(run)
    products = sorted(
        str(path.relative_to(run))
        for kind in ("predictions", "evaluations")
        for path in (run / kind).glob("*")
    )
    shown = {**facts(run), "task": saved["task"], "seed": saved["seed"], "command": saved["command"]}
    if as_json:
        show.as_json({**shown, "products": products, "options": saved["options"]})
        return
    rows = [[key, str(value)] for key, value in shown.items()] + [["holds", one] for one in products]
    show.listing("", ["", ""], rows)


@app.command("remove")
def remove_run(name: Name, workspace: Where = None) -> None:
    """Remove a run with its predictions and evaluations; scenes and prepared data stay."""
    from icectl import stages
    from icectl.workspace import Workspace, remove

    space = Workspace.locate(workspace)
    run = stages.find_run(space, name)
    if not run.is_relative_to(space.root):
        raise UsageError(f"{run} does not lie in the workspace {space.root}", "name its workspace")
    with space.lock(run):
        remove(run)
    print(run)
