"""Exports: what a run needs to be used on another machine, in one folder or archive.

An export holds the weights (safetensors), the options, the identity of the training data, the metrics, a
model card and a licence; no path of the machine it was made on. It is imported into a workspace as
a finished run, so `predict` and `evaluate` treat it like any other.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from icectl import registry
from icectl.errors import DataError, UsageError, WorkError
from icectl.sources.archive import unpack
from icectl.workspace import (
    ID_LENGTH,
    RECORD,
    RUN,
    Workspace,
    building,
    read_json,
    replace_folder,
    write_json,
)

CARD = "README.md"
_LEFT_BEHIND = ("state.safetensors", "tensorboard", "predictions", "evaluations", "report.html", "log.jsonl")


def export_run(
    run: Path, target: Path, licence: str = "Apache-2.0", add: Callable[[Path], Sequence[str]] | None = None
) -> Path:
    """Write the export of a finished run to `target`: a folder, or an archive if it ends in ``.zip``.

    `add` may put further files into the folder that it is given; it returns lines for the model card.

    Raises
    ------
    UsageError
        `target` exists already.
    """
    if target.exists():
        raise UsageError(f"{target} exists already", "name another place with --out")
    folder = target.with_suffix("") if target.suffix == ".zip" else target
    with building(folder) as aside:
        _fill(run, aside, licence, add(aside) if add else ())
    if target.suffix != ".zip":
        return folder
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
    partial.replace(target)
    shutil.rmtree(folder)
    return target


def _fill(run: Path, folder: Path, licence: str, added: Sequence[str]) -> None:
    saved, record = read_json(run / RUN), read_json(run / RECORD)
    data = _training_data(saved)
    for path in run.iterdir():
        if path.name not in (*_LEFT_BEHIND, RUN, RECORD) and not path.name.startswith("."):
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, folder / path.name)
    saved |= {"scenes": None, "inputs": {}, "command": _without_paths(saved["command"]), "data": data}
    saved["options"] = {verb: _plain_options(options) for verb, options in saved["options"].items()}
    saved["glacier"] |= {"outline": None, "dem": None, "centre_line": None}
    kept = [name for name in record["outputs"] if name not in _LEFT_BEHIND]
    record |= {"inputs": {}, "command": saved["command"], "outputs": kept}
    record["options"] = _plain_options(record["options"])
    metrics = newest_metrics(run)
    write_json(folder / RUN, saved)
    write_json(folder / RECORD, record)
    if metrics is not None:
        write_json(folder / "metrics.json", {**metrics, "details": {}})
    others = ["", "## Other files", "", *added, ""] if added else []
    text = card(saved, record, metrics, licence) + "\n".join(others)
    (folder / CARD).write_text(text, encoding="utf-8")
    (folder / "LICENSE").write_text(f"SPDX-License-Identifier: {licence}\n", encoding="utf-8")


def _training_data(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies the training data: fingerprints and facts of the stages it came from."""
    found: dict[str, Any] = {"glacier": saved["glacier"]["name"]}
    for verb in ("fetch", "prepare"):
        path = Path(saved["inputs"].get(verb, "")) / RECORD
        if saved["inputs"].get(verb) and path.is_file():
            record = read_json(path)
            found[verb] = {"fingerprint": record["fingerprint"], "notes": record["notes"]}
    return found


def _plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without the user's own paths: they mean nothing elsewhere."""
    return {name: value for name, value in options.items() if not _is_path(value)}


def _is_path(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, str) and ("/" in item or "\\" in item) for item in items)


def _without_paths(command: str) -> str:
    return " ".join(word if "/" not in word else PurePosixPath(word).name for word in command.split())


def newest_metrics(run: Path) -> dict[str, Any] | None:
    """Return the newest evaluation of a run, preferring the glacier it was trained on."""
    found = sorted((run / "evaluations").glob("*/metrics.json"), key=lambda path: path.stat().st_mtime)
    return dict(read_json(found[-1])) if found else None


