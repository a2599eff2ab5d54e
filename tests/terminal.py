"""The command line, called in the test's own process as the console script calls it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest


def terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return ``call(*arguments, ok=True)``: exit code, output, and the parsed output of ``--json``.

    With `ok`, anything but success fails the test; a traceback always does.
    """
    from icectl import cli

    def call(*arguments: str, ok: bool = True) -> Any:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["icectl", *arguments])
        try:
            code = cli.call(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        assert not ok or code == 0, f"exit {code}\n{out}\n{err}"
        assert "Traceback" not in err
        parsed = json.loads(out) if "--json" in arguments and out else None
        return SimpleNamespace(code=code, out=out, err=err, json=parsed)

    return call
