"""Random signals and random damage over every verb, each followed by the command to its end.

``ICECTL_FAULT_SIGNALS`` and ``ICECTL_FAULT_DAMAGE`` say how many; ``make test-slow`` takes fifty of each,
``make faults`` a thousand and five hundred. ``ICECTL_FAULT_FROM`` is the number of the first one, so that a
campaign can be done in parts: each number has draws of its own.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import victim
from fieldwork import OPTIONS, digests, half_written

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(6 * 3600)]

SIGNALS = int(os.environ.get("ICECTL_FAULT_SIGNALS", "50"))
DAMAGE = int(os.environ.get("ICECTL_FAULT_DAMAGE", "50"))
FIRST = int(os.environ.get("ICECTL_FAULT_FROM", "0"))
NUMBERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

COMMANDS = {
    "fetch": ("fetch", "field", *OPTIONS[:4], "--force"),
    "prepare": ("prepare", "field", *OPTIONS[:4], "--force"),
    "train": ("train", "field", *OPTIONS, "--force"),
    "predict": ("predict", "field", *OPTIONS, "--force"),
    "evaluate": ("evaluate", "field", *OPTIONS, "--force"),
    "run": ("run", "field", *OPTIONS),
    "two processes": ("run", "field", *OPTIONS, "--processes", "2"),
    "cluster": ("predict", "field", *OPTIONS, "--force", "--cluster", "local:1"),
    "compare": ("compare", "--task", "field", "--model", "field", *OPTIONS),
    "export": ("export", "RUN", "--out", "OUT/own.zip"),
    "from": ("predict", "field", "--from", "OUT/good.zip", "--glacier", "demo", "--size", "64"),
}
"""Commands by what they are for; RUN and OUT stand for the run and the user's folder."""

SEVERAL = ("two processes", "cluster")
"""Commands that import torch or dask anew in processes of their own: far dearer, drawn a fifth as often."""


def measured(workspace: Path) -> dict[str, object]:
    """The tables of every evaluation: what a user reads."""
    found = {}
    for path in sorted(workspace.rglob("metrics.json")):
        if not any(part.startswith(".") for part in path.relative_to(workspace).parts):
            found[path.parent.name] = json.loads(path.read_text())["tables"]
    return found


@pytest.fixture(scope="module")
def expected(field, finished: Path, tmp_path_factory) -> dict[str, tuple[dict[str, str], float]]:
    """What each command leaves when nothing disturbs it, and how long it takes (see `spent`)."""
    base = tmp_path_factory.mktemp("unbroken")
    found = {}
    for name in COMMANDS:
        workspace, words = place(finished, base / name.replace(" ", "-"), name, field)
        log, begun, took = base / "log", time.monotonic(), 0.0
        process = field.start(*words, workspace=workspace, log=log)
        while process.is_alive():
            took = max(took, spent(process.pid, name, begun))
            time.sleep(0.001)
        assert process.exitcode == 0, victim.read_log(log)
        log.unlink()
        found[name] = digests(workspace), took
    return found


def spent(pid: int, name: str, begun: float) -> float:
    """Seconds of a processor that a command's first thread has had, which do not depend on other work here.

    A command that waits for processes of its own is measured by the clock.
    """
    if name in SEVERAL:
        return time.monotonic() - begun
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):  # it has just ended
        return 0.0


def place(finished: Path, base: Path, name: str, field) -> tuple[Path, list[str]]:
    """A workspace for one command (empty where it does all), and its words; a user's files stand beside."""
    base.mkdir(parents=True)
    workspace, out = base / "workspace", base / "out"
    out.mkdir()
    (out / "own").mkdir()
    (out / "own" / "mine.txt").write_text("mine")
    (out / "own.partial").write_text("mine")
    run = next(finished.glob("runs/field/demo/*"))
    if name not in ("run", "two processes"):
        shutil.copytree(finished, workspace, symlinks=True)
    if name == "from":
        good = finished.with_name("good.zip")
        if not good.exists():
            code, log = field.icectl("export", run.name, "--out", str(good), workspace=finished)
            assert code == 0, log
        shutil.copy(good, out / "good.zip")
    return workspace, [w.replace("RUN", run.name).replace("OUT", str(out)) for w in COMMANDS[name]]


