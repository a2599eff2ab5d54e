"""An interrupted training, gone on with, equals an unbroken one to the last bit."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
from logging.handlers import QueueHandler
from pathlib import Path

import pytest
import tiny
import torch

from icectl.errors import DataError
from icectl.training import FitSettings, IndexedBatches, fit, load_weights
from icectl.training.checkpoint import load_state, save_state
from icectl.training.record import read
from icectl.training.settings import Interrupted

SETTINGS = FitSettings(epochs=4, log_every=3, checkpoint_every=1)


class Stopping(tiny.Masked):
    """Receives a signal during the update of a given step, and draws from every generator."""

    def __init__(self, at: int = -1, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.at, self.number = at, number

    def loss(self, batch, context):
        if context.training and context.step_number == self.at:
            os.kill(os.getpid(), self.number)
        return super().loss(batch, context) + 0.01 * torch.rand(()) * self.modules[0].weight.sum()


@pytest.fixture(autouse=True)
def heard():
    """Signals as in a terminal: a shell has what it starts in the background ignore SIGINT, nohup SIGHUP."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def train(out: Path, at: int = -1, number: int = signal.SIGTERM, kind: type[Stopping] = Stopping):
    torch.manual_seed(7)
    run = tiny.run_in(out)
    batches = IndexedBatches(tiny.dataset(), 5, seed=run.seed)
    valid = IndexedBatches(tiny.dataset(5, 9), 2, shuffle=False)
    return fit(run, kind(at, number), batches, valid, SETTINGS)


@pytest.mark.timeout(60)
def test_a_signal_that_comes_while_the_log_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log of several processes is a queue; its lock is held by what the signal interrupts."""
    caplog.set_level("INFO", "icectl")
    log = multiprocessing.Queue()

    class Writing(Stopping):
        def loss(self, batch, context):
            with log._notempty:
                return super().loss(batch, context)

    handler = QueueHandler(log)
    logging.getLogger("icectl").addHandler(handler)
    try:
        with pytest.raises(Interrupted, match="stopped by SIGTERM after update 6"):
            train(tmp_path, at=5, kind=Writing)
        assert log.get(timeout=30).getMessage().startswith("stopping after this update")
    finally:
        logging.getLogger("icectl").removeHandler(handler)
        log.close()
        log.join_thread()


def without_time(path: Path) -> list[dict]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in read(path)]


def test_a_signal_leaves_a_state_that_resumes_bit_equal(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(whole)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="stopped by SIGTERM after update 6") as caught:
        train(broken, at=5)
    assert signal.getsignal(signal.SIGTERM) is before
    assert caught.value.exit_code == 143
    assert "run the same command again" in caught.value.hint
    with pytest.raises(Interrupted, match="SIGINT after update 10"):
        train(broken, at=9, number=signal.SIGINT)
    train(broken)
    assert (whole / "weights.safetensors").read_bytes() == (broken / "weights.safetensors").read_bytes()
    first, second = (load_state(folder / "state.safetensors") for folder in (whole, broken))
    for state in (first, second):
        del state["seconds"]
    assert flat(first) == flat(second)
    assert without_time(whole / "log.jsonl") == without_time(broken / "log.jsonl")


def test_a_kill_loses_only_what_came_after_the_last_state(tmp_path: Path) -> None:
    """As after SIGKILL: an old state, and a log and weights that ran ahead of it."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(whole)
    with pytest.raises(Interrupted):
        train(broken, at=5)
    old = (broken / "state.safetensors").read_bytes()
    with pytest.raises(Interrupted):
        train(broken, at=11)
    (broken / "state.safetensors").write_bytes(old)
    with (broken / "log.jsonl").open("a") as log:
        log.write('{"step": 99, "half a li')
    train(broken)
    assert (whole / "weights.safetensors").read_bytes() == (broken / "weights.safetensors").read_bytes()
    assert without_time(whole / "log.jsonl") == without_time(broken / "log.jsonl")


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first = train(tmp_path)
    again = train(tmp_path, at=0)  # a single update would stop it
    assert again.steps == first.steps == 16
    assert again.best == first.best


def test_lost_weights_are_trained_again(tmp_path: Path) -> None:
    train(tmp_path)
    first = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").unlink()
    train(tmp_path)
    assert (tmp_path / "weights.safetensors").read_bytes() == first


def test_other_circumstances_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Interrupted):
        train(tmp_path, at=5)
    state = load_state(tmp_path / "state.safetensors")
    state["made_with"] = {**state["made_with"], "threads": 64, "torch": "1.0"}
    save_state(tmp_path / "state.safetensors", state)
    train(tmp_path)
    assert "threads 64 →" in caplog.text
    assert "torch 1.0 →" in caplog.text
    assert "not bit-equal" in caplog.text


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tmp_path, at=5)
    run = tiny.run_in(tmp_path)
    batches = IndexedBatches(tiny.dataset(), 5, seed=run.seed)
    with pytest.raises(DataError, match="belongs to another network") as caught:
        fit(run, tiny.Adversarial(), batches, None, SETTINGS)
    assert "--force" in caught.value.hint


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tmp_path, at=5)
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"state\.safetensors is damaged"):
        train(tmp_path)


def flat(value) -> str:
    """Any nested state as text, tensors by their bytes."""
    return json.dumps(
        value, default=lambda tensor: [str(tensor.dtype), tensor.flatten().tolist()], sort_keys=True
    )


def test_weights_carry_what_the_learner_describes(tmp_path: Path) -> None:
    train(tmp_path)
    tensors, facts = load_weights(tmp_path / "weights.safetensors")
    assert facts["kind"] == "masked"
    assert facts["training"]["monitor"] == "loss"
    tiny.Masked().modules.load_state_dict(tensors)
