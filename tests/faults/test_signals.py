"""Signals to a whole group of processes, parents that are killed, and processes that never come."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from icectl.training.checkpoint import read_metadata
from icectl.training.settings import STATE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

TRIES = int(os.environ.get("ICECTL_FAULT_GROUPS", "1"))
TRAIN = ["train", "field", "--glacier", "demo", "--size", "64", "--updates", "200000", "--seed", "1"]


@dataclass
class Started:
    """Groups of processes with a temporary folder of their own; all of them end with the test."""

    field: object
    scratch: Path
    groups: list[subprocess.Popen] = dataclasses.field(default_factory=list)

    def __call__(self, words: list[str], workspace: Path, **more: str) -> subprocess.Popen:
        return self.python(["-m", "icectl", *words, "--workspace", str(workspace)], **more)

    def python(self, words: list[str], **more: str) -> subprocess.Popen:
        paths = [str(self.field.folder / "icectl-field"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1",
            "TMPDIR": str(self.scratch), "TORCHINDUCTOR_CACHE_DIR": f"{self.scratch}-inductor",
            "ICECTL_PLUGINS": "field=icectl_field:plugin", "ICECTL_ENERGY": "off", **more,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, *words], cwd=self.field.folder, env=environment, start_new_session=True,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # under nohup it is ignored
        )  # fmt: skip
        self.groups.append(process)
        return process

    def left(self) -> list[str]:
        """What lies in the temporary folder."""
        return sorted(path.name for path in self.scratch.iterdir())


@pytest.fixture
def start(field) -> Iterator[Started]:
    with tempfile.TemporaryDirectory(prefix="t-") as scratch:  # short: sockets have names of a hundred bytes
        started = Started(field, Path(scratch))
        yield started
        for process in started.groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.wait()
    shutil.rmtree(f"{scratch}-inductor", ignore_errors=True)


def members(group: int) -> list[int]:
    """The processes of a session that still live."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(group)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "Z" not in line.split()[1]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_signal_to_the_group_ends_with_a_sentence_and_a_state(start, tmp_path, name, processes):
    """At a random moment of the start-up or the training; the same command goes on afterwards."""
    rng, number = random.Random(name + processes), signal.Signals[name]
    for attempt in range(TRIES):
        process = start([*TRAIN, "--processes", processes], tmp_path / f"w{attempt}")
        time.sleep(rng.uniform(2.0, 16.0))
        if process.poll() is None:
            os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=150)
        assert "Traceback" not in said, said
        assert process.returncode in (128 + number, -number, 0), said  # -: before Python had begun
        assert process.returncode != 128 + number or "hint: " in said, said
        assert members(process.pid) == []
        assert start.left() == []
    print(f"\n{TRIES} times {name} to a group of {processes}")


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_signal_during_training_saves_the_update_it_stood_at(start, tmp_path, processes):
    """The state is that of the update which the sentence names, and training goes on from there."""
    rng, workspace = random.Random(processes), tmp_path / "w"
    words = [*TRAIN, "--processes", processes]
    stood = 0
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        process = start(words, workspace)
        deadline = time.monotonic() + 120
        while last_logged(workspace) <= stood and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(rng.uniform(0.0, 1.0))
        logged = last_logged(workspace)
        os.killpg(process.pid, signal.Signals[name])
        said, _ = process.communicate(timeout=150)
        assert process.returncode == 128 + signal.Signals[name], said
        (state,) = workspace.glob(f"runs/field/demo/*/{STATE}")
        saved = int(read_metadata(state)["step"])
        assert saved >= logged > stood, (saved, logged, stood, said)
        assert f"training was stopped by {name} after update {saved}; its state is in" in said, said
        assert members(process.pid) == start.left() == []
        assert stood == 0 or f"training goes on from update {stood}" in said, said
        stood = saved


def last_logged(workspace: Path) -> int:
    """The last update that a log in the workspace tells of; its last line may be half written."""
    lines = [
        line for log in workspace.glob("runs/field/demo/*/log.jsonl") for line in log.read_text().splitlines()
    ]
    steps = [
        int(found["step"]) for line in lines if line.endswith("}") and "step" in (found := json.loads(line))
    ]
    return max(steps, default=0)


