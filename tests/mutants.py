"""Mutants of one package: ``make mutants ROOM=splits`` (or ``python tests/mutants.py splits``).

A random sample of 60 mutants with a fixed seed is tried against that package's tests, each with a time limit,
for 20 minutes at most; called again, it goes on, and once all were tried it tries the survivors again with
the tests as they are now. A mutation of an annotation changes nothing that runs, and none is drawn. The
mutants live in a copy of the repository below ``/tmp/icectl-mutants`` (or ``--folder``), so that the working
tree stays as it is; a changed source has a sample of its own. A mutant meets the tests that call the changed
function, and those that start processes, which may; all of them where it is in no function. They run in a
process that starts with the libraries loaded. Times are of the processor. Which tests call what is noted
once for tests as they are. Needs ``cosmic-ray``, which makes the mutants.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import gc
import importlib
import json
import multiprocessing
import multiprocessing.process
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import warnings
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.commands import init
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).parent.parent
SAMPLE, SEED, EACH, WHOLE = 60, 60, 20.0, 1200
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


SAID = os.fdopen(os.dup(2), "w")
"""Where progress is told, whatever pytest captures."""

STARTS = {subprocess.Popen.__init__.__code__, multiprocessing.process.BaseProcess.start.__code__}


class Callers:
    """Which tests call which function of `source`, which start a process, and how long each takes.

    A function is known by its file and first line.
    """

    def __init__(self, source: str) -> None:
        self.source, self.test = str(Path(source).absolute()), ""
        self.callers: dict[str, set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def noting(self, test: str) -> Iterator[None]:
        """Note what a test calls in the body of a ``with`` statement."""
        self.test, began = test, time.process_time()
        threading.settrace(self.note)
        sys.settrace(self.note)
        yield
        sys.settrace(None)
        self.seconds[test] = time.process_time() - began

    def note(self, frame: types.FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if code in STARTS:
            self.callers["process"].add(self.test)
        if code.co_filename.startswith(self.source):
            self.callers[f"{code.co_filename}:{code.co_firstlineno}"].add(self.test)

    def write(self, path: Path) -> None:
        found = {key: sorted(tests) for key, tests in self.callers.items()}
        modules = [name for name in sys.modules if name.partition(".")[0] == "icectl"]
        path.write_text(json.dumps({"callers": found, "seconds": self.seconds, "modules": modules}))


class Trying:
    """Tries mutants of functions, each in a fork of this process, in which all tests are collected.

    A fork without a mutant comes first: it passes all tests, and notes which call what.
    """

    def __init__(self, source: str, attempts: Attempts) -> None:
        self.source, self.attempts, self.session = source, attempts, None

    def pytest_runtestloop(self, session: Any) -> bool:
        self.session = session
        for path in sorted(Path(self.source).rglob("*.py")):
            importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
        if not self.attempts.noted.exists():
            found = attempt(self.learn, (), 3600)
            if found != "survived":
                raise SystemExit(1)
        for name in json.loads(self.attempts.noted.read_text())["modules"]:
            importlib.import_module(name)  # once, and not in every fork
        self.attempts.go_on(self.meet)
        return True

    def learn(self) -> None:
        callers = Callers(self.source)
        for item in self.session.items:
            with callers.noting(item.nodeid):
                self.expect(item)
        callers.write(self.attempts.noted)

    def meet(self, chosen: list[str], path: Path, after: str) -> None:
        if not change(path, after):
            os._exit(UNCHANGED)
        items = {item.nodeid: item for item in self.session.items}
        for test in chosen:
            self.expect(items[test])

    def expect(self, item: Any) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if self.session.testsfailed:
            raise SystemExit(1)


UNCHANGED, BROKEN = 77, 78
"""Exit codes: no function was changed, as an import alone shows such a mutant; trying it failed."""


def codes_of(path: Path, text: str) -> list[types.CodeType]:
    """Return the code of a module, and of every function and class in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as in the tests
        found = [compile(text, str(path), "exec", dont_inherit=True)]
    for code in found:  # which grows meanwhile
        found += [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return found


def change(path: Path, after: str) -> bool:
    """Change the functions of an imported module to those of another text of as many lines."""
    new = {(code.co_qualname, code.co_firstlineno): code for code in codes_of(path, after)}
    changed = False
    for one in gc.get_objects():
        if isinstance(one, types.FunctionType) and one.__code__.co_filename == str(path):
            code = new.get((one.__code__.co_qualname, one.__code__.co_firstlineno), one.__code__)
            changed |= code != one.__code__
            one.__code__ = code
    return changed


class Chosen:
    """Leaves out all tests but some."""

    def __init__(self, tests: list[str]) -> None:
        self.tests = tests

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        kept = [item for item in items if item.nodeid in self.tests]
        items[:] = sorted(kept, key=lambda item: self.tests.index(item.nodeid))


def meeting(place: MutationSpec, noted: dict[str, Any]) -> tuple[list[str], float]:
    """Return the tests that a mutant meets, the quickest first, and their seconds."""
    path = Path(place.module_path).absolute()
    around = 0
    for code in codes_of(path, path.read_text(encoding="utf-8")):
        last = max(end or 0 for _, end, *_ in code.co_positions())
        if code.co_firstlineno <= place.start_pos[0] <= last:
            around = max(around, code.co_firstlineno)
    callers, seconds = noted["callers"].get(f"{path}:{around}", ()), noted["seconds"]
    later = set(noted["callers"].get("process", ()) if callers else seconds) - set(callers)
    tests = [*sorted(callers, key=seconds.__getitem__), *sorted(later, key=seconds.__getitem__)]
    return tests, sum(seconds[test] for test in tests)


def tests(files: list[str], plugin: object) -> None:
    """Run pytest on the copy, the working folder; exit with 1 if a test fails."""
    import pytest

    sys.dont_write_bytecode = True
    sys.path[:] = [
        *os.environ["PYTHONPATH"].split(":"),
        *(p for p in sys.path if not p.startswith(str(ROOT))),
    ]
    os.dup2(os.open("tests.log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 1)
    words = ["-q", "-x", "-p", "no:cacheprovider", "--assert=plain", "--doctest-modules"]
    sys.exit(pytest.main([*words, *files], plugins=[plugin]) != pytest.ExitCode.OK)


def attempt(target: Callable[..., None], args: tuple[Any, ...], seconds: float) -> str:
    """Return ``survived``, ``killed`` or ``timeout`` of tests, or nothing where no function was changed.

    One that waits for ever is ended after 30 times as long: other work may keep the processor.
    """
    process = multiprocessing.get_context("fork").Process(target=limited, args=(target, args, seconds))
    process.start()
    process.join(min(30 * seconds, 24 * 3600))
    late = process.is_alive() or process.exitcode == -signal.SIGXCPU
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # with what the tests started
    process.join()
    if process.exitcode == BROKEN:
        sys.exit("a mutant could not be tried")
    found = {0: "survived", UNCHANGED: ""}.get(process.exitcode, "killed")
    return "timeout" if late else found


def limited(target: Callable[..., None], args: tuple[Any, ...], seconds: float) -> None:
    """Call a function in a group of processes of its own with so many seconds of the processor."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
    try:
        target(*args)
    except SyntaxError:
        os._exit(1)
    except Exception:
        traceback.print_exc(file=SAID)
        os._exit(BROKEN)


class Attempts:
    """The mutants of a session that were not tried yet."""

    def __init__(self, session: Path, noted: Path, each: float) -> None:
        self.session, self.noted, self.each, self.began = session, noted, each, time.monotonic()

    def go_on(self, meet: Callable[[list[str], Path, str], None]) -> None:
        """Try one after another, in a process each: `meet` is called with tests, and the changed module."""
        noted = json.loads(self.noted.read_text())
        with use_db(str(self.session), mode=WorkDB.Mode.open) as work:
            for item in work.pending_work_items:
                if time.monotonic() - self.began > WHOLE:
                    print(f"{WHOLE // 60} minutes are over: call again to go on", file=SAID, flush=True)
                    break
                one = item.mutations[0]
                operator = get_operator(one.operator_name)(**one.operator_args)
                chosen, seconds = meeting(one, noted)
                with use_mutation(one.module_path, operator, one.occurrence) as (before, after):
                    args = chosen, Path(one.module_path).absolute(), after
                    found = attempt(meet, args, self.each + 3 * seconds)
                if not found:
                    continue
                lines = zip(before.splitlines(), after.splitlines(), strict=False)
                diff = next((f"  - {a.strip()}\n  + {b.strip()}" for a, b in lines if a != b), "")
                outcome = TestOutcome.SURVIVED if found == "survived" else TestOutcome.KILLED
                work.set_result(item.job_id, WorkResult(WorkerOutcome.NORMAL, found, outcome, diff))
                print(
                    found, f"{one.module_path}:{one.start_pos[0]}", one.operator_name, file=SAID, flush=True
                )


def alone(chosen: list[str], path: Path, after: str) -> None:
    """Run the chosen tests in a process that has imported nothing of icectl yet."""
    tests(sorted({test.partition("::")[0] for test in chosen}), Chosen(chosen))


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
    parser.add_argument(
        "--each", type=float, default=EACH, help="seconds for a mutant beside three times its tests"
    )
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
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # pytest collects garbage at its end: the libraries are none
    paths = [Path(one.partition("::")[0]) for one in files.split()]
    texts = [path.read_bytes() for one in paths for path in sorted(one.rglob("*.py")) or [one]]
    noted = folder / f"noted-{zlib.crc32(b''.join(texts)):08x}.json"
    if not session.exists():
        draw(source, session)
    with use_db(str(session), mode=WorkDB.Mode.open) as work:
        if not work.pending_work_items:
            with sqlite3.connect(session) as rows:
                rows.execute("DELETE FROM work_results WHERE test_outcome = ?", (TestOutcome.SURVIVED.name,))
    attempts = Attempts(session, noted, asked.each)
    attempt(tests, ([*files.split(), source], Trying(source, attempts)), 24 * 3600)
    if not noted.exists():
        sys.exit(f"the tests fail without a mutant: {copy / 'tests.log'}")
    attempts.go_on(alone)
    print(report(session))


if __name__ == "__main__":
    main()
