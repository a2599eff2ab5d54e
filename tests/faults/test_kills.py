"""SIGKILL at random moments of every stage: nothing is lost, nothing is half-written, nothing differs.

``ICECTL_FAULT_KILLS`` sets how many (6 by default; ``make faults`` asks for 200).
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
import victim
from fieldwork import OPTIONS, digests, half_written

from icectl.contract import VERBS

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("ICECTL_FAULT_KILLS", "6"))


def stage_of(log: str) -> str:
    """The stage that was being done when the log ended."""
    begun = [line.split()[0] for line in log.splitlines() if line.endswith(" field on demo …")]
    return begun[-1] if begun else "start"


def test_kills(field, finished: Path, tmp_path: Path) -> None:
    expected, rng = digests(finished), random.Random(20_26)
    seconds = durations(field, tmp_path)
    killed, completed, number = Counter(), 0, 0
    workspace, log = tmp_path / "workspace", tmp_path / "log"
    while sum(killed.values()) < KILLS or completed == 0:
        wanted = VERBS[number % len(VERBS)] if sum(killed.values()) < KILLS else None
        number += 1
        log.unlink(missing_ok=True)
        process = field.start("run", "field", *OPTIONS, workspace=workspace, log=log)
        if wanted:
            wait_for(process, log, wanted)
            time.sleep(rng.uniform(0, 1.1 * seconds[wanted]))
            process.kill()
        process.join(240)
        assert not half_written(workspace), victim.read_log(log)
        if process.exitcode == -9:
            killed[stage_of(victim.read_log(log))] += 1
            continue
        assert process.exitcode == 0, victim.read_log(log)
        assert digests(workspace) == expected
        completed += 1
        shutil.rmtree(workspace)
    print(f"\n{sum(killed.values())} kills {dict(killed)}, {completed} completed runs, 0 differences")
    if KILLS >= 50:
        assert set(killed) >= set(VERBS), killed


def wait_for(process, log: Path, verb: str) -> None:
    """Wait until the stage has begun (or the process is done, where it was up to date)."""
    while process.is_alive() and f"{verb} field on demo" not in victim.read_log(log):
        time.sleep(0.002)


def durations(field, folder: Path) -> dict[str, float]:
    """How long each stage takes here, from an unbroken run."""
    log = folder / "timing.log"
    process = field.start("run", "field", *OPTIONS, workspace=folder / "timing", log=log)
    begun = {}
    for verb in VERBS:
        wait_for(process, log, verb)
        begun[verb] = time.monotonic()
    process.join(240)
    assert process.exitcode == 0, victim.read_log(log)
    shutil.rmtree(folder / "timing")
    ends = [*list(begun.values())[1:], time.monotonic()]
    return {verb: end - start for (verb, start), end in zip(begun.items(), ends, strict=True)}
