"""From ``git clone`` to the first report, by the clock: clone, virtual environment, packages, ``make demo``.

Not part of ``make bench`` (it downloads some gigabytes unless pip has them cached)::

    python benchmarks/run_all.py first_report

The demo alone shall take no more than five minutes on two cores; how long packages take is the network's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import bound, finish

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Clone into a temporary folder and run the two commands there."""
    inner = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS")}
    with tempfile.TemporaryDirectory() as folder:
        clone, took = Path(folder) / "icectl", {}
        python = f"PYTHON={sys.base_prefix}/bin/python3"
        steps = {
            "clone": ["git", "clone", "-q", str(ROOT), str(clone)],
            "packages": ["make", "-C", str(clone), python, ".venv/.installed"],
            "demo": ["make", "-C", str(clone), python, "demo"],
        }
        for name, command in steps.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, env=inner, stdout=subprocess.DEVNULL)
            took[name] = time.perf_counter() - started
        if not list(clone.rglob("report.html")):
            raise RuntimeError("the demo left no report")
    note = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
    rows = [
        bound("from git clone to the first report", sum(took.values()), 600, "s", note=note),
        bound("make demo, packages installed", took["demo"], 300, "s"),
    ]
    finish("first_report", rows, ("torch",))


if __name__ == "__main__":
    main()
