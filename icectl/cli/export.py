"""``icectl export``: a run as one folder or archive that works elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[str, typer.Argument(help="A finished run: its folder or id.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder, or a file ending in .zip.")] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Add the network as ONNX, checked against torch.")
    ] = False,
    licence: Annotated[
        str, typer.Option("--licence", help="SPDX name of the weights' licence.")
    ] = "Apache-2.0",
    workspace: Annotated[Path | None, typer.Option("--workspace", help="The workspace of the run.")] = None,
) -> None:
    """Write weights, options, data identity, metrics, licence and a model card to one place.

    Example: icectl export 3f2a91c0de --out parvati.zip, then elsewhere: icectl predict --from parvati.zip
    """
    from icectl import stages
    from icectl.export import export_run
    from icectl.workspace import RUN, Workspace, read_json

    folder = stages.find_run(Workspace.locate(workspace), run)
    if onnx:
        _add_onnx(folder)
    name = f"{read_json(folder / RUN)['model']}-{folder.parent.name}-{folder.name}"
    print(export_run(folder, (out or Path(name)).absolute(), licence))


def _add_onnx(folder: Path) -> None:
    from icectl import registry, settings
    from icectl.cli import show
    from icectl.onnx import export_onnx
    from icectl.run import Run
    from icectl.workspace import RUN, read_json

    show.start_log(False)
    saved = read_json(folder / RUN)
    plugin = registry.get(saved["model"])
    glacier = settings.validate(settings.Glacier, saved["glacier"], str(folder / RUN))
    run = Run(verb="predict", plugin=plugin, glacier=glacier, out=folder, inputs={"train": folder})
    difference = export_onnx(plugin, run, folder / "model.onnx")
    run.say(f"ONNX agrees with torch to {difference:.1e}")
