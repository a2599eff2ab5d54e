"""``icectl export``: a run as one folder or archive that works elsewhere."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from icectl.cli import show
from icectl.cli.options import Where, complete_runs


def export(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A finished run: its folder or id (default: the newest).", autocompletion=complete_runs
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder, or a file ending in .zip.")] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Add the network as ONNX, checked against torch.")
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            help="SPDX name of the weights' licence (default Apache-2.0; one that they came with stays).",
        ),
    ] = None,
    workspace: Where = None,
) -> None:
    """Write weights, options, data identity, metrics, licence and a model card to one place.

    Example: icectl export 3f2a91c0de --out parvati.zip, then elsewhere: icectl predict --from parvati.zip
    """
    from icectl import stages
    from icectl.export import export_run
    from icectl.workspace import Workspace, run_of, safe_name

    folder = stages.find_run(Workspace.locate(workspace), run or stages.LAST, weights=True)
    if run is None:
        show.start_log(quiet=False)
        show.say(f"the newest run is {folder}")
    name = safe_name(f"{run_of(folder)['model']}-{folder.parent.name}-{folder.name}", "the export")
    add = partial(_add_onnx, folder) if onnx else None
    print(export_run(folder, (out or Path(name)).absolute(), licence, add))


def _add_onnx(folder: Path, export: Path) -> list[str]:
    """Write the networks of the run in `folder` into its export; return lines for the model card."""
    from icectl import stages
    from icectl.onnx import export_onnx

    show.start_log(False)
    run = stages.run_of_weights(folder, export)
    written = export_onnx(run.plugin, run, export)
    for one in written:
        run.say(f"{one.path.name} agrees with torch to {one.difference:.1e}")
    return [one.line for one in written]
