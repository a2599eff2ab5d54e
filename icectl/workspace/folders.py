"""Folders that appear whole or not at all, and what is swept away after a kill."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icectl.workspace.files import sync_folder


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
