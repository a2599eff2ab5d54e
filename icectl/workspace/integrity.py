"""Whether a stage is still what was asked and written: fingerprints, sizes and checksums."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from icectl.errors import DataError, IcectlError, UsageError
from icectl.workspace.files import PREFIX, plain
from icectl.workspace.folders import MARK, remove_file
from icectl.workspace.places import RECORD, RUN, inside
from icectl.workspace.recorded import stage_of

CHEAP = 512 * 2**20
"""Bytes of a stage whose checksums are taken before each use, small files first; about a second's work."""

_UNREAD = ("tensorboard",)
"""Outputs that no stage reads: `icectl doctor --workspace` alone looks at their content."""

MOST_FILES = 200_000
"""Files and folders below a folder of the user's, links not followed: more are no data of one place."""


PUBLISHED = re.compile(r"[a-z]+\d*:[0-9.]+")
"""A name of published data in the place of a path; see `icectl.sources.published`."""


def fingerprint(value: Any) -> str:
    """Return a digest of plain data that does not depend on the order of keys."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def identify(path: Path) -> list[Any]:
    """Return what tells one version of a user's file or folder from another: names, sizes, times.

    A name of published data, such as ``rgi:11``, stands for itself: what it means does not change.
    """
    if not path.exists() and PUBLISHED.fullmatch(str(path)):
        return [str(path)]
    if not path.exists():
        raise UsageError(f"{path} does not exist", "check the path")
    if not path.is_file() and not path.is_dir():
        raise UsageError(f"{path} is neither a file nor a folder", "name one; a pipe can be read once only")
    files = sorted(p for p in _below(path) if p.is_file()) if path.is_dir() else [path]
    base = path if path.is_dir() else path.parent
    return [[p.relative_to(base).as_posix(), p.stat().st_size, p.stat().st_mtime_ns] for p in files]


def _below(folder: Path) -> list[Path]:
    """Return the files below a folder; every folder that a user names is walked here before anywhere else."""
    found, folders = [], 0
    for root, below, files in os.walk(folder):
        folders += len(below)
        found += [Path(root, file) for file in files]
        if len(found) + folders > MOST_FILES:
            raise UsageError(
                f"{folder} holds more than {MOST_FILES:,} files and folders",
                "name the folder that holds the data alone",
            )
    return found


def contents(folder: Path, outputs: list[str]) -> dict[str, list[Any]]:
    """Return ``{name: [bytes, sha256]}`` of every file of a stage's outputs, names relative to `folder`."""
    return {name: [(folder / name).stat().st_size, sha256(folder / name)] for name in _names(folder, outputs)}


def _names(folder: Path, outputs: list[str]) -> Iterator[str]:
    for name in outputs:
        path = folder / name
        if path.is_dir():
            below = (Path(root) / file for root, _, files in os.walk(path) for file in files)
            yield from sorted(file.relative_to(folder).as_posix() for file in below)
        elif path.exists():
            yield name


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damage(folder: Path, cheap: int | None = CHEAP) -> list[str]:
    """Return the files of a finished stage that are not as they were written, smallest first.

    `cheap`: bytes that may be read for checksums; sizes are always compared. None: all of them; 0: none.

    DataError: the record itself cannot be read.
    """
    record = stage_of(folder)
    wrong = [name for name in record["outputs"] if not (folder / name).exists()]
    for name, (size, digest) in sorted(record["files"].items(), key=lambda item: (item[1][0], item[0])):
        path = folder / name
        try:
            if path.stat().st_size != size:
                wrong.append(name)
                continue
            if cheap is None or (size <= cheap and name.split("/")[0] not in _UNREAD):
                cheap = None if cheap is None else cheap - size
                wrong += [name] if sha256(path) != digest else []
        except OSError:
            wrong.append(name)
    return list(dict.fromkeys(wrong))


def finished(folder: Path, identity: str) -> bool:
    """Tell whether `folder` holds the finished stage of that identity, all files of their size."""
    if not (folder / RECORD).is_file():
        return False
    try:
        return bool(stage_of(folder)["fingerprint"] == identity and not damage(folder, 0))
    except IcectlError:
        return False


def expect_intact(folder: Path) -> None:
    """Refuse a finished stage whose files are not as they were written.

    DataError: names the first of them.
    """
    wrong = damage(folder)
    if wrong:
        command = stage_of(folder).get("command")
        again = f"run `{command}` again" if command else "import it again"
        raise DataError(
            f"{folder / wrong[0]} is damaged: it is not what was written",
            f"move {folder} away and {again}, or use another run",
        )


def sound(folder: Path, identity: str) -> bool:
    """Tell whether `folder` holds the finished stage of that identity, by checksum where cheap."""
    return finished(folder, identity) and not damage(folder)


def clear_damaged(folder: Path, needed: tuple[str, ...] = ()) -> None:
    """Remove from a stage that is done again what is not as it was written.

    `needed`: files that the work can only go on from together: if one is damaged, the stage begins anew.
    """
    try:
        wrong = damage(folder)
        files = list(stage_of(folder)["files"])
    except IcectlError:  # unfinished: files that are there are whole
        return
    for name in files if any(name in needed for name in wrong) else wrong:
        remove_file(inside(folder, folder / name))


def portable(path: Path, folder: Path) -> str:
    """Return how a record in `folder` names a file: from there if icectl made it, so that both may move.

    A folder that is built aside names it from where it will lie.
    """
    marks = (MARK, RECORD, RUN)
    made = any((around / mark).is_file() for around in path.absolute().parents for mark in marks)
    home = folder.parent if folder.parent.name.startswith(PREFIX) else folder  # aside, a folder deeper
    return Path(os.path.relpath(path, home)).as_posix() if made else str(path.absolute())


def reached(name: str, folder: Path) -> Path:
    """Return the file that a record in `folder` names; see `portable`."""
    return Path(os.path.normpath(folder.absolute() / name))


def relative(paths: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Return `paths` as they are reached from `folder`, so that both may be moved together."""
    return {name: Path(os.path.relpath(path, folder)).as_posix() for name, path in paths.items()}
