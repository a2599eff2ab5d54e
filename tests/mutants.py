"""Mutants of one package: ``make mutants ROOM=splits`` (or ``python tests/mutants.py splits``).

A random sample of 60 mutants with a fixed seed is tried against that package's tests, each with a time limit,
for 20 minutes at most; called again, it goes on, and once all were tried it tries the survivors again with
the tests as they are now. A mutation of an annotation changes nothing that runs, and none is drawn. The
mutants live in a copy of the repository below ``/tmp/icectl-mutants`` (or ``--folder``), so that the working
tree stays as it is; a changed source has a sample of its own. The tests of each mutant run in a process that
starts with the libraries loaded. Needs ``cosmic-ray``, which makes the mutants.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import gc
import multiprocessing
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import zlib
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).parent.parent
SAMPLE, SEED, EACH, WHOLE = 60, 60, 60.0, 1200
LOADED = [
    *("torch", "pytest", "hypothesis", "zarr.testing.store", "anyio", "trio", "scipy.stats", "scipy.ndimage"),
    *("skimage.metrics", "cv2", "pandas", "xarray", "rasterio", "geopandas", "odc.geo.xr", "pydantic"),
]

ROOMS = {
    "imagery": ("icectl/imagery", "tests/imagery"),
    "raster": ("icectl/raster", "tests/raster"),
    "splits": ("icectl/splits", "tests/snow/test_splits.py"),
    "training": ("icectl/training", "tests/training"),
    "stages": (
        "icectl/stages",
        "tests/core/test_stages.py tests/core/test_identity.py tests/core/test_runs.py",
    ),
    "snow": (
        "icectl/tasks/snow/metrics.py",
        "tests/snow/test_baselines_metrics.py "
        "tests/snow/test_model.py::test_scores_are_those_of_the_files_at_guarded_test_pixels "
        "tests/snow/test_model.py::test_interpolated_pixels_are_scored_apart "
        "tests/snow/test_model.py::test_missing_pixels_reach_neither_the_loss_nor_the_score",
    ),
    "flow": ("icectl/tasks/flow/metrics.py", "tests/flow/test_metrics.py"),
    "front": ("icectl/tasks/front/metrics.py", "tests/front/test_metrics.py"),
    "bed": ("icectl/tasks/bed/metrics.py", "tests/bed/test_measured.py"),
}
"""Of each package: the source that is changed, and the tests that should see it, beside its own examples."""


def draw(source: str, session: Path) -> None:
    """Draw the sample of mutants of `source`, a path in the working folder, into `session`."""
    with use_db(str(session), mode=WorkDB.Mode.create) as work:
        init(find_modules([Path(source)]), work, {})
        places = {item.job_id: item.mutations[0] for item in work.pending_work_items}
        hints = {path: annotations(path) for path in {place.module_path for place in places.values()}}
        jobs = [job for job, place in places.items() if not within(place, hints[place.module_path])]
        jobs.sort(key=lambda job: str(places[job]))  # job ids are random: the sample must not be
        kept = set(random.Random(SEED).sample(jobs, min(SAMPLE, len(jobs))))
        skipped = WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
        work.set_multiple_results([job for job in places if job not in kept], skipped)


def annotations(path: Path) -> list[ast.expr]:
    """Return the annotations of arguments, results and variables of a module."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    found = (getattr(node, key, None) for node in nodes for key in ("annotation", "returns"))
    return [hint for hint in found if hint is not None]


def within(place: MutationSpec, hints: list[ast.expr]) -> bool:
    """Return whether a mutation lies in one of the annotations."""
    return any(
        (hint.lineno, hint.col_offset) <= place.start_pos < (hint.end_lineno, hint.end_col_offset)
        for hint in hints
    )


def nearest_first(files: str, changed: str) -> list[str]:
    """Return the files of tests, those first that are named for the changed module or speak of it most."""
    paths = [path for one in files.split() for path in sorted(Path(one).glob("test_*.py")) or [Path(one)]]
    word = re.compile(rf"\b{changed}\b")
    text = {path: path.read_text(encoding="utf-8") if path.is_file() else "" for path in paths}
    return [str(p) for p in sorted(paths, key=lambda p: (changed not in p.stem, -len(word.findall(text[p]))))]


