"""Mutants of one package: ``make mutants ROOM=splits`` (or ``python tests/mutants.py splits``).

A random sample of 60 mutants with a fixed seed is tried against that package's tests, each with a time limit,
for 20 minutes at most; called again, it goes on. The mutants live in a copy of the repository below
``/tmp/icectl-mutants`` (or ``--folder``), so that the working tree stays as it is. Needs ``cosmic-ray``.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).parent.parent
SAMPLE, SEED, EACH, WHOLE = 60, 60, 90.0, 1200

ROOMS = {
    "imagery": ("icectl/imagery", "tests/imagery"),
    "raster": ("icectl/raster", "tests/raster"),
    "splits": ("icectl/splits", "tests/snow/test_splits.py"),
    "training": ("icectl/training", "tests/training"),
    "stages": (
        "icectl/stages",
        "tests/core/test_stages.py tests/core/test_identity.py tests/core/test_runs.py",
    ),
    "snow": ("icectl/tasks/snow/metrics.py", "tests/snow"),
    "flow": ("icectl/tasks/flow/metrics.py", "tests/flow"),
    "front": ("icectl/tasks/front/metrics.py", "tests/front/test_metrics.py"),
    "bed": ("icectl/tasks/bed/metrics.py", "tests/bed"),
}
"""Of each package: the source that is changed, and the tests that should see it."""


def prepare(room: str, folder: Path) -> tuple[Path, Path]:
    """Copy the repository and draw the sample, once; return configuration and session."""
    source, tests = ROOMS[room]
    copy, config, session = folder / "copy", folder / "config.toml", folder / "session.sqlite"
    if session.exists():
        return config, session
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "*.pyc", "icectl-workspace"))
    command = f"{sys.executable} -m pytest -q -x -p no:cacheprovider {tests}"
    config.write_text(
        f"[cosmic-ray]\nmodule-path = {json.dumps(source)}\ntimeout = {EACH}\nexcluded-modules = []\n"
        f"test-command = {json.dumps(f'env PYTHONPATH={copy}:{copy}/plugins {command}')}\n"
        '[cosmic-ray.distributor]\nname = "local"\n',
        encoding="utf-8",
    )
    subprocess.run(["cosmic-ray", "init", str(config), str(session)], cwd=copy, check=True)
    with use_db(str(session), mode=WorkDB.Mode.open) as work:
        jobs = sorted(item.job_id for item in work.pending_work_items)
        places = {item.job_id: str(item.mutations[0]) for item in work.pending_work_items}
        jobs.sort(key=places.__getitem__)  # job ids are random: the sample must not be
        kept = set(random.Random(SEED).sample(jobs, min(SAMPLE, len(jobs))))
        skipped = WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
        work.set_multiple_results([job for job in jobs if job not in kept], skipped)
    return config, session


def report(session: Path) -> str:
    """Return how many mutants were killed, and where each survivor is."""
    killed, survivors = 0, []
    with use_db(str(session), mode=WorkDB.Mode.open) as work:
        pending = len(list(work.pending_work_items))
        for item, result in work.completed_work_items:
            if result.worker_outcome == WorkerOutcome.SKIPPED:
                continue
            if result.test_outcome == TestOutcome.SURVIVED:
                one = item.mutations[0]
                survivors.append(f"{one.module_path}:{one.start_pos[0]} {one.operator_name}")
            else:
                killed += 1
    tried = killed + len(survivors)
    share = f"{killed / tried:.0%}" if tried else "none tried"
    lines = [f"{killed} of {tried} killed ({share}), {pending} not tried yet: call again to go on"]
    return "\n".join([*lines, *sorted(survivors)])


def main() -> None:
    """Try the mutants of the package named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "icectl-mutants")
    asked = parser.parse_args()
    folder = asked.folder / asked.room
    folder.mkdir(parents=True, exist_ok=True)
    config, session = prepare(asked.room, folder)
    try:
        subprocess.run(
            ["cosmic-ray", "exec", str(config), str(session)], cwd=folder / "copy", check=True, timeout=WHOLE
        )
    except subprocess.TimeoutExpired:
        print(f"{WHOLE // 60} minutes are over")
    print(report(session))


if __name__ == "__main__":
    main()
