"""Runs icectl's command line in a process of its own, quickly: torch comes from the fork server."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def run(words: list[str], cwd: str, environment: dict[str, str], log: str) -> None:
    """Be ``icectl WORDS`` in folder `cwd`; all that is printed goes to the file `log`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what comes before Python's own handler ends it at once
    os.chdir(cwd)
    os.environ.update(environment)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    sys.argv = ["icectl", *words]
    from icectl.cli import main

    code = 0
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def read_log(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
