"""Imports: an export becomes a finished run of a workspace, or is refused and leaves nothing.

An export is somebody else's text. Everything in it that could lead somewhere is checked before anything
is placed: names, fingerprints, options, links. Paths that it names are not followed.
"""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from filecmp import cmp
from pathlib import Path
from typing import Any

from icectl import registry
from icectl.contract import VERBS, Plugin
from icectl.errors import DataError, IcectlError, UsageError
from icectl.export import LEFT_BEHIND, placeless, plain_options
from icectl.settings import Glacier, validate
from icectl.sources.archive import unpack
from icectl.workspace import (
    RECORD,
    RUN,
    Workspace,
    contents,
    damage,
    own_folder,
    read_json,
    replace_folder,
    run_of,
    safe_fingerprint,
    safe_name,
    stage_of,
    worded_os_errors,
    write_json,
)

_NO_EXPORT = "name a folder or a .zip that `icectl export` wrote; weights by name go with --weights"
_MAX_RECORD = 2**20

_RUN_SHAPE: Mapping[str, type] = {
    "model": str,
    "schema": int,
    "glacier": dict,
    "options": dict,
    "seed": int,
    "fingerprint": str,
    "command": str,
}
_RECORD_SHAPE: Mapping[str, type] = {
    "stage": str,
    "fingerprint": str,
    "options": dict,
    "outputs": list,
    "notes": dict,
    "meter": dict,
}


def import_run(export: Path, workspace: Workspace) -> Path:
    """Bring an export into a workspace and return its folder there; the same export only once.

    UsageError: `export` is neither a folder nor an archive of ours. DataError: it holds a name that leaves
    its folder, a link, options that its model does not take, or other content than the run of the same
    fingerprint that the workspace has.
    """
    if not export.is_dir() and not (export.is_file() and zipfile.is_zipfile(export)):
        raise UsageError(f"--from {export} is no export", _NO_EXPORT)
    with worded_os_errors(workspace.root), own_folder(workspace.root) as box:
        folder = export
        if not export.is_dir():
            folder = box / "unpacked"
            folder.mkdir()
            unpack(export, folder)
        return _place(_checked(folder, box / "run", export), box, workspace, export)


def model_of(export: Path) -> str:
    """Return the model's name of an export, a folder or an archive, unpacking nothing.

    UsageError: it is no export. DataError: its record is damaged or names no model.
    """
    saved: Any = None
    if export.is_file() and zipfile.is_zipfile(export):
        with zipfile.ZipFile(export) as opened:
            if RUN in opened.namelist() and opened.getinfo(RUN).file_size < _MAX_RECORD:
                try:
                    saved = json.loads(opened.read(RUN))
                except (ValueError, zipfile.BadZipFile, RecursionError) as error:
                    raise DataError(f"{RUN} in {export} is damaged: {error}", "copy it again") from error
    elif (export / RUN).is_file():
        saved = _read(lambda place: read_json(place / RUN), export, export)
    if saved is None:
        raise UsageError(f"--from {export} is no export", _NO_EXPORT)
    return registry.typed(registry.maker(_shaped(saved, {"model": str}, export, RUN)))


def _checked(folder: Path, copy: Path, export: Path) -> Path:
    """Copy what an export holds to `copy`, with records that lead nowhere, after checking all of it."""
    for name in (RUN, RECORD):
        if not (folder / name).is_file():
            raise UsageError(f"--from {export} holds no {name}", _NO_EXPORT)
    saved = _shaped(_read(lambda place: read_json(place / RUN), folder, export), _RUN_SHAPE, export, RUN)
    record = _shaped(_read(stage_of, folder, export), _RECORD_SHAPE, export, RECORD)
    plugin = registry.maker(saved)
    _check_run(plugin, saved, record, export)
    held = list(_contents(folder, export))
    if wrong := damage(folder, None):
        raise DataError(f"'{wrong[0]}' of {export} is damaged: it is not what was written", "copy it again")
    copy.mkdir()
    for path in held:
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy / path.name)
    saved = placeless({**saved, "model": plugin.name})
    write_json(copy / RUN, saved)
    names = [safe_name(name, f"an output of {export}") for name in record["outputs"]]
    if lost := [name for name in names if not (copy / name).exists()]:
        raise DataError(f"{export} lacks '{lost[0]}', which its record lists", "copy it again")
    options = plain_options(record["options"])
    values = {"inputs": {}, "command": "", "options": options, "files": contents(copy, names)}
    write_json(copy / RECORD, {**record, **values})
    return copy


