"""Exports: what a run needs to be used on another machine, in one folder or archive.

An export holds the weights (safetensors), the options, the identity of the training data, the metrics, a
model card and a licence; no path of the machine it was made on. `icectl.imports` brings it into a workspace.
"""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from icectl import registry
from icectl.errors import IcectlError, UsageError
from icectl.workspace import (
    ID_LENGTH,
    RECORD,
    RUN,
    appear,
    contents,
    dated,
    expect_intact,
    metrics_of,
    own_folder,
    run_of,
    stage_of,
    worded_os_errors,
    write_json,
)

CARD, LICENCE, SPDX = "README.md", "LICENSE", "SPDX-License-Identifier: "
LEFT_BEHIND = (
    "state.safetensors", "log.jsonl", "tensorboard", "wandb", "tracker.json",
    "predictions", "evaluations", "report.html",
)  # fmt: skip


def export_run(
    run: Path, target: Path, licence: str | None = None, add: Callable[[Path], Sequence[str]] | None = None
) -> Path:
    """Write the export of a finished run to `target`: a folder, or an archive if it ends in ``.zip``.

    `licence` is Apache-2.0 by default; weights that came with a licence and a card keep both. `add` may put
    further files into the folder that it is given; it returns lines for the model card.

    UsageError: `target` exists already, or `licence` is not that of weights that came with one.
    """
    own = licence_of(run)
    if own and licence not in (None, own):
        raise UsageError(f"these weights came under {own}, not {licence}", "leave --licence out")
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} exists already", "name another place with --out")
    with worded_os_errors(target.parent), own_folder(target.parent) as box:
        folder = box / "export"
        folder.mkdir()
        _fill(run, folder, licence or own or "Apache-2.0", add(folder) if add else ())
        made = _zipped(folder, box / "export.zip") if target.suffix == ".zip" else folder
        appear(made, target)
    return target


def licence_of(run: Path) -> str:
    """Return the licence of weights that were brought into a workspace; empty for what was trained there."""
    path = run / LICENCE
    first = path.read_text(encoding="utf-8").partition("\n")[0].strip() if path.is_file() else ""
    return first.removeprefix(SPDX)


def _zipped(folder: Path, archive: Path) -> Path:
    with archive.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                packed.write(path, path.relative_to(folder).as_posix())
        file.flush()
        os.fsync(file.fileno())
    return archive


def _fill(run: Path, folder: Path, licence: str, added: Sequence[str]) -> None:
    saved, record = run_of(run), stage_of(run)
    expect_intact(run)
    data = _training_data(run, saved)
    for path in run.iterdir():
        if path.name not in (*LEFT_BEHIND, RUN, RECORD) and not path.name.startswith("."):
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, folder / path.name)
    saved = placeless(saved) | {"data": data}
    kept = [name for name in record["outputs"] if name not in LEFT_BEHIND]
    record |= {"inputs": {}, "command": saved["command"], "outputs": kept}
    record["options"] = plain_options(record["options"])
    metrics = newest_metrics(run)
    write_json(folder / RUN, saved)
    write_json(folder / RECORD, {**record, "files": contents(folder, kept)})
    if metrics is not None:
        write_json(folder / "metrics.json", {**metrics, "details": {}})
    others = ["", "## Other files", "", *added, ""] if added else []
    brought = licence_of(run) and (run / CARD).is_file()
    text = (run / CARD).read_text(encoding="utf-8") if brought else card(saved, record, metrics, licence)
    (folder / CARD).write_text(text + "\n".join(others), encoding="utf-8")
    if not (folder / LICENCE).is_file():
        (folder / LICENCE).write_text(f"{SPDX}{licence}\n", encoding="utf-8")


