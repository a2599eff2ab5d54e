"""The one check of names from outside, fuzzed, and who may remove or replace a file."""

from __future__ import annotations

import ast
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icectl.errors import DataError, WorkError
from icectl.workspace import Workspace, remove, remove_file, safe_name
from icectl.workspace.folders import adopt

ROOT = Path(__file__).parent.parent.parent

SPECIAL = ["", ".", "..", "/", "a/..", "..a", "a\n", "-rf", "~", "C:", "a\\b", "\0", "x" * 201, ".git", "٣"]


@settings(max_examples=100, deadline=None)
@given(name=st.text(max_size=30) | st.sampled_from(SPECIAL) | st.none() | st.integers() | st.binary())
def test_a_name_is_one_plain_part_of_a_path_or_refused(name):
    try:
        taken = safe_name(name, "a test")
    except DataError:
        return
    path = Path("/base") / taken
    assert path.parent == Path("/base")
    assert taken.isascii()
    assert not taken.startswith((".", "-"))
    assert taken.isprintable()


@settings(max_examples=60, deadline=None)
@given(names=st.tuples(*[st.text(max_size=12) | st.sampled_from(SPECIAL)] * 2), print_=st.text(max_size=70))
def test_no_folder_of_a_stage_lies_outside_the_workspace(names, print_):
    space = Workspace(Path(tempfile.gettempdir()) / "icectl-nowhere")
    for place in (space.run, space.scenes, space.prepared):
        try:
            folder = place(*names, print_)
        except DataError:
            continue
        assert folder.resolve().is_relative_to(space.root.resolve())
        assert len(folder.relative_to(space.root).parts) == 4


def test_only_what_is_marked_is_removed(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").write_text("mine")
    (tmp_path / "link").symlink_to(theirs)
    for path in (theirs, tmp_path / "link"):
        with pytest.raises(WorkError, match="was not made by icectl"):
            remove(path)
    with pytest.raises(WorkError, match="was not made by icectl"):
        remove_file(theirs / "file")
    with pytest.raises(WorkError, match="was not made by icectl"):
        adopt(theirs)
    assert (theirs / "file").read_text() == "mine"
    adopt(tmp_path / "ours" / "deep")
    (tmp_path / "ours" / "deep" / "file").write_text("")
    remove_file(tmp_path / "ours" / "deep" / "file")
    remove(tmp_path / "ours" / "deep")
    assert [p.name for p in (tmp_path / "ours").iterdir()] == []


def test_a_folder_goes_while_a_thread_writes_into_it(tmp_path):
    """As those of Zarr do for a moment after one of them has failed."""
    folder, begun = tmp_path / "box", time.monotonic()
    adopt(folder)

    def write():
        while time.monotonic() < begun + 0.5:
            with suppress(FileNotFoundError):
                (folder / f"{time.monotonic_ns()}").touch()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    remove(folder)
    for thread in threads:
        thread.join()
    assert not folder.exists()


MAY = {"icectl/workspace/folders.py", "icectl/workspace/files.py"}
"""The only files that remove, or rename onto what may exist."""


def removing(path: Path) -> list[str]:
    """Calls in a file that remove something or may take the place of something."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        removes = name in ("rmtree", "unlink", "rmdir", "removedirs")
        moves = name in ("rename", "renames", "replace", "remove", "move") and owner in ("os", "shutil")
        renames = name in ("replace", "rename") and len(node.args) == 1 and not node.keywords
        if removes or moves or renames:
            found.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}")
    return found


def test_nothing_else_removes_or_replaces():
    wrong = []
    for path in [*(ROOT / "icectl").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        if path.relative_to(ROOT).as_posix() not in MAY:
            wrong += removing(path)
    assert not wrong, "\n".join(wrong)
