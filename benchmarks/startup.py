"""Start-up: light commands against the imports they cannot do without, and against other command lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from common import Row, absent, compare, finish, sizes

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
OTHERS = {  # command, and what was measured of a tool that does not install whole beside icectl
    "rio": "",
    "torchgeo": "",
    "rastervision": "only rastervision-pipeline: pip finds no versions of all its parts that fit together",
}

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
    completion = {"_ICECTL_COMPLETE": "complete_bash", "COMP_WORDS": "icectl train conv", "COMP_CWORD": "2"}
    calls = {name: icectl(*words) for name, words in OURS.items()}
    calls["completing a model's name"] = icectl(**completion)
    return [
        compare(name, call, base, against="bare imports", kind="loop", floor=0.5, rounds=9)
        for name, call in calls.items()
    ]


def other_tools() -> list[Row]:
    """Compare with the command lines of other tools, where they are installed."""
    rows = []
    for tool, note in OTHERS.items():
        path = shutil.which(tool, path=str(Path(sys.executable).parent))
        if path is None:
            rows.append(absent("icectl --help", f"{tool} --help"))
            continue
        theirs = process(path, "--help")
        rows.append(
            compare("icectl --help", icectl("--help"), theirs, against=f"{tool} --help", rounds=3, note=note)
        )
    return rows


def with_heavy_plugins(count: int) -> Row:
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
        [*light(), *other_tools(), *(with_heavy_plugins(count) for count in sizes(5, 10, 20))],
        packages=("typer", "pydantic", "rasterio", "torchgeo", "rastervision-pipeline"),
    )
