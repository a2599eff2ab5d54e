"""From ``icectl plugins new`` to a trained, evaluated model: the commands of docs/plugins.md, by the clock.

Scaffold, install (from its folder, without an index), and ``icectl run`` on the synthetic glacier, with the
options of the page; it shall take less than two minutes on two cores. The installation goes into a folder
of its own that is put on the path, so that nothing is left behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Row, bound, finish

PAGE = Path(__file__).parent.parent / "docs" / "plugins.md"
ICECTL = (sys.executable, "-c", "from icectl.cli import main; main()")
PIP = (
    sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation",
    "--disable-pip-version-check", "--target",
)  # fmt: skip


def options() -> list[str]:
    """Return the arguments of the page's ``icectl run my-net``."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("icectl run my-net")).split()[1:]


def main() -> None:
    """Time each command, and all of them."""
    steps = {
        "plugins new": [*ICECTL, "plugins", "new", "my-net", "--task", "snow"],
        "pip install": [*PIP, "site", "./icectl-my-net"],
        "run: fetch to evaluate": [*ICECTL, *options()],
    }
    with tempfile.TemporaryDirectory() as folder:
        around = {**os.environ, "PYTHONPATH": str(Path(folder) / "site"), "ICECTL_ENERGY": "estimate"}
        took = {}
        for name, command in steps.items():
            started = time.perf_counter()
            done = subprocess.run(
                command, cwd=folder, env=around, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
            took[name] = time.perf_counter() - started
    note = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
    rows: list[Row] = [
        bound("from plugins new to an evaluated model", sum(took.values()), 120, "s", note=note)
    ]
    finish("plugins_new", rows, ("torch",))


if __name__ == "__main__":
    main()