def tests(files: list[str]) -> None:
    """Run pytest on the copy, the working folder, first file first; exit with 1 if one fails."""
    import pytest

    gc.freeze()  # pytest collects garbage at its end: the libraries are none
    os.setsid()
    sys.dont_write_bytecode = True
    sys.path[:] = [
        *os.environ["PYTHONPATH"].split(":"),
        *(p for p in sys.path if not p.startswith(str(ROOT))),
    ]
    os.dup2(os.open("tests.log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 1)
    words = ["-q", "-x", "-p", "no:cacheprovider", "--assert=plain", "--doctest-modules"]
    passed = pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED
    sys.exit(any(pytest.main([*words, *some]) not in passed for some in (files[:1], files[1:]) if some))


def attempt(files: list[str], seconds: float) -> str:
    """Return ``survived``, ``killed`` or ``timeout`` of the tests of the code as it stands."""
    process = multiprocessing.get_context("forkserver").Process(target=tests, args=(files,))
    process.start()
    process.join(seconds)
    late = process.is_alive()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # with what the tests started
    process.join()
    return "timeout" if late else "killed" if process.exitcode else "survived"


def report(session: Path) -> str:
    """Return how many mutants were killed, and where each survivor is."""
    killed, late, survivors = 0, [], []
    with use_db(str(session), mode=WorkDB.Mode.open) as work:
        pending = len(work.pending_work_items)
        for item, result in work.completed_work_items:
            if result.worker_outcome == WorkerOutcome.SKIPPED:
                continue
            one = item.mutations[0]
            place = f"{one.module_path}:{one.start_pos[0]} {one.operator_name}"
            if result.test_outcome == TestOutcome.SURVIVED:
                survivors.append(f"{place}\n{result.diff}")
            else:
                killed += 1
                late += [f"by the time limit: {place}"] * (result.output == "timeout")
    tried = killed + len(survivors)
    share = f"{killed / tried:.0%}" if tried else "none tried"
    lines = [f"{killed} of {tried} killed ({share}), {pending} not tried yet"]
    return "\n".join([*lines, *sorted(late), *sorted(survivors)])


def main() -> None:
    """Try the mutants of the package named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "icectl-mutants")
    parser.add_argument("--each", type=float, default=EACH, help="least seconds for the tests of one mutant")
    asked = parser.parse_args()
    source, files = ROOMS[asked.room]
    changed = [ROOT / source] if source.endswith(".py") else sorted((ROOT / source).rglob("*.py"))
    folder = asked.folder / f"{asked.room}-{zlib.crc32(b''.join(path.read_bytes() for path in changed)):08x}"
    copy, session = folder / "copy", folder / "session.sqlite"
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "icectl-workspace")
    shutil.copytree(ROOT, copy, ignore=ignored, dirs_exist_ok=True)  # also over a mutant that was left there
    os.chdir(copy)
    compileall.compile_dir(".", quiet=2)
    os.environ |= {"PYTHONPATH": f"{copy}:{copy}/plugins", "PYTHONDONTWRITEBYTECODE": "1"}
    multiprocessing.set_forkserver_preload(LOADED)
    began = time.monotonic()
    if attempt([*files.split(), source], 10 * asked.each) != "survived":
        sys.exit(f"the tests fail without a mutant: {copy / 'tests.log'}")
    limit = max(asked.each, 3 * (time.monotonic() - began))
    print(f"each mutant has {limit:.0f} s", flush=True)
    if not session.exists():
        draw(source, session)
    with use_db(str(session), mode=WorkDB.Mode.open) as work:
        if not work.pending_work_items:
            with sqlite3.connect(session) as rows:
                rows.execute("DELETE FROM work_results WHERE test_outcome = ?", (TestOutcome.SURVIVED.name,))
        for item in work.pending_work_items:
            if time.monotonic() - began > WHOLE:
                print(f"{WHOLE // 60} minutes are over: call again to go on")
                break
            one = item.mutations[0]
            operator = get_operator(one.operator_name)(**one.operator_args)
            with use_mutation(one.module_path, operator, one.occurrence) as (before, after):
                found = attempt([*nearest_first(files, Path(one.module_path).stem), source], limit)
            lines = zip(before.splitlines(), after.splitlines(), strict=False)
            diff = next((f"  - {a.strip()}\n  + {b.strip()}" for a, b in lines if a != b), "")
            outcome = TestOutcome.SURVIVED if found == "survived" else TestOutcome.KILLED
            work.set_result(item.job_id, WorkResult(WorkerOutcome.NORMAL, found, outcome, diff))
            print(found, f"{one.module_path}:{one.start_pos[0]}", one.operator_name, flush=True)
    print(report(session))


if __name__ == "__main__":
    main()
