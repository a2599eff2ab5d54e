"""``icectl report``: rebuilds the page of a run, or sets several runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from icectl.cli import show
from icectl.cli.options import Json, Where, complete_runs


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders of runs, or the start of their ids (default: the newest).",
            autocompletion=complete_runs,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write the page; by default report.html in the run's folder."),
    ] = None,
    workspace: Where = None,
    as_json: Json = False,
) -> None:
    """Write the page of a run again; several runs make one page that compares them.

    Examples: icectl report 3f9a01c2 · icectl report 3f9a 77b0 --out both.html
    """
    from icectl import stages
    from icectl.report.page import REPORT, compare, write_report
    from icectl.workspace import Workspace, worded_os_errors

    place = Workspace.locate(workspace)
    show.start_log(quiet=False)
    folders = [stages.find_run(place, name) for name in runs or [stages.LAST]]
    if not runs:
        show.say(f"the newest run is {folders[0]}")
    with worded_os_errors(out.absolute().parent if out else place.root):
        try:
            page = write_report(folders[0], out) if len(folders) == 1 else compare(folders, out)
        except OSError as error:
            page = folders[0] / REPORT
            if out or len(folders) > 1 or not page.is_file():
                raise
            show.warning(f"{page} is the page of before: it cannot be written again ({error.strerror})")
    if as_json:
        show.as_json({"report": str(page), "runs": [str(folder) for folder in folders]})
    else:
        print(page)