@pytest.mark.slow
def test_a_second_signal_ends_processes_that_do_not_answer(start, tmp_path):
    process = start([*TRAIN, "--processes", "2"], tmp_path / "w")
    deadline = time.monotonic() + 120
    while not last_logged(tmp_path / "w") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    for trainer in trainers(process.pid):
        os.kill(trainer, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, said
    assert "error: training was stopped by SIGINT; " in said
    assert "Traceback" not in said
    assert members(process.pid) == start.left() == []


TERM = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"


def trainers(group: int) -> list[int]:
    """The processes of a session that train: children of the fork server."""
    listed = subprocess.run(["ps", "-o", "pid=,ppid=", "-s", str(group)], capture_output=True, text=True)
    parents = {int(pid): int(parent) for pid, parent in map(str.split, listed.stdout.splitlines())}
    return [pid for pid, parent in parents.items() if parent in parents and parents[parent] == group]


def test_a_validation_that_is_stopped_leaves_nothing(start):
    process = start.python(["-m", "icectl", "plugins", "validate", "field", "--full"])
    deadline = time.monotonic() + 120
    while not start.left() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert start.left() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_local_cluster_ends_with_its_parent(start, name):
    code = "from icectl.cluster import connected\nimport time\n"
    code += "with connected('local:2'): print('up', flush=True); time.sleep(600)"
    process = start.python(["-c", f"{TERM}{code}"])
    assert process.stdout.readline() == "up\n"
    assert len(members(process.pid)) >= 4
    process.send_signal(signal.Signals[name])
    process.communicate()
    deadline = time.monotonic() + 20
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert members(process.pid) == []
    if name == "SIGKILL":
        assert len(start.left()) == 1  # the next one to ask for a temporary folder removes it
        start.python(["-c", "from icectl.workspace import temporary\nwith temporary(): pass"]).wait()
    assert start.left() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "announced",
    [
        {"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
         "SLURM_NTASKS_PER_NODE": "2",
         "SLURM_NNODES": "1",
         "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "batch", "SLURM_NODELIST": "localhost"},
        {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0",
         "LOCAL_WORLD_SIZE": "2"},
    ],
    ids=["slurm", "torchrun"],
)  # fmt: skip
def test_processes_that_never_come_are_said_within_a_minute(start, tmp_path, announced):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    process = start(TRAIN, tmp_path / "w", **announced, **place)
    deadline, said = time.monotonic() + 90, ""
    while "have not come" not in said and time.monotonic() < deadline:
        said += process.stdout.readline()
    assert "warning: the 1 other processes that" in said
    assert "srun icectl train" in said


def test_a_job_that_slurm_describes_by_halves_is_said(start, tmp_path):
    job = {"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "batch"}
    process = start(TRAIN, tmp_path / "w", **job)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 2, said
    assert "error: SLURM describes 2 tasks" in said
    assert "hint: " in said


CALLBACK = """
import ctypes, os, signal, sys, time
from icectl import cli

def called(*_):
    os.kill(os.getpid(), signal.{name})
    sum(range(1000))
    return 0

def command(arguments):
    ctypes.CFUNCTYPE(ctypes.c_int)(called)()
    time.sleep(10)
    print("went on")
    return 0

from icectl.cli import app
app.invoke = command
sys.argv = ["icectl", "list"]
signal.signal(signal.{name}, signal.default_int_handler if {name!r} == "SIGINT" else signal.SIG_DFL)
cli.main()
"""
"""nohup, under which tests may run, has a process ignore SIGHUP, and icectl respects that."""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_within_a_callback_of_c_ends_the_command(name):
    ended = subprocess.run(
        [sys.executable, "-c", CALLBACK.format(name=name)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 128 + getattr(signal, name), ended
    assert "went on" not in ended.stdout
    assert "Traceback" not in ended.stderr
    assert "interrupted" in ended.stderr


BUSY_ZARR = """
import os, signal, sys, time
from icectl import cli
from icectl.cli import app

def command(arguments):
    from zarr.core.sync import _get_loop
    _get_loop().call_soon_threadsafe(time.sleep, 1)  # a thread that gets no time, as on a busy machine
    time.sleep(0.1)
    if "end" in arguments:
        return 0
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)

app.invoke = command
sys.argv = ["icectl", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.parametrize(("words", "code"), [(["end"], 0), ([], 128 + signal.SIGTERM)])
def test_the_thread_of_zarr_says_nothing_at_the_end(words, code):
    """It is given 0.2 s to end, and what that takes longer was printed beside our sentence."""
    command = [sys.executable, "-c", BUSY_ZARR, *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == code, ended
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["error", "hint"] * bool(code)
