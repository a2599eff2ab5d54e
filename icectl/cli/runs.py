"""``icectl runs``: list, show and remove runs of a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from icectl.cli.options import complete_runs

app = typer.Typer(help="The runs of a workspace.", no_args_is_help=True, add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Where = Annotated[Path | None, typer.Option("--workspace", help="Where runs are kept.")]


Name = Annotated[str, typer.Argument(help="A run: its id, folder, or last.", autocompletion=complete_runs)]


@app.command("list")
def list_runs(workspace: Where = None, as_json: Json = False) -> None:
    """List runs, the newest first: place, model, date, score, size."""
    from icectl import stages
    from icectl.cli import show
    from icectl.cli.dry_run import human
    from icectl.workspace import Workspace

    found = [facts(run) for run in reversed(stages.runs(Workspace.locate(workspace)))]
    if as_json:
        show.as_json(found)
        return
    rows = [[f["id"], f["place"], f["model"], f["date"], human(f["bytes"]), f["score"]] for f in found]
    show.listing("runs", ["id", "place", "model", "date", "size", "score"], rows)


def facts(run: Path) -> dict[str, Any]:
    """Return what is shown of a run; one whose record is damaged says so."""
    from icectl.errors import IcectlError
    from icectl.export import newest_metrics
    from icectl.workspace import RUN, run_of

    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    date = datetime.fromtimestamp((run / RUN).stat().st_mtime).astimezone()
    shown = {"id": run.name, "folder": str(run), "date": f"{date:%Y-%m-%d %H:%M}", "bytes": size}
    try:
        saved, metrics = run_of(run), newest_metrics(run)
    except IcectlError as problem:
        return {**shown, "place": "?", "model": "?", "score": problem.message}
    place = saved["glacier"].get("title") or saved["glacier"]["name"]
    return {**shown, "place": place, "model": saved["model"], "score": _score(metrics)}


def _score(metrics: Mapping[str, Any] | None) -> str:
    """Return the model's score in the column that decides, of the newest evaluation."""
    if not metrics or not metrics.get("tables"):
        return "not evaluated"
    table = metrics["tables"][0]
    column = next(c for c in table["columns"] if c["key"] == table["primary"])
    value = next((r["values"].get(table["primary"]) for r in table["rows"] if r["kind"] == "model"), None)
    return "–" if value is None else f"{column['label']} {value:.3g} {column['unit']}".strip()


@app.command("show")
def show_run(name: Name, workspace: Where = None, as_json: Json = False) -> None:
    """Show a run: its record, what was predicted and evaluated with it, and the command that made it."""
    from icectl import stages
    from icectl.cli import show
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
    from icectl.errors import UsageError
    from icectl.workspace import Workspace, remove

    space = Workspace.locate(workspace)
    run = stages.find_run(space, name)
    if not run.is_relative_to(space.root):
        raise UsageError(f"{run} does not lie in the workspace {space.root}", "name its workspace")
    with space.lock(run):
        remove(run)
    print(run)
