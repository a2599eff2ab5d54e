"""Two processes give what one gives; a killed one ends the job with a sentence."""

from __future__ import annotations

import logging
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
import tiny

from icectl.errors import DataError, ProcessError, UsageError, WorkError
from icectl.training import launch, load_weights, worker
from icectl.training.checkpoint import load_state
from icectl.training.record import read
from icectl.training.settings import Interrupted

UPDATES = {"64-true": 2, "32-true": 10}


def losses(folder: Path) -> list[float]:
    return [line["train/loss"] for line in read(folder / "log.jsonl") if "train/loss" in line]


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Masked loss, batch normalisation, dropout, noise, two optimisers: the issue's tolerances."""
    runs = {n: tiny.run_in(tmp_path / str(n), n) for n in (1, 2)}
    results = {n: launch(tiny.train_all, run, UPDATES) for n, run in runs.items()}
    for precision, name in results[1]:
        folders = [tmp_path / str(n) / precision / name for n in (1, 2)]
        one, two = (load_weights(folder / "weights.safetensors")[0] for folder in folders)
        assert one.keys() == two.keys()
        pairs = list(zip(*(losses(folder) for folder in folders), strict=True))
        assert len(pairs) == UPDATES[precision]  # one process writes, once an update
        if precision == "64-true":
            assert max(float((one[key] - two[key]).abs().max()) for key in one) < 1e-6
        assert max(abs(a - b) for a, b in pairs) < (1e-6 if precision == "64-true" else 1e-4)
        assert results[1][precision, name].best == pytest.approx(results[2][precision, name].best, abs=1e-4)
        names = sorted(path.name for path in folders[1].iterdir())
        assert names == ["log.jsonl", "state.safetensors", "weights.safetensors"]
    assert runs[2].notes["seen"] == "2"  # rank 0's notes come back


def test_a_killed_process_ends_the_job_with_a_resumable_state(tmp_path: Path) -> None:
    run = tiny.run_in(tmp_path, 2)
    with pytest.raises(WorkError, match="training process 1 was killed by SIGKILL") as caught:
        launch(tiny.train_suicidal, run)
    assert "its state of step 2 is kept" in str(caught.value)
    assert "run the same command again" in caught.value.hint
    assert load_state(tmp_path / "state.safetensors")["step"] == 2


@pytest.mark.slow
def test_processes_agree_on_the_batch_that_fits(tmp_path: Path) -> None:
    """One of them tries, the others wait; an epoch of 64 samples keeps its sixteen updates."""
    run = tiny.run_in(tmp_path, 2)
    assert launch(tiny.train_auto, run) == 4
    assert run.notes["batch_size"] == 4
    assert load_state(tmp_path / "state.safetensors")["step"] == 2
    again = tiny.run_in(tmp_path, 2)
    assert launch(tiny.train_auto, again) == again.notes["batch_size"] == 4


def test_rank_0_tells_all_that_is_asked_for_and_the_others_their_errors(monkeypatch) -> None:
    log = logging.getLogger("icectl")
    before = log.handlers, log.level, log.propagate
    try:
        for rank, told in ((0, ["started", "failed"]), (1, ["failed"])):
            queue = SimpleQueue()
            monkeypatch.setenv("RANK", str(rank))
            worker._log_into(SimpleNamespace(queue=queue, level=logging.INFO))
            for level, text in (
                (logging.DEBUG, "detail"),
                (logging.INFO, "started"),
                (logging.ERROR, "failed"),
            ):
                log.log(level, text)
            assert [queue.get().getMessage() for _ in range(queue.qsize())] == told
    finally:
        (log.handlers, level, log.propagate) = before
        log.setLevel(level)


def report(folder: Path, rank: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", str(rank))
    worker._report(folder, error)


def test_a_users_error_comes_before_its_consequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report(tmp_path, 0, RuntimeError("[gloo] Connection closed by peer"), monkeypatch)
    assert worker.reported(tmp_path) is None  # a consequence: who died is worded by the parent
    report(tmp_path, 1, DataError("the third scene is empty", "fetch it again"), monkeypatch)
    error = worker.reported(tmp_path)
    assert isinstance(error, DataError)
    assert (error.message, error.hint) == ("the third scene is empty", "fetch it again")


@pytest.mark.parametrize("error", [UsageError("a", "b"), WorkError("c"), Interrupted("d", number=2)])
def test_errors_cross_processes_with_their_kind(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(tmp_path, 0, error, monkeypatch)
    back = worker.reported(tmp_path)
    assert type(back) is type(error)
    assert back.__reduce__() == error.__reduce__()


def test_a_bug_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        raise KeyError("nonsense")
    except KeyError as error:
        report(tmp_path, 1, error, monkeypatch)
    back = worker.reported(tmp_path)
    assert isinstance(back, ProcessError)
    assert back.said == "KeyError: 'nonsense'"
    assert __file__ in back.files
    assert "training process 1 failed" in str(back)
    assert "test_a_bug_keeps_its_traceback" in str(back)
