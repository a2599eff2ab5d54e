"""The workspace: where files live, how they appear whole, and who may write when.

::

    glaciers/<glacier>/scenes/<source>-<id>/       what a fetch brought
    glaciers/<glacier>/prepared/<task>-<id>/       what a prepare made of it
    runs/<model>/<glacier>/<id>/                   weights, logs, predictions/, evaluations/, report.html

``<id>`` is the start of the stage's fingerprint, so the same question finds the same folder.
A finished stage holds a ``stage.json``; a folder without one is unfinished work.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from icectl.errors import DataError, IcectlError, UsageError, WorkError

RECORD = "stage.json"
RUN = "run.json"
ENVIRONMENT = "ICECTL_WORKSPACE"
PUBLISHED = re.compile(r"[a-z]+\d*:[0-9.]+")
"""A name of published data in the place of a path; see `icectl.sources.published`."""

DEFAULT = "icectl-workspace"
ID_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder that holds everything icectl makes. Nothing is created before it is written to."""

    root: Path

    @classmethod
    def locate(cls, chosen: Path | None = None) -> Workspace:
        """Return the workspace: `chosen`, else ``$ICECTL_WORKSPACE``, else ``./icectl-workspace``."""
        return cls(Path(chosen or os.environ.get(ENVIRONMENT) or DEFAULT).expanduser().absolute())

    def scenes(self, glacier: str, source: str, identity: str) -> Path:
        """Return the folder of a fetch."""
        return self.root / "glaciers" / glacier / "scenes" / f"{source}-{identity[:ID_LENGTH]}"

    def prepared(self, glacier: str, task: str, identity: str) -> Path:
        """Return the folder of a prepared dataset."""
        return self.root / "glaciers" / glacier / "prepared" / f"{task}-{identity[:ID_LENGTH]}"

    def run(self, model: str, glacier: str, identity: str) -> Path:
        """Return the folder of a training run."""
        return self.root / "runs" / model / glacier / identity[:ID_LENGTH]

    def finished_runs(self, model: str) -> list[Path]:
        """Return the finished runs of `model`, oldest first."""
        records = (self.root / "runs" / model).glob(f"*/*/{RECORD}")
        return [path.parent for path in sorted(records, key=lambda path: path.stat().st_mtime)]

    @contextmanager
    def lock(self, folder: Path, wait: float = -1.0) -> Iterator[None]:
        """Hold `folder` for one process; others wait, and are told whom they wait for.

        Parameters
        ----------
        wait
            Seconds to wait; negative waits for as long as it takes.
        """
        import logging

        from filelock import FileLock, Timeout

        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        path = self.root / ".locks" / f"{name}.lock"
        with worded_os_errors(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                logging.getLogger("icectl").info(
                    f"another icectl is working in {folder}: waiting for it to finish"
                )
                try:
                    lock.acquire(timeout=wait)
                except Timeout:
                    raise WorkError(
                        f"another icectl is still working in {folder}",
                        "wait for it, or name another --workspace",
                    ) from None
        try:
            yield
        finally:
            lock.release()


@contextmanager
def worded_os_errors(where: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written to into an error with a hint."""
    try:
        yield
    except OSError as error:
        if isinstance(error, IcectlError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WorkError(
                f"the disk of {where} is full", "free some space and start the same command again: it goes on"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise WorkError(
                f"{error.filename or where} is not writable", "name another --workspace"
            ) from error
        raise


@contextmanager
def writing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears at `path` whole or not at all (write beside, fsync, rename).

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with writing(target) as file:
    ...     _ = file.write("whole")
    >>> target.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
        sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that appears whole or not at all; NaN and infinities become null."""
    with writing(path) as file:
        json.dump(plain(value), file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of ours; a damaged one names itself."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing", "run the stage that writes it again") from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is damaged: {error}", "run the stage that writes it again with --force"
        ) from error


def plain(value: Any) -> Any:
    """Turn mappings, tuples, paths and non-finite numbers into what JSON holds."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a number or a one-element array of numpy or torch
        return plain(value.item())
    raise TypeError(f"{type(value).__name__} does not belong in a record")


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
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    base = path if path.is_dir() else path.parent
    return [[p.relative_to(base).as_posix(), p.stat().st_size, p.stat().st_mtime_ns] for p in files]


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Build a folder aside and let it appear whole: yields the folder to write into.

    What stood at `folder` stays until the new one is complete.
    """
    aside = folder.with_name(f".{folder.name}.partial")
    remove(aside)
    aside.mkdir(parents=True)
    yield aside
    replace_folder(aside, folder)


def replace_folder(new: Path, folder: Path) -> None:
    """Put the finished folder `new` in the place of `folder`."""
    old = folder.with_name(f".{folder.name}.old")
    remove(old)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    sync_folder(folder.parent)
    remove(old)


@contextmanager
def redoing(folder: Path) -> Iterator[None]:
    """Do a resumable stage over again in `folder`; if that fails, what stood there comes back."""
    old = folder.with_name(f".{folder.name}.old")
    remove(old)
    if folder.exists():
        os.replace(folder, old)
    folder.mkdir(parents=True)
    try:
        yield
    except BaseException:
        if old.exists():
            remove(folder)
            os.replace(old, folder)
        raise
    remove(old)


def sweep(folder: Path) -> None:
    """Remove what killed processes were writing below `folder`, all of it hidden."""
    for path in list(folder.rglob(".*")):
        if path.name.endswith(".partial") and path.is_file():
            path.unlink(missing_ok=True)
        elif re.search(r"-[a-z0-9_]{8}$", path.name):
            remove(path)


def remove(folder: Path) -> None:
    """Remove a folder of ours, if it is there."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
