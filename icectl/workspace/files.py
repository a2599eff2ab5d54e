"""Files that appear whole or not at all, as JSON or otherwise; words for what the system refuses."""

import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from icectl.errors import FULL, DataError, IcectlError, WorkError, worded

PREFIX = ".icectl-"
"""How the names of unfinished files and folders begin."""


@contextmanager
def worded_os_errors(where: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written to into an error with a hint."""
    try:
        yield
    except IcectlError:
        raise
    except (OSError, MemoryError) as error:
        number = getattr(error, "errno", 0)
        if isinstance(error, OSError) and number in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise WorkError(
                f"{error.filename or where} is not writable", "name another --workspace or place"
            ) from error
        said = worded(error, where)
        if said is None:
            raise
        raise said from error


@contextmanager
def full_disks_said(folder: Path) -> Iterator[None]:
    """Say that the disk is full where work in `folder` fails on one, however a library words that.

    GDAL, HDF5 and SQLite have words of their own for a full disk, a quota or a limit on files, or none; so
    the system is asked for some room, while what was made still stands.

    WorkError: the work failed, and there is no room.
    """
    try:
        yield
    except IcectlError:
        raise
    except Exception as error:
        largest = max((path.stat().st_size for path in folder.rglob("*") if path.is_file()), default=0)
        try:
            with tempfile.TemporaryFile(dir=folder) as probe:
                os.posix_fallocate(probe.fileno(), 0, largest + _ROOM)
        except OSError as refused:
            if refused.errno in FULL:
                named = next(one for one in (folder, *folder.parents) if PREFIX not in str(one))
                raise worded(refused, named) or refused from error
        raise


_ROOM = 16 * 2**20
"""Bytes; what was being written when the disk was full is less."""


@contextmanager
def writing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears at `path` whole or not at all (write beside, fsync, rename).

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with writing(target) as file:
    ...     _ = file.write("whole")
    >>> target.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(prefix=PREFIX, suffix=".partial", dir=path.parent)
    except OSError as error:
        error.filename = str(path)  # what the user knows
        raise
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            with suppress(OSError):  # a sweep passes over what is held; some file systems know no locks
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def settle(made: Path, path: Path) -> None:
    """Sync the finished file `made`, rename it to `path`, which it replaces, and sync the folder."""
    with made.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(made, path)
    sync_folder(path.parent)


def set_aside(path: Path, box: Path) -> None:
    """Move the file that is to be replaced, if there is one, into a folder of icectl's own."""
    if path.exists():
        os.replace(path, box / f"old-{path.name}")


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
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is damaged: {error}", "run the stage that writes it again with --force"
        ) from error


def size_of(path: Path | str) -> int:
    """Return the bytes of a file, or of all files in a folder; links are not followed."""
    total = 0
    with suppress(NotADirectoryError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                total += size_of(entry.path)
            else:
                total += entry.stat(follow_symlinks=False).st_size
        return total
    return os.stat(path).st_size


def dated(folder: Path, name: str) -> list[tuple[float, Path]]:
    """Return the folders in `folder` that hold a file `name`, each after when that was changed, oldest first.

    Seconds since 1970. What is not there or cannot be looked into holds nothing. Listings of a thousand runs
    need it quick.
    """
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                found.append((os.stat(f"{entry.path}/{name}").st_mtime, Path(entry.path)))
    return sorted(found)


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
