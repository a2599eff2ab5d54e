"""What 20 more plugins, whose models import torch, add to ``icectl --help``: the goal is at most 1.2×.

    python benchmarks/plugins_help.py

Both are measured alternately, ten times each; the least of each counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT, ROUNDS = 20, 10
COMMAND = [
    sys.executable,
    "-c",
    "import sys; from icectl.cli import main; sys.argv = ['icectl', '--help']; main()",
]

DESCRIPTOR = """
from icectl.contract import Options, Plugin

verbs = ("fetch", "prepare", "train", "predict", "evaluate")
plugin = Plugin(name="{name}", summary="One of many.", task="many", model="{package}_model:Model",
                stages={{verb: Options for verb in verbs}})
"""


def install(folder: Path) -> None:
    """Write packages with entry points, as an installer would leave them."""
    for number in range(COUNT):
        name, package = f"many-{number}", f"icectl_many_{number}"
        (folder / f"{package}.py").write_text(DESCRIPTOR.format(name=name, package=package))
        (folder / f"{package}_model.py").write_text("import torch\n\n\nclass Model:\n    pass\n")
        info = folder / f"{package}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: icectl-{name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[icectl.plugins]\n{name} = {package}:plugin\n")


def seconds(path: str) -> float:
    """Return the wall time of one ``icectl --help``."""
    started = time.perf_counter()
    subprocess.run(COMMAND, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": path})
    return time.perf_counter() - started


def main() -> None:
    """Print both times and their ratio as JSON."""
    with tempfile.TemporaryDirectory() as name:
        install(Path(name))
        found = {"none": [], "twenty": []}
        for _ in range(ROUNDS):
            found["none"].append(seconds(""))
            found["twenty"].append(seconds(name))
    best = {key: min(values) for key, values in found.items()}
    print(json.dumps({**best, "ratio": best["twenty"] / best["none"]}))


if __name__ == "__main__":
    main()
