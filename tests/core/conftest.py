"""The toy plugin, announced through the environment, and a command line to call it from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from terminal import terminal

TOYS = Path(__file__).parent.parent / "toys"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Announce the toy plugin in this process."""
    from icectl import registry

    monkeypatch.syspath_prepend(str(TOYS))
    monkeypatch.setenv("ICECTL_PLUGINS", "toy=toy_plugin:plugin")
    registry.refresh()
    yield
    registry.refresh()


@pytest.fixture
def cli(
    toy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Call icectl in this process, as the console script does, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return terminal(monkeypatch, capfd)


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call icectl in a process of its own, with the toy plugin announced."""

    def call(*arguments: str, code: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TOYS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "ICECTL_PLUGINS": "toy=toy_plugin:plugin",
            "COLUMNS": "160",
            **more,
        }
        command = [sys.executable, "-c", code or "from icectl.cli import main; main()", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

    return call
