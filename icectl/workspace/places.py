"""Where files live in a workspace, and who may write when."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icectl.errors import DataError, WorkError, brief
from icectl.workspace.files import worded_os_errors

MAX_NAME = 200
"""Characters of a name; file systems take 255 bytes, and suffixes are added to it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FINGERPRINT = re.compile(r"[0-9a-f]{10,64}")


def safe_name(name: Any, what: str) -> str:
    """Return `name` if it may name a file or a folder; refuse path parts, control characters, other types.

    `name`: what somebody wrote; anything but a plain name is refused. `what`: whose name it is, for the
    sentence: ``"the glacier of run.json"``.

    DataError: it is no text of letters, digits, ``. _ -`` that starts with a letter or a digit.

    >>> safe_name("rgi60-11.01450", "a glacier")
    'rgi60-11.01450'
    """
    plain = isinstance(name, str) and _NAME.fullmatch(name) and ".." not in name and len(name) <= MAX_NAME
    if not plain:
        raise DataError(
            f"{what} is {brief(name)}, which cannot name a file",
            f"names are letters, digits, '.', '_' and '-', start with a letter or a digit, "
            f"and have at most {MAX_NAME} characters",
        )
    return str(name)


def safe_fingerprint(value: Any, what: str) -> str:
    """Return `value` if it is the fingerprint of a stage: 10 to 64 hexadecimal digits.

    DataError: it is anything else.
    """
    if not isinstance(value, str) or not _FINGERPRINT.fullmatch(value):
        raise DataError(
            f"{what} has the fingerprint {brief(value)}, which is no digest",
            "take the file as it was written, or make it again",
        )
    return value


def inside(root: Path, path: Path) -> Path:
    """Return `path` if it lies below `root` once links are followed.

    WorkError: it lies elsewhere: a link leads out of the workspace.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise WorkError(
            f"{path} leads out of the workspace {root}",
            "name the place it leads to as --workspace, or remove the link",
        )
    return path


RECORD = "stage.json"
RUN = "run.json"
ENVIRONMENT = "ICECTL_WORKSPACE"
DEFAULT = "icectl-workspace"
ID_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder that holds everything icectl makes. Nothing is created before it is written to."""

    root: Path

    @classmethod
    def locate(cls, chosen: Path | None = None) -> Workspace:
        """Return the workspace: `chosen`, else ``$ICECTL_WORKSPACE``, else ``./icectl-workspace``.

        WorkError: a file stands there, or where a folder above it should be.
        """
        space = cls(Path(chosen or os.environ.get(ENVIRONMENT) or DEFAULT).expanduser().absolute())
        with worded_os_errors(space.root):
            if not space._nearest.is_dir():
                raise space._unfit("Not a directory")
        return space

    @property
    def _nearest(self) -> Path:
        """The workspace, or the nearest folder above it that there is."""
        return next(path for path in (self.root, *self.root.parents) if os.path.lexists(path))

    def expect_writable(self) -> None:
        """Raise a `WorkError` if the workspace cannot be written to, or cannot be made."""
        if not os.access(self._nearest, os.W_OK):
            raise self._unfit(f"{self._nearest} is not writable")

    def _unfit(self, why: str) -> WorkError:
        return WorkError(f"{self.root} cannot be a workspace: {why}", "name another --workspace")

    def scenes(self, glacier: str, source: str, identity: str) -> Path:
        """Return the folder of a fetch."""
        return self._place("glaciers", glacier, "scenes", f"{source}-{_id(identity)}")

    def prepared(self, glacier: str, task: str, identity: str) -> Path:
        """Return the folder of a prepared dataset."""
        return self._place("glaciers", glacier, "prepared", f"{task}-{_id(identity)}")

    def run(self, model: str, glacier: str, identity: str) -> Path:
        """Return the folder of a training run."""
        return self._place("runs", model, glacier, _id(identity))

    def _place(self, *names: str) -> Path:
        """Return a folder of the workspace; names from outside may not lead out of it."""
        for name in names:
            safe_name(name, "a part of a folder's name")
        return inside(self.root, self.root.joinpath(*names))

    def finished_runs(self, model: str) -> list[Path]:
        """Return the finished runs of `model`, oldest first."""
        records = (self.root / "runs" / model).glob(f"*/*/{RECORD}")
        return [path.parent for path in sorted(records, key=lambda path: path.stat().st_mtime)]

    @contextmanager
    def lock(self, folder: Path) -> Iterator[None]:
        """Hold `folder` for one process; others wait, and are told whom they wait for."""
        from filelock import FileLock, Timeout

        place = os.path.relpath(folder.resolve(), self.root.resolve())  # one name for every spelling
        name = hashlib.sha256(place.encode()).hexdigest()[:16]
        path = self.root / ".locks" / f"{name}.lock"
        with worded_os_errors(self.root):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except (NotADirectoryError, FileNotFoundError) as error:  # e.g. in /proc
                raise self._unfit(str(error.strerror)) from error
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                logging.getLogger("icectl").info(
                    f"another icectl is working in {folder}: waiting for it to finish"
                )
                lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _id(identity: str) -> str:
    return safe_fingerprint(identity, "a stage")[:ID_LENGTH]
