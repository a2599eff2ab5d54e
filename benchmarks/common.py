"""What every benchmark shares: alternating runs, rows of one table, one JSON line.

A benchmark is a script. It measures both sides in one process by turns, so that a busy machine slows
both, prints a table, and ends with one JSON line that ``make bench`` collects::

    rows = [compare("800×800, 20 % gaps", ours, naive, against="loop over pixels", kind="loop", floor=200)]
    finish("gap_filling", rows)

Every script takes ``--quick``: the smallest size, one round.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from _machine import machine
from _tables import table

STARTED = time.perf_counter()
QUICK = "--quick" in sys.argv
if QUICK:
    sys.argv.remove("--quick")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison. `ratio` is how many times better ours is; `floor` what it has to reach.

    `kind` is ``"tool"`` (what people use today), ``"loop"`` (a bare loop of one's own) or
    ``"limit"`` (an absolute bound: `other` is the bound). Numbers are None where that tool is absent.
    """

    name: str
    against: str
    ours: float | None = None
    other: float | None = None
    ratio: float | None = None
    unit: str = "s"
    floor: float | None = 1.0
    kind: str = "tool"
    note: str = ""
    spread: float = 0.0


def sizes(*every: Any) -> tuple[Any, ...]:
    """Return the sizes to measure: all of them, or the smallest with ``--quick``."""
    return every[:1] if QUICK else every


def installed(module: str) -> bool:
    """Tell whether a tool can be imported."""
    return importlib.util.find_spec(module) is not None


def absent(name: str, against: str, note: str = "not installed") -> Row:
    """Return the row of a tool that could not be measured."""
    return Row(name=name, against=against, floor=None, note=note)


def seconds(function: Callable[[], Any], calls: int = 1) -> float:
    """Return how long one call takes, on average over `calls`."""
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - started) / calls


def compare(
    name: str,
    ours: Callable[[], Any],
    other: Callable[[], Any],
    *,
    against: str,
    rounds: int = 5,
    calls: int = 1,
    warm_up: bool = True,
    **more: Any,
) -> Row:
    """Time both sides by turns and return the median of the pairwise ratios other / ours.

    `calls` of ours make one turn, so that a quick function meets the same busy machine as a slow one.
    """
    if warm_up:
        ours()
        other()
    pairs = [(seconds(ours, calls), seconds(other)) for _ in range(1 if QUICK else rounds)]
    return paired(name, pairs, against=against, **more)


def paired(name: str, pairs: Sequence[tuple[float, float]], *, against: str, **more: Any) -> Row:
    """Return the row of measured pairs (ours, other): medians, and the median and spread of the ratios.

    Durations by default; with ``better="more"`` (samples a second) the ratio is ours / other.
    """
    more_is_better = more.pop("better", "less") == "more"
    ratios = sorted(a / b if more_is_better else b / a for a, b in pairs)
    middle = statistics.median(ratios)
    row = Row(
        name=name,
        against=against,
        ours=statistics.median(a for a, _ in pairs),
        other=statistics.median(b for _, b in pairs),
        ratio=middle,
        spread=(ratios[-1] - ratios[0]) / middle,
        **more,
    )
    print(f"{name}, {against}: {middle:.3g}", file=sys.stderr, flush=True)
    return row


def bound(name: str, value: float, limit: float, unit: str, against: str = "bound", **more: Any) -> Row:
    """Return a row for an absolute bound: reached where `value` is at most `limit`."""
    more = {"kind": "limit", **more}
    return Row(name=name, against=against, ours=value, other=limit, ratio=limit / value, unit=unit, **more)


def in_fresh_process(code: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """Run Python `code` by itself; return the JSON object it prints last, with ``peak_mb`` added.

    Peak memory is the kernel's ``VmHWM``, so everything that was imported counts. (``ru_maxrss`` of a new
    process begins at that of the process that started it.)
    """
    ending = (
        "\nimport json as _json, re as _re\n"
        "_peak = int(_re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "print(_json.dumps({'peak_mb': _peak / 1024}))\n"
    )
    command = [sys.executable, "-c", code + ending, *arguments]
    around = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=around)
    if done.returncode:
        raise RuntimeError(f"the measured process failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines()[-2:]:
        if line.startswith("{"):
            found.update(json.loads(line))
    return found


def finish(name: str, rows: Sequence[Row], packages: Sequence[str] = ()) -> None:
    """Print the table and, last, the JSON line."""
    listed = [asdict(row) for row in rows]
    print("\n".join(table(listed)))
    took = time.perf_counter() - STARTED
    line = {"name": name, "rows": listed, "seconds": round(took, 1), "machine": machine(packages)}
    print(json.dumps(line, ensure_ascii=False))
