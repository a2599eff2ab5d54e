"""Tests that would begin when the time is over are left out and named; nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, pytest

@pytest.fixture
def dear():
    raise AssertionError("made for a test that is not run")

def test_early():
    os.environ["ICECTL_TESTS_UNTIL"] = "{until}"
    assert {sound}

def test_late(dear): ...

def test_later(): raise AssertionError("run")
"""


def pytest_of(folder: Path, *words: str, **values: object) -> tuple[int, str]:
    (folder / "test_some.py").write_text(TESTS.format(**values))
    plugins = [word for name in ("clock", "xdist", "no:cacheprovider") for word in ("-p", name)]
    command = [sys.executable, "-m", "pytest", *plugins, *words, str(folder)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # hypothesis and zarr take seconds
        "ICECTL_TESTS_UNTIL": "",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_is_not_reached_is_named_and_no_failure(tmp_path, workers):
    code, said = pytest_of(tmp_path, "-n", workers, until=1, sound=True)
    assert code == 0, said
    assert "1 passed, 2 skipped" in said
    assert "2 tests were not run: the time for them was over" in said
    named = [line for line in said.splitlines() if line.startswith("not reached: ")]
    assert named == [f"not reached: test_some.py::{name}" for name in ("test_late", "test_later")]


def test_a_failure_before_it_is_one(tmp_path):
    code, said = pytest_of(tmp_path, "-n", "0", until=1, sound=False)
    assert code == 1, said
    assert "1 failed, 2 skipped" in said


def test_before_it_everything_is_run(tmp_path):
    code, said = pytest_of(tmp_path, "-n", "0", until="9e9", sound=True)
    assert code == 1
    assert "1 failed, 1 passed, 1 error" in said
    assert "not reached" not in said
