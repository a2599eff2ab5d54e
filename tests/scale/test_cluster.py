"""Real `dask scheduler` and `dask worker` processes on loopback; one worker is killed on the way."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from icectl.cluster import each
from icectl.errors import UsageError, WorkError

HELPERS = Path(__file__).parent / "helpers"
GLACIERS = [f"g{number}" for number in range(6)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder that knows the glaciers."""
    folder = tmp_path_factory.mktemp("scale")
    (folder / "configs" / "glaciers").mkdir(parents=True)
    for name in (*GLACIERS, "absent"):
        (folder / "configs" / "glaciers" / f"{name}.toml").write_text('model = "plodding"\n')
    (folder / "notes").mkdir()
    return folder


def environment(place: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(HELPERS),
        "ICECTL_PLUGINS": "plodding=plodding:plugin",
        "ICECTL_ENERGY": "off",
        "PLODDING_NOTES": str(place / "notes"),
    }


def start(place: Path, *words: str) -> subprocess.Popen[str]:
    code = "import sys; from icectl.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def icectl(place: Path, *words: str) -> str:
    process = start(place, *words)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def glaciers(names: list[str]) -> list[str]:
    return [word for name in names for word in ("--glacier", name)]


def dask(*words: str, place: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", *words]
    with (place / "dask.log").open("ab") as log:
        return subprocess.Popen(command, cwd=place, env=environment(place), stdout=log, stderr=log)


@pytest.fixture(scope="module")
def cluster(place: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers of one thread."""
    file = place / "scheduler.json"
    processes = [
        dask(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(file),
            place=place,
        )
    ]
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, (place / "dask.log").read_text()
        time.sleep(0.1)
    address = json.loads(file.read_text())["address"]
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    processes += [dask("worker", address, *options, place=place) for _ in range(2)]
    yield address, processes[1:]
    for process in reversed(processes):
        process.kill()
        process.wait()


def digests(workspace: Path) -> dict[str, str]:
    """What is in a workspace, but for the records (they hold times) and locks."""
    return {
        path.relative_to(workspace).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(workspace.rglob("*"))
        if path.is_file() and path.suffix in (".txt", ".tif")
    }


def wait_for_notes(place: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(list((place / "notes").iterdir())) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_makes_the_same_files(place: Path, cluster) -> None:
    address, workers = cluster
    alone, spread = place / "alone", place / "spread"
    pids = {}
    train = ["train", "plodding", "--glacier", "g0", "--json", "--seconds", "0.4"]
    for workspace, extra in ((alone, []), (spread, ["--cluster", address])):
        for note in (place / "notes").iterdir():
            note.unlink()
        where = ["--workspace", str(workspace), *extra]
        process = start(place, "prepare", "plodding", *glaciers(GLACIERS), "--seconds", "0.4", *where)
        if extra:
            wait_for_notes(place, 3)  # both workers are in the middle of it
            workers[0].send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert all(name in out for name in GLACIERS)
        run = json.loads(icectl(place, *train, "--workspace", str(workspace)))["run"]
        icectl(place, "predict", "plodding", "--run", run, *glaciers(GLACIERS), "--seconds", "0.4", *where)
        pids[workspace] = {note.name.split("-")[2] for note in (place / "notes").iterdir()}
    assert digests(alone) == digests(spread)
    assert len(digests(spread)) == 3 * len(GLACIERS) + 1  # scene, dataset and prediction of each; one weights
    assert len(pids[spread] & {str(worker.pid) for worker in workers}) == 2  # the workers did it, both
    assert not pids[alone] & pids[spread]


def test_one_glacier_that_fails_does_not_stop_the_others(place: Path, cluster) -> None:
    address, _ = cluster
    words = [
        "fetch",
        "plodding",
        *glaciers(["g0", "absent", "g1"]),
        "--cluster",
        address,
        "--workspace",
        "faulty",
    ]
    process = start(place, *words)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no scene of absent was found" in err
    assert "Traceback" not in err
    assert len(digests(place / "faulty")) == 2
    assert "failed" in out


def test_local_processes(place: Path) -> None:
    words = [*glaciers(GLACIERS[:4]), "--workspace", "local", "--cluster", "local:2"]
    icectl(place, "prepare", "plodding", *words)
    assert len(digests(place / "local")) == 8


@pytest.mark.parametrize(("told", "taken"), [(None, "1"), ("3", "3")])
def test_local_processes_take_one_thread_unless_told(
    told: str | None, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if told:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert list(each(os.getenv, ["OMP_NUM_THREADS"], "local:1")) == [("OMP_NUM_THREADS", taken)]
    assert os.environ.get("OMP_NUM_THREADS") == told


@pytest.mark.parametrize(
    ("cluster", "error", "words"),
    [
        ("local:none", UsageError, "--cluster local:none is not understood"),
        ("two", UsageError, "--cluster two is not understood"),
    ],
)
def test_clusters_that_cannot_be(cluster: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        list(each(abs, [1], cluster))
    assert "local:N" in caught.value.hint


def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args, **kwargs):
        raise OSError("timed out")

    monkeypatch.setattr("distributed.Client", refuse)
    with pytest.raises(WorkError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        list(each(abs, [1], "tcp://127.0.0.1:1"))


def test_no_cluster_is_a_plain_loop() -> None:
    assert list(each(abs, [-1, 2], None)) == [(-1, 1), (2, 2)]