def placeless(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a run without anything that names a place on the machine that made it."""
    options = {verb: plain_options(values) for verb, values in saved["options"].items()}
    nowhere = {"outline": None, "dem": None, "centre_line": None}
    return {
        **saved,
        "scenes": None,
        "inputs": {},
        "command": without_paths(saved["command"]),
        "options": options,
        "glacier": {**saved["glacier"], **nowhere},
    }


def _training_data(run: Path, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies the training data: fingerprints and facts of the stages it came from."""
    found: dict[str, Any] = {"glacier": saved["glacier"]["name"], "licence": _data_licence(saved)}
    if (start := saved["inputs"].get("start")) and (run / start / RUN).is_file():
        name = run_of(run / start).get("weights") or f"run {(run / start).name}"
        found["start"] = f"{name} ({licence_of(run / start) or 'no licence recorded'})"
    for verb in ("fetch", "prepare"):
        path = run / saved["inputs"].get(verb, "") / RECORD
        if saved["inputs"].get(verb) and path.is_file():
            record = stage_of(path.parent)
            found[verb] = {"fingerprint": record["fingerprint"], "notes": record["notes"]}
    return found


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without the user's own paths: they mean nothing elsewhere."""
    return {name: value for name, value in options.items() if not _is_path(value)}


def _is_path(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, str) and ("/" in item or "\\" in item) for item in items)


def without_paths(command: str) -> str:
    """Return a command with the last part of each path in it only."""
    return " ".join(word if "/" not in word else PurePosixPath(word).name for word in command.split())


def newest_metrics(run: Path) -> dict[str, Any] | None:
    """Return what the newest evaluation of a run measured."""
    newest = newest_evaluation(run)
    return metrics_of(newest) if newest else None


def newest_evaluation(run: Path) -> Path | None:
    """Return the folder of the newest evaluation of a run, if there is one."""
    found = dated(run / "evaluations", "metrics.json")
    return found[-1][1] if found else None


def card(
    saved: Mapping[str, Any], record: Mapping[str, Any], metrics: Mapping[str, Any] | None, licence: str
) -> str:
    """Return the model card as Markdown with a YAML head, as model hubs read it."""
    from jinja2 import Environment, PackageLoader

    summary, paper = _about(saved)
    title, meter = _title(saved), record["meter"]
    made = Environment(loader=PackageLoader("icectl", ""), trim_blocks=True).get_template("card.md.j2")
    return made.render(
        saved=saved,
        licence=licence,
        title=title,
        model_name=json.dumps(f"{saved['model']} trained on {title}", ensure_ascii=False),
        summary=summary,
        paper=paper,
        prepared=saved["data"].get("prepare", {}).get("fingerprint", "unknown")[:ID_LENGTH],
        meter=meter,
        energy="not measured"
        if meter.get("energy_kwh") is None
        else f"{meter['energy_kwh']:.3g} kWh ({meter.get('energy_source', 'unknown')})",
        table=next(iter((metrics or {}).get("tables", [])), None),
    )


def _title(saved: Mapping[str, Any]) -> str:
    return str(saved["glacier"].get("title") or saved["glacier"]["name"])


def _data_licence(saved: Mapping[str, Any]) -> str:
    """Say under which licence the training data are, as far as a run can know it.

    A synthetic glacier may be beside files of the user's, which options name.
    """
    source = saved["options"].get("fetch", {}).get("source", "auto")
    read = (saved["options"].get(verb, {}).values() for verb in ("fetch", "prepare", "train"))
    if saved["scenes"] or any(_is_path(value) for values in read for value in values):
        return "that of their publisher; a run does not record it"
    if source == "synthetic" or saved["glacier"].get("source") == "synthetic":
        return "none, they are synthetic"
    return "that of their publisher; a run does not record it"


def _about(saved: Mapping[str, Any]) -> tuple[str, str]:
    """Return a model's summary and paper: from its record, else from the plugin if that is installed."""
    if "summary" in saved:
        return str(saved["summary"]), str(saved["paper"])
    try:
        plugin = registry.maker(saved)
    except IcectlError:
        return "", ""
    return plugin.summary, plugin.paper
