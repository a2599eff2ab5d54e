"""Signals to a whole group of processes, parents that are killed, and processes that never come."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from icectl.training.checkpoint import read_metadata
from icectl.training.settings import STATE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

TRIES = int(os.environ.get("ICECTL_FAULT_GROUPS", "1"))
TRAIN = ["train", "field", "--glacier", "demo", "--size", "64", "--updates", "200000", "--seed", "1"]


def start(field, words: list[str], workspace: Path, **more: str) -> subprocess.Popen:
    environment = {
        **os.environ, "PYTHONPATH": str(field.folder / "icectl-field"), "OMP_NUM_THREADS": "1",
        "ICECTL_PLUGINS": "field=icectl_field:plugin", "ICECTL_ENERGY": "off", **more,
    }  # fmt: skip
    command = [sys.executable, "-m", "icectl", *words, "--workspace", str(workspace)]
    return subprocess.Popen(
        command, cwd=field.folder, env=environment, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # under nohup it is ignored
    )  # fmt: skip


def members(group: int) -> list[int]:
    """The processes of a session that still live."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(group)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "Z" not in line.split()[1]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_signal_to_the_group_ends_with_a_sentence_and_a_state(field, tmp_path, name, processes):
    """At a random moment of the start-up or the training; the same command goes on afterwards."""
    rng, number = random.Random(name + processes), signal.Signals[name]
    for attempt in range(TRIES):
        process = start(field, [*TRAIN, "--processes", processes], tmp_path / f"w{attempt}")
        time.sleep(rng.uniform(2.0, 16.0))
        if process.poll() is None:
            os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=150)
        assert "Traceback" not in said, said
        assert process.returncode in (128 + number, -number, 0), said  # -: before Python had begun
        assert process.returncode != 128 + number or "hint: " in said, said
        assert members(process.pid) == []
    print(f"\n{TRIES} times {name} to a group of {processes}")


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_signal_during_training_saves_the_update_it_stood_at(field, tmp_path, processes):
    """The state holds at least what the log had when the signal came, and training goes on from there."""
    rng, workspace = random.Random(processes), tmp_path / "w"
    words = [*TRAIN, "--processes", processes]
    stood = 0
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        process = start(field, words, workspace)
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
def test_a_local_cluster_ends_with_its_parent(field, tmp_path):
    code = "from icectl.cluster import connected\nimport time\n"
    code += "with connected('local:2'): print('up', flush=True); time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "up\n"
    assert len(members(process.pid)) >= 4
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert members(process.pid) == []


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
def test_processes_that_never_come_are_said_within_a_minute(field, tmp_path, announced):
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29613"}
    process = start(field, TRAIN, tmp_path / "w", **announced, **place)
    deadline, said = time.monotonic() + 90, ""
    while "have not come" not in said and time.monotonic() < deadline:
        said += process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert "warning: the 1 other processes that" in said
    assert "srun icectl train" in said


def test_a_job_that_slurm_describes_by_halves_is_said(field, tmp_path):
    job = {"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "batch"}
    process = start(field, TRAIN, tmp_path / "w", **job)
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
