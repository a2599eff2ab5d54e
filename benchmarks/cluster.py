"""Prepare of eight glaciers over Dask: two workers of one thread beside one, and beside no cluster.

    python benchmarks/cluster.py

The work of a glacier is a loop of pure Python (about a second), so that only the spreading is measured;
the goal is at least 1.6 times the speed of one worker. Clusters are up before the clock starts.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
HELPERS = ROOT / "tests" / "scale" / "helpers"
os.environ["PYTHONPATH"] = str(HELPERS)
sys.path.insert(0, str(HELPERS))
os.environ["ICECTL_PLUGINS"] = "plodding=plodding:plugin"
os.environ["ICECTL_ENERGY"] = "off"

GLACIERS, WORK = 8, 15


@contextmanager
def workers(count: int) -> Iterator[str]:
    """Yield the address of a scheduler with `count` workers of one thread."""
    from icectl.cluster import connected

    with connected(f"local:{count}") as client:
        client.run(lambda: __import__("icectl.scale"))
        yield client.scheduler.address


def requests(folder: str) -> list:
    """Return one prepare for each glacier, in a fresh workspace."""
    from icectl import registry
    from icectl.settings import Glacier
    from icectl.stages import Request
    from icectl.workspace import Workspace

    plugin = registry.get("plodding")
    options = {verb: kind() for verb, kind in plugin.stages.items()}
    options["prepare"] = plugin.stages["prepare"](work=WORK)
    workspace = Workspace(Path(folder))
    glaciers = [Glacier(name=f"g{number}") for number in range(GLACIERS)]
    return [Request(plugin=plugin, glacier=one, options=options, workspace=workspace) for one in glaciers]


def spread(address: str) -> float:
    """Return the seconds that a running cluster takes."""
    from icectl.scale import perform_all

    with tempfile.TemporaryDirectory() as folder:
        work = requests(folder)
        started = time.perf_counter()
        list(perform_all(work, "prepare", address))
        return time.perf_counter() - started


def in_place() -> float:
    """Return the seconds without a cluster."""
    from icectl import stages

    with tempfile.TemporaryDirectory() as folder:
        work = requests(folder)
        started = time.perf_counter()
        for request in work:
            stages.perform(request, "prepare")
        return time.perf_counter() - started


def main() -> None:
    """Print seconds and ratios as JSON."""
    with workers(1) as one:
        single = min(spread(one) for _ in range(2))
    with workers(2) as two:
        double = min(spread(two) for _ in range(2))
    alone = min(in_place() for _ in range(2))
    found = {"no cluster": alone, "one worker": single, "two workers": double}
    print(json.dumps({**found, "two over one": single / double, "two over none": alone / double}))


if __name__ == "__main__":
    main()
