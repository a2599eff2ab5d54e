"""Prepare of several glaciers over Dask: two workers of one thread beside one, and beside no cluster.

The work of a glacier is a loop of pure Python (about a second), so that only the spreading is measured;
two workers shall take 1.6 times less than one. Both clusters are up before the clock starts, and take turns.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from common import Row, compare, finish, sizes

HELPERS = Path(__file__).parent.parent / "tests" / "scale" / "helpers"
os.environ["PYTHONPATH"] = str(HELPERS)
sys.path.insert(0, str(HELPERS))
os.environ["ICECTL_PLUGINS"] = "plodding=plodding:plugin"
os.environ["ICECTL_ENERGY"] = "off"

WORK = 15


@contextmanager
def workers(count: int) -> Iterator[str]:
    """Yield the address of a scheduler with `count` workers of one thread."""
    from icectl.cluster import connected

    with connected(f"local:{count}") as client:
        client.run(lambda: __import__("icectl.scale"))
        yield client.scheduler.address


def requests(folder: str, glaciers: int) -> list[Any]:
    """Return one prepare for each glacier, in a fresh workspace."""
    from icectl import registry
    from icectl.settings import Glacier
    from icectl.stages import Request
    from icectl.workspace import Workspace

    plugin = registry.get("plodding")
    options = {verb: kind() for verb, kind in plugin.stages.items()}
    options["prepare"] = plugin.stages["prepare"](work=WORK)
    common = {"plugin": plugin, "options": options, "workspace": Workspace(Path(folder))}
    return [Request(glacier=Glacier(name=f"g{number}"), **common) for number in range(glaciers)]


def spread(address: str, glaciers: int) -> None:
    """Prepare over a running cluster."""
    from icectl.scale import perform_all

    with tempfile.TemporaryDirectory() as folder:
        list(perform_all(requests(folder, glaciers), "prepare", address))


def in_place(glaciers: int) -> None:
    """Prepare without a cluster."""
    from icectl import stages

    with tempfile.TemporaryDirectory() as folder:
        for request in requests(folder, glaciers):
            stages.perform(request, "prepare")


def main() -> None:
    """Measure three numbers of glaciers."""
    rows: list[Row] = []
    with workers(1) as one, workers(2) as two:
        for glaciers in sizes(4, 8, 12):
            double, single = partial(spread, two, glaciers), partial(spread, one, glaciers)
            alone, label = partial(in_place, glaciers), f"prepare of {glaciers} glaciers, two workers"
            more = {"kind": "loop", "rounds": 2, "warm_up": False}
            floor = 1.6 if glaciers >= 8 else None
            rows.append(compare(label, double, single, against="one worker", floor=floor, **more))
            rows.append(compare(label, double, alone, against="no cluster", floor=None, **more))
    finish("cluster", rows, ("dask", "distributed"))


if __name__ == "__main__":
    main()