def test_signals(field, finished: Path, expected, tmp_path: Path) -> None:
    ended, sent = Counter(), Counter()
    names = [name for name in COMMANDS for _ in range(1 if name in SEVERAL else 5)]
    for number in range(FIRST, FIRST + SIGNALS):
        rng = random.Random(f"signal {number}")
        name, what = rng.choice(names), rng.choice(NUMBERS)
        base = tmp_path / str(number)
        workspace, words = place(finished, base, name, field)
        log, moment, begun = base / "log", rng.uniform(0, expected[name][1]), time.monotonic()
        process = field.start(*words, workspace=workspace, log=log)
        while process.is_alive() and spent(process.pid, name, begun) < moment:
            time.sleep(0.001)
        if process.is_alive():
            os.kill(process.pid, what)
            sent[what.name] += 1
        process.join(240)
        said = victim.read_log(log)
        ended[f"{name} {process.exitcode}"] += 1
        # Where nothing was said, the signal met the harness, before the command.
        assert process.exitcode in (0, -what, 128 + what) or not said, (name, what, said)
        assert "Traceback" not in said, (name, what, said)
        assert not half_written(workspace), (name, what)
        export = base / "out" / "own.zip"
        if export.exists():  # whole, whenever the signal came; a second one is refused
            assert zipfile.ZipFile(export).testzip() is None
            export.unlink()
        code, again = field.icectl(*words, workspace=workspace)
        assert code == 0, (name, what, said, again)
        assert digests(workspace) == expected[name][0], (name, what)
        assert (base / "out" / "own" / "mine.txt").read_text() == "mine"
        assert (base / "out" / "own.partial").read_text() == "mine"
        theirs = {"own", "own.partial", "own.zip", "good.zip"}
        left = {path.name for path in (base / "out").iterdir()} - theirs
        assert not left, (name, what, left)
        shutil.rmtree(base)
        if number % 10 == 9 or number == FIRST + SIGNALS - 1:
            said = f"{sum(sent.values())} signals {dict(sent)}, {dict(sorted(ended.items()))}"
            print(f"\n{FIRST} to {number}: {said}")


def harmed(path: Path, rng: random.Random) -> str:
    """Harm a file; return how."""
    content = bytearray(path.read_bytes())
    how = rng.choice(["flip", "cut", "delete", "empty", "noise", "longer", "json"])
    if how == "flip" and content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del content[rng.randrange(len(content) or 1) :]
    elif how == "empty":
        content.clear()
    elif how == "noise":
        content[:] = rng.randbytes(len(content))
    elif how == "longer":
        content += rng.randbytes(rng.randrange(1, 99))
    elif how == "json":
        content[:] = rng.choice([b"{}", b"[]", b"5", b"null", b'{"outputs": [5]}', b"[" * 9999])
    path.unlink() if how == "delete" else path.write_bytes(bytes(content))
    return how


def test_damage(field, finished: Path, tmp_path: Path) -> None:
    """The evaluation after it says what it said before, or one sentence; silence is no answer."""
    outcome, expected = Counter(), measured(finished)
    files = [
        path.relative_to(finished)
        for path in sorted(finished.rglob("*"))
        if path.is_file() and path.name != ".icectl" and "tensorboard" not in path.parts
        and ".locks" not in path.parts and "evaluations" not in path.parts and path.suffix != ".html"
    ]  # fmt: skip
    for number in range(FIRST, FIRST + DAMAGE):
        rng = random.Random(f"damage {number}")
        workspace = tmp_path / str(number) / "workspace"
        shutil.copytree(finished, workspace)
        path = rng.choice(files)
        before = (workspace / path).read_bytes()
        how = harmed(workspace / path, rng)
        after = (workspace / path).read_bytes() if (workspace / path).exists() else None
        verb = rng.choice(["evaluate", "predict"])
        code, log = field.icectl(verb, "field", *OPTIONS, "--force", workspace=workspace)
        assert "Traceback" not in log, (path, how, log)
        assert "unexpected" not in log, (path, how, log)
        if code:
            assert "error: " in log, (path, how, log)
            assert "hint: " in log, (path, how, log)
            outcome["refused"] += 1
        else:
            assert measured(workspace) == expected, (path, how, log)
            outcome["made again" if after != before else "unharmed"] += 1
        shutil.rmtree(workspace.parent)
        if number % 10 == 9 or number == FIRST + DAMAGE - 1:
            print(f"\n{FIRST} to {number}: {sum(outcome.values())} damaged files {dict(outcome)}")