def _check_run(plugin: Plugin, saved: Mapping[str, Any], record: Mapping[str, Any], export: Path) -> None:
    """Refuse records that name another place than a run of `plugin`, or options that it does not take."""
    where = f"{RUN} of {export}"
    safe_name(saved["glacier"].get("name"), f"the glacier of {where}")
    validate(Glacier, saved["glacier"], where)
    safe_fingerprint(saved["fingerprint"], where)
    if record["stage"] != "train" or record["fingerprint"] != saved["fingerprint"]:
        raise DataError(f"{RUN} and {RECORD} of {export} are not of one run", "export it again")
    if not 0 <= saved["seed"] < 2**32 or not all(isinstance(o, dict) for o in saved["options"].values()):
        raise DataError(f"{where} holds no options or seed of a run", "export it again")
    carried = registry.upgrade_options(plugin, saved["options"], saved["schema"])
    for verb in VERBS:
        validate(plugin.stages[verb], plain_options(carried.get(verb, {})), f"{where}, [{verb}]")


def _read(read: Callable[[Path], Any], folder: Path, export: Path) -> Any:
    """Read a record of an export that lies unpacked in `folder`; no stage here could write it again."""
    try:
        return read(folder)
    except DataError as error:
        told = error.message.replace(str(folder), str(export))
        raise DataError(told, "copy it again, or export it again") from error


def _shaped(value: Any, shape: Mapping[str, type], export: Path, name: str) -> dict[str, Any]:
    """Return a record if it holds the keys of `shape`, each of its type."""
    if not isinstance(value, dict):
        raise DataError(f"{name} of {export} is no record of a run", _NO_EXPORT)
    for key, kind in shape.items():
        if not isinstance(value.get(key), kind) or (kind is int and isinstance(value[key], bool)):
            raise DataError(f"{name} of {export} has no '{key}' of the kind expected", _NO_EXPORT)
    return value


def _contents(folder: Path, export: Path) -> Iterator[Path]:
    """Yield what an export holds beside its records; refuse links and special files anywhere in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()) or not path.name.isprintable():
            raise DataError(f"{export} holds {path.name!r}, which is no plain file", "do not trust it")
    for path in sorted(folder.iterdir()):
        if path.name not in (RUN, RECORD, *LEFT_BEHIND) and not path.name.startswith("."):
            yield path


def _place(made: Path, box: Path, workspace: Workspace, export: Path) -> Path:
    """Let a checked run appear, unless the workspace has it; say so where it has another of that name."""
    saved = read_json(made / RUN)
    target = workspace.run(saved["model"], saved["glacier"]["name"], saved["fingerprint"])
    with workspace.lock(target):
        if not (target / RECORD).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_folder(made, target, box)
        elif differing := _differing(made, target):
            raise DataError(
                f"{export} has the fingerprint of {target}, but another '{differing}'",
                "compare where the two come from; use the other one with another --workspace",
            )
    return target


def _differing(made: Path, target: Path) -> str:
    """Return the first thing that differs between two runs of one fingerprint, or nothing."""
    try:
        ours, theirs = placeless(run_of(target)), read_json(made / RUN)
        outputs = stage_of(target)["outputs"]
    except (IcectlError, KeyError, TypeError, AttributeError):
        return RECORD
    for key in ("options", "seed", "schema"):
        if ours.get(key) != theirs.get(key):
            return f"{key} in {RUN}"
    names = [
        path.relative_to(target)
        for name in outputs
        if name not in (RUN, *LEFT_BEHIND)
        for path in (
            [target / name, *(target / name).rglob("*")] if (target / name).is_dir() else [target / name]
        )
        if not path.is_dir()
    ]
    wrong = [n for n in names if not (made / n).is_file() or not cmp(made / n, target / n, shallow=False)]
    return wrong[0].as_posix() if wrong else ""
