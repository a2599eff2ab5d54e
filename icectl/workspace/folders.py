"""Folders that appear whole or not at all, and the only function of icectl that removes a folder.

What is being made stands in a hidden folder of random name beside its place. That folder holds a marker
file, which its maker keeps locked; only marked folders, and what lies in them, are ever removed.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from icectl.errors import UsageError, WorkError
from icectl.interrupts import signals_wait
from icectl.workspace.files import PREFIX, sync_folder
from icectl.workspace.places import RECORD, RUN

MARK = ".icectl"
"""The file by which a folder is known as icectl's own."""

_ABANDONED = 60.0
"""Seconds after which an empty folder of ours without a marker is one whose maker was killed."""


@contextmanager
def own_folder(parent: Path, tidy: bool = True) -> Iterator[Path]:
    """Yield a new folder of icectl's own below `parent`, hidden and of random name; it is removed afterwards.

    Folders above it that had to be made are taken back if the work fails.

    `tidy`: remove what killed processes left below `parent`; costs a listing of it.
    """
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    if tidy:
        _sweep_abandoned(parent)
    folder, handle = None, None

    def clear() -> None:
        nonlocal handle
        if handle is None:
            if folder is not None and folder.exists():
                folder.rmdir()
            return
        if folder is not None and folder.exists():
            remove(folder)
        os.close(handle)
        handle = None

    try:
        try:
            with signals_wait():  # one between the folder and its mark would leave it
                folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
                handle = os.open(folder / MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                _lock(handle)
            yield folder
        finally:
            try:
                with signals_wait():
                    clear()
            except KeyboardInterrupt:
                clear()  # it came before the signals waited
                raise
    except BaseException:
        for above in made:
            try:
                above.rmdir()  # only while it is empty
            except OSError:
                break
        raise


def temporary() -> AbstractContextManager[Path]:
    """Yield a folder of icectl's own where the system keeps what is temporary; it is removed afterwards.

    What a killed process left there goes when the next one asks.
    """
    return own_folder(Path(tempfile.gettempdir()))


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Build a folder aside and let it appear whole: yields the folder to write into.

    What stood at `folder` stays until the new one is complete, and is replaced only if it is icectl's own.

    WorkError: something that icectl did not make stands at `folder`.
    """
    _expect_own(folder)
    with own_folder(folder.parent) as box:
        aside = box / "new"
        adopt(aside)
        yield aside
        replace_folder(aside, folder, box)


def replace_folder(new: Path, folder: Path, box: Path) -> None:
    """Put the finished folder `new` in the place of `folder`; the old one goes into `box`."""
    _expect_own(folder)
    if folder.is_dir():
        os.rename(folder, box / "old")
    os.rename(new, folder)
    sync_folder(folder.parent)


def appear(made: Path, target: Path) -> None:
    """Let a finished file or folder appear at `target`, where nothing may stand.

    UsageError: something stands there, even if it came after the work began.
    """
    try:
        if made.is_dir():
            os.rename(made, target)  # the system refuses a folder that holds anything, and a file
        else:
            _link(made, target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UsageError(f"{target} exists already", "name another place with --out") from error
    sync_folder(target.parent)


def _link(made: Path, target: Path) -> None:
    """Give a file its name without ever taking the place of another."""
    try:
        os.link(made, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError from None
        os.rename(made, target)


@contextmanager
def redoing(folder: Path) -> Iterator[None]:
    """Do a resumable stage over again in `folder`; if that fails, what stood there comes back."""
    _expect_own(folder)
    with own_folder(folder.parent) as box:
        if folder.is_dir():
            os.rename(folder, box / "old")
        adopt(folder)
        try:
            yield
        except BaseException:
            if (box / "old").exists():
                os.rename(folder, box / "failed")
                os.rename(box / "old", folder)
            raise


def adopt(folder: Path) -> None:
    """Make `folder` if it is not there, and mark it as icectl's own, so that it may be removed.

    WorkError: it is there and holds something that icectl did not make.
    """
    _expect_own(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def is_own(folder: Path) -> bool:
    """Tell whether icectl made `folder`: it, or one around it, is marked; it holds a record; or nothing."""
    if any((around / MARK).is_file() for around in (folder, *folder.parents)):
        return True
    return (folder / RECORD).is_file() or (folder / RUN).is_file() or not any(folder.iterdir())


def _expect_own(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and is_own(folder))):
        raise WorkError(f"{folder} was not made by icectl, and stays", "move it away, and start again")


def remove(folder: Path) -> None:
    """Remove a folder of icectl's own, if it is there. Nothing else removes folders.

    WorkError: it is not marked, nor in a marked folder, and holds no record of ours.
    """
    if not folder.is_dir() and not folder.is_symlink():
        return
    _expect_own(folder)
    for wait in (0.1, 0.5, 2.0, None):
        try:
            shutil.rmtree(folder)
            return
        except OSError as error:  # threads of a writer that failed may still be at work in it
            if error.errno != errno.ENOTEMPTY or wait is None:
                raise
            time.sleep(wait)


def remove_file(path: Path) -> None:
    """Remove a file from a folder of icectl's own, if it is there.

    WorkError: no folder around it is marked as icectl's own or holds a record of ours.
    """
    if path.is_symlink() or path.exists():
        _expect_own(path.parent)
        path.unlink()


def sweep(folder: Path) -> None:
    """Remove what killed processes were writing below `folder`: what bears our name and nobody holds."""
    for path in list(folder.rglob(f"{PREFIX}*")):
        _remove_abandoned(path)


def sweep_beside(folder: Path) -> None:
    """Remove what killed processes left beside `folder`."""
    _sweep_abandoned(folder.parent)


def _sweep_abandoned(parent: Path) -> None:
    for path in list(parent.glob(f"{PREFIX}*")):
        _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    """Remove a file or marked folder of our name unless a process holds it."""
    try:
        if path.is_symlink():
            return
        if path.is_dir() and not any(path.iterdir()):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.rmdir()
            return
        handle = os.open(path / MARK if path.is_dir() else path, os.O_WRONLY)
    except OSError:  # gone, not ours, or not to be touched
        return
    try:
        if _lock(handle):
            remove(path) if path.is_dir() else path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Hold a file for as long as it is open; False if another does, or the file system knows no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
