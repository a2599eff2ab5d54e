"""Start-up: light commands against the imports they cannot do without, and against other command lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from common import Row, compare, finish

BASE = """
import typer
from importlib.metadata import entry_points
from pydantic import BaseModel
entry_points()
"""
OURS = {
    "icectl --help": ["--help"],
    "icectl plugins list": ["plugins", "list"],
    "icectl train convlstm --dry-run": ["train", "convlstm", "--dry-run"],
}
OTHERS = {"rio --help": "rio", "torchgeo --help": "torchgeo", "rastervision --help": "rastervision"}

PLUGIN = """
from icectl.contract import Options, Plugin
class Nothing(Options):
    pass
plugin = Plugin(name="heavy{i}", summary="torch behind it", task="heavy", model="heavy_model:Model",
                stages=dict.fromkeys(("fetch", "prepare", "train", "predict", "evaluate"), Nothing))
"""


def process(*command: str, **environment: str) -> Callable[[], None]:
    """Return a function that runs a command, its output thrown away."""

    def call() -> None:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})

    return call


def icectl(*arguments: str, **environment: str) -> Callable[[], None]:
    """Return a function that runs icectl as its console script does."""
    return process(sys.executable, "-c", "from icectl.cli import main; main()", *arguments, **environment)


def light() -> list[Row]:
    """Compare each light command with the bare imports; ≤ 2 times their duration is asked for."""
    base = process(sys.executable, "-c", BASE)
    rows = [
        compare(n, icectl(*a), base, against="bare imports", kind="loop", floor=0.5, rounds=9)
        for n, a in OURS.items()
    ]
    completion = {"_ICECTL_COMPLETE": "complete_bash", "COMP_WORDS": "icectl train conv", "COMP_CWORD": "2"}
    done = icectl(**completion)
    return [
        *rows,
        compare(
            "completing a model's name", done, base, against="bare imports", kind="loop", floor=0.5, rounds=9
        ),
    ]


def other_tools() -> list[Row]:
    """Compare with the command lines of other tools, where they are installed."""
    found = {
        name: path
        for name, tool in OTHERS.items()
        if (path := shutil.which(tool, path=str(Path(sys.executable).parent)))
    }
    return [
        compare("icectl --help", icectl("--help"), process(path, "--help"), against=name, rounds=5)
        for name, path in found.items()
    ]


def with_heavy_plugins(count: int = 20) -> Row:
    """Compare ``--help`` without and with many plugins whose models import torch."""
    with tempfile.TemporaryDirectory() as folder:
        for i in range(count):
            (Path(folder) / f"heavy{i}.py").write_text(PLUGIN.format(i=i))
        (Path(folder) / "heavy_model.py").write_text("import torch\n")
        announced = ",".join(f"heavy{i}=heavy{i}:plugin" for i in range(count))
        many = icectl("--help", PYTHONPATH=folder, ICECTL_PLUGINS=announced)
        return compare(
            f"icectl --help with {count} plugins that need torch",
            many,
            icectl("--help"),
            against="with none",
            kind="loop",
            floor=1 / 1.2,
            rounds=9,
        )


if __name__ == "__main__":
    finish(
        "startup",
        [*light(), *other_tools(), with_heavy_plugins()],
        packages=("typer", "pydantic", "rasterio", "torchgeo"),
    )