def card(
    saved: Mapping[str, Any], record: Mapping[str, Any], metrics: Mapping[str, Any] | None, licence: str
) -> str:
    """Return the model card as Markdown."""
    plugin = registry.get(saved["model"])
    meter = record["meter"]
    lines = [
        f"# {saved['model']} trained on {saved['glacier']['title'] or saved['glacier']['name']}",
        "",
        plugin.summary,
        "",
        f"- task: {saved['task']}",
        f"- from: {saved['distribution']} {saved['version']} (options schema {saved['schema']})",
        f"- paper: {plugin.paper or 'none'}",
        f"- training data: {saved['glacier']['name']}, prepared dataset "
        f"{saved['data'].get('prepare', {}).get('fingerprint', 'unknown')[:ID_LENGTH]}",
        f"- trained in {meter.get('seconds', 0):.0f} s; energy {_energy(meter)}",
        f"- licence of these weights: {licence}",
        "",
        "## Use",
        "",
        "```sh",
        f"icectl predict {saved['model']} --from THIS-FOLDER --scenes my-folder",
        "```",
        "",
    ]
    for table in (metrics or {}).get("tables", [])[:1]:
        lines += ["## Measured", "", *_markdown(table), ""]
    return "\n".join(lines)


def _energy(meter: Mapping[str, Any]) -> str:
    if meter.get("energy_kwh") is None:
        return "not measured"
    return f"{meter['energy_kwh']:.3g} kWh ({meter.get('energy_source', 'unknown')})"


def _markdown(table: Mapping[str, Any]) -> list[str]:
    columns = table["columns"]
    heads = [f"{c['label']} [{c['unit']}]" if c["unit"] else c["label"] for c in columns]
    lines = [f"| | kind | {' | '.join(heads)} |", f"|---|---|{'---|' * len(columns)}"]
    for row in table["rows"]:
        values = [row["values"].get(c["key"]) for c in columns]
        cells = ["–" if v is None else f"{v:.4g}" for v in values]
        lines.append(f"| {row['name']} | {row['kind']} | {' | '.join(cells)} |")
    return lines


def import_run(export: Path, workspace: Workspace) -> Path:
    """Bring an export into a workspace and return its folder there; the same export only once.

    Raises
    ------
    UsageError
        `export` is neither a folder nor an archive of ours.
    DataError
        The archive holds names that leave its folder, links, or members that unpack absurdly large.
    """
    if export.is_dir():
        return _import_folder(export, workspace)
    if not export.is_file() or not zipfile.is_zipfile(export):
        raise UsageError(
            f"--from {export} is no export", "name a folder or a .zip that `icectl export` wrote"
        )
    with building(workspace.root / ".imports" / export.stem) as aside:
        unpack(export, aside)
        return _import_folder(aside, workspace)


def model_of(export: Path) -> str:
    """Return the model's name of an export, a folder or an archive, unpacking nothing."""
    import json

    if zipfile.is_zipfile(export):
        with zipfile.ZipFile(export) as opened:
            if RUN in opened.namelist() and opened.getinfo(RUN).file_size < 2**20:
                return str(json.loads(opened.read(RUN))["model"])
    elif (export / RUN).is_file():
        return str(read_json(export / RUN)["model"])
    raise UsageError(f"--from {export} is no export", "name a folder or a .zip that `icectl export` wrote")


def _import_folder(folder: Path, workspace: Workspace) -> Path:
    for name in (RUN, RECORD):
        if not (folder / name).is_file():
            raise UsageError(f"{folder} holds no {name}", "name a folder that `icectl export` wrote")
    saved, record = read_json(folder / RUN), read_json(folder / RECORD)
    plugin = registry.get(str(saved["model"]))
    place = str(saved["glacier"]["name"])
    if "/" in place or place.startswith("."):
        raise DataError(f"the export names the glacier '{place}'", "do not trust it")
    target = workspace.run(plugin.name, place, str(record["fingerprint"]))
    if not (target / RECORD).is_file():
        aside = target.with_name(f".{target.name}.import")
        shutil.rmtree(aside, ignore_errors=True)
        try:
            shutil.copytree(folder, aside)
        except OSError as error:
            raise WorkError(f"{folder} cannot be copied: {error}", "check space and permissions") from error
        replace_folder(aside, target)
    return target
