"""What every benchmark shares: alternating runs, a small table, one JSON line, the machine.

A benchmark is a script. It measures both sides in one process by turns, so that a busy machine slows
both, prints a table, and ends with one JSON line that ``make bench`` collects::

    rows = [compare("800×800, 20 % gaps", ours, naive, against="loop over pixels", kind="loop", floor=200)]
    finish("gap_filling", rows)
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison. `ratio` is how many times better ours is; `floor` what it has to reach.

    `kind` is ``"tool"`` (what people use today), ``"loop"`` (a bare loop of one's own) or
    ``"limit"`` (an absolute bound: `other` is the bound).
    """

    name: str
    against: str
    ours: float
    other: float
    ratio: float
    unit: str = "s"
    floor: float | None = 1.0
    kind: str = "tool"
    note: str = ""
    spread: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """Whether the floor is reached (True where there is none)."""
        return self.floor is None or self.ratio >= self.floor


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
    pairs = [(seconds(ours, calls), seconds(other)) for _ in range(rounds)]
    ratios = sorted(b / a for a, b in pairs)
    middle = statistics.median(ratios)
    return Row(
        name=name,
        against=against,
        ours=statistics.median(a for a, _ in pairs),
        other=statistics.median(b for _, b in pairs),
        ratio=middle,
        spread=(ratios[-1] - ratios[0]) / middle if len(ratios) > 1 else 0.0,
        **more,
    )


def bound(name: str, value: float, limit: float, unit: str, against: str = "bound", **more: Any) -> Row:
    """Return a row for an absolute bound: reached where `value` is at most `limit`."""
    return Row(
        name=name,
        against=against,
        ours=value,
        other=limit,
        ratio=limit / value,
        unit=unit,
        kind="limit",
        **more,
    )


def in_fresh_process(code: str, *arguments: str) -> dict[str, Any]:
    """Run Python `code` by itself; return the JSON object it prints last, with ``peak_mb`` added.

    Peak memory is the operating system's (``ru_maxrss``), so everything that was imported counts.
    """
    ending = (
        "\nimport resource, json as _json\n"
        "_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"print(_json.dumps({{'peak_mb': _peak / {2**20 if sys.platform == 'darwin' else 2**10}}}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + ending, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the measured process failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines()[-2:]:
        if line.startswith("{"):
            found.update(json.loads(line))
    return found


def machine(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the numbers were measured on."""
    named = ("icectl", "numpy", *packages)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in named},
    }


def version(package: str) -> str:
    """Return the installed version of a distribution, or a dash."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "-"


def _processor() -> str:
    """Return the processor's name as Linux knows it, else as Python does."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or "unknown"


def finish(name: str, rows: Sequence[Row], packages: Sequence[str] = ()) -> None:
    """Print the table and the JSON line; the headline is the row that clears its floor the least."""
    print(table(rows))
    judged = [r for r in rows if r.floor is not None] or list(rows)
    worst = min(judged, key=lambda r: r.ratio / (r.floor or 1.0))
    head = {k: getattr(worst, k) for k in ("ours", "other", "ratio", "floor", "unit", "against")}
    line = {"name": name, **head, "rows": [asdict(r) for r in rows], "machine": machine(packages)}
    print(json.dumps(line, ensure_ascii=False))


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| what | against | ours | theirs | ratio | floor | |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        floor = "" if row.floor is None else f"{row.floor:g}"
        mark = row.note if row.reached else f"BELOW THE FLOOR. {row.note}".strip()
        values = f"{_short(row.ours)} {row.unit} | {_short(row.other)} {row.unit}"
        lines.append(f"| {row.name} | {row.against} | {values} | {row.ratio:.3g} | {floor} | {mark} |")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
