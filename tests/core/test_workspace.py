"""The workspace: whole files or none, one writer at a time, errors of the disk in words."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from icectl.errors import WorkError
from icectl.interrupts import signals_wait
from icectl.workspace import (
    Workspace,
    adopt,
    building,
    fingerprint,
    read_json,
    redoing,
    worded_os_errors,
    write_json,
    writing,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "file.json"
    write_json(target, {"a": 1})
    with pytest.raises(RuntimeError), writing(target) as file:
        file.write("half")
        raise RuntimeError
    assert read_json(target) == {"a": 1}
    assert [p.name for p in target.parent.iterdir()] == ["file.json"]


def test_not_numbers_and_paths_become_json(tmp_path):
    import numpy as np

    write_json(
        tmp_path / "x.json", {"nan": float("nan"), "path": Path("a/b"), "n": np.float32(1.5), 3: (1, 2)}
    )
    assert read_json(tmp_path / "x.json") == {"nan": None, "path": "a/b", "n": 1.5, "3": [1, 2]}


def test_fingerprint_does_not_depend_on_order():
    assert fingerprint({"a": 1, "b": [2.5, None]}) == fingerprint({"b": [2.5, None], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_folder_is_built_aside_and_the_old_one_stays_until_then(tmp_path):
    folder = tmp_path / "prepared"
    with building(folder) as aside:
        (aside / "v").write_text("1")
    with pytest.raises(RuntimeError), building(folder) as aside:
        (aside / "v").write_text("2")
        assert (folder / "v").read_text() == "1"
        raise RuntimeError
    assert (folder / "v").read_text() == "1"
    with building(folder) as aside:
        assert [p.name for p in aside.iterdir()] == [".icectl"]  # the marker alone
        (aside / "v").write_text("3")
    assert (folder / "v").read_text() == "3"
    assert [p.name for p in tmp_path.iterdir()] == ["prepared"]


def test_redoing_brings_the_old_one_back_on_failure(tmp_path):
    folder = tmp_path / "run"
    adopt(folder)
    (folder / "weights").write_text("old")
    with pytest.raises(RuntimeError), redoing(folder):
        (folder / "weights").write_text("new")
        raise RuntimeError
    assert (folder / "weights").read_text() == "old"


def test_a_second_writer_waits_and_is_told(tmp_path, caplog):
    space, folder, order = Workspace(tmp_path), tmp_path / "runs", []

    def second() -> None:
        with space.lock(folder):
            order.append("second")

    with space.lock(folder):
        other = threading.Thread(target=second)
        with caplog.at_level("INFO", logger="icectl"):
            other.start()
            time.sleep(0.3)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]
    assert "another icectl is working in" in caplog.text


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "is full"), (errno.EROFS, "not writable"), (errno.EACCES, "not writable")],
)
def test_errors_of_the_disk_are_worded(tmp_path, number, words):
    with pytest.raises(WorkError, match=words) as caught, worded_os_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert caught.value.hint


def test_workspace_is_the_flag_else_the_variable_else_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Workspace.locate().root == tmp_path / "icectl-workspace"
    monkeypatch.setenv("ICECTL_WORKSPACE", str(tmp_path / "there"))
    assert Workspace.locate().root == tmp_path / "there"
    assert Workspace.locate(Path("chosen")).root == tmp_path / "chosen"


def test_workspace_that_cannot_be_written_to(cli, tmp_path):
    (tmp_path / "file").write_text("")
    shown = cli("fetch", "toy", "--workspace", str(tmp_path / "file"), ok=False)
    assert shown.code == 1
    assert "hint:" in shown.err


def test_an_interrupt_leaves_no_folder_of_ours(tmp_path):
    """One between the making of a folder and of its mark left it."""
    moments = f"""
import os, random, signal, time
from pathlib import Path
from icectl.workspace import own_folder
random.seed(0)
for _ in range(150):
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # callbacks of fork swallow it
            if not os.fork():
                time.sleep(random.uniform(1e-4, 4e-3))
                os.kill(os.getppid(), signal.SIGINT)
                os._exit(0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            for _ in range(100_000):
                with own_folder(Path({str(tmp_path)!r}), tidy=False):
                    pass
        except KeyboardInterrupt:
            pass
        os._exit(0)
    os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", moments], check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_raised_as_others_begin_to_wait_leaves_none_waiting(monkeypatch):
    """Python raises it from the call that blocks, and all later ones waited for ever."""
    real = signal.pthread_sigmask

    def late(how: int, mask: Iterable[int]) -> set[int]:
        before = real(how, mask)
        if how == signal.SIG_BLOCK and mask:
            raise KeyboardInterrupt
        return before

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(signal, "pthread_sigmask", late)
        with signals_wait():
            pass
    assert signal.SIGINT not in real(signal.SIG_BLOCK, ())
