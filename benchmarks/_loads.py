"""What the benchmarks of rare, large loads share: a command in a process of its own, and growth by size."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common import Row, bound


@dataclass(frozen=True, slots=True)
class Used:
    """What a command took: seconds by the clock and of the processor, and peak memory in MB."""

    seconds: float
    processor: float
    memory: float

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.processor:.0f} s of processor, peak {self.memory:.0f} MB"


def begun(folder: Path, *words: str | Path) -> subprocess.Popen[bytes]:
    """Start a command in `folder`, on one core; what it says goes into ``said.txt`` there."""
    command = [sys.executable, "-c", "from icectl.cli import main; main()", *map(str, words)]
    around = {**os.environ, "ICECTL_ENERGY": "off", "OMP_NUM_THREADS": "1"}
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, cwd=folder, env=around)


def icectl(folder: Path, *words: str | Path) -> Used:
    """Run a command in `folder` to its end; what it started and waited for counts."""
    started = time.perf_counter()
    _, status, used = os.wait4(begun(folder, *words).pid, 0)
    if status:
        said = (folder / "said.txt").read_text()
        raise RuntimeError(f"icectl {' '.join(map(str, words[:4]))} … failed:\n{said[-2000:]}")
    return Used(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def growth(name: str, found: Mapping[int, Used], memory: float, start: Used, of: str) -> list[Row]:
    """Return how time and memory grow from the smallest load to the largest, sizes being those of the work.

    `memory`: how many times as much the largest may take. `start`: what nearly nothing takes, which the time
    of each is less by. `of`: what is counted.
    """
    least, most = min(found), max(found)
    each = {size: (used.processor - start.processor) / size for size, used in found.items()}
    told = "; ".join(f"{size:,} {of}: {used}" for size, used in found.items())
    return [
        bound(f"{name}: processor time of one of {most:,} over one of {least:,} {of}",
              each[most] / each[least], 1.25, "times", against="linear growth (1.25 at most)", note=told),
        bound(f"{name}: peak memory of {most:,} over {least:,} {of}",
              found[most].memory / found[least].memory, memory, "times"),
    ]  # fmt: skip
