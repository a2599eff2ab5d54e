"""The loop: when it stops, what it keeps, what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch
from torch import nn

from icectl.errors import DataError, UsageError, WorkError
from icectl.run import Run
from icectl.training import FitSettings, IndexedBatches, SingleOptimizer, fit, launch, load_weights
from icectl.training.loop import Loop
from icectl.training.record import read


class Scripted(SingleOptimizer):
    """One weight that counts updates; validation scores come from a list."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__(nn.Linear(1, 1, bias=False), learning_rate=0.0)
        self.scores = scores
        nn.init.zeros_(self.modules.weight)

    def configure(self):
        return {"main": torch.optim.SGD(self.modules.parameters(), lr=1.0)}

    def loss(self, batch, context):
        return -self.modules.weight.sum()  # each update adds one

    def validate(self, batches, context):
        assert not self.modules.training
        assert len(list(batches)) == 2
        return {"loss": self.scores.pop(0), "other": 1.0}


def train(out: Path, learner, valid: bool = True, **settings):
    data = [{"x": torch.zeros(1)} for _ in range(6)]
    held = IndexedBatches(data[:4], 2, shuffle=False) if valid else None
    settings = FitSettings(**{"epochs": 6, **settings})
    return fit(tiny.run_in(out), learner, IndexedBatches(data, 2), held, settings)


def weight(out: Path) -> float:
    return float(load_weights(out / "weights.safetensors")[0]["weight"])


def test_the_best_weights_are_kept_and_patience_ends_it(tmp_path: Path) -> None:
    result = train(tmp_path, Scripted([3, 1, 2, 2, 0]), patience=2)
    assert (result.stopped, result.best, result.best_step, result.epochs) == ("patience", 1, 6, 4)
    assert result.scores == {"loss": 1, "other": 1.0}
    assert weight(tmp_path) == 6  # after two epochs of three updates


def test_higher_may_be_better(tmp_path: Path) -> None:
    result = train(tmp_path, Scripted([3, 5, 2]), epochs=3, better="higher")
    assert (result.stopped, result.best, weight(tmp_path)) == ("epochs", 5, 6)


def test_validation_by_updates(tmp_path: Path) -> None:
    result = train(
        tmp_path, Scripted([3, 2, 4]), epochs=None, max_updates=5, every="update", validate_every=2
    )
    assert (result.stopped, result.steps, result.best, weight(tmp_path)) == ("max_updates", 5, 2, 4)


def test_without_validation_the_last_weights_are_kept(tmp_path: Path) -> None:
    result = train(tmp_path, Scripted([]), valid=False, epochs=2)
    assert (result.best, result.steps, weight(tmp_path)) == (None, 6, 6)


def test_a_score_that_is_not_finite_is_never_the_best(tmp_path: Path) -> None:
    result = train(tmp_path, Scripted([float("nan"), 2, float("nan")]), epochs=3)
    assert (result.best, weight(tmp_path)) == (2, 6)


def test_an_unknown_monitor_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'iou' is not among") as caught:
        train(tmp_path, Scripted([1]), monitor="iou")
    assert "loss, other" in caught.value.hint


def test_a_training_needs_a_length_and_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a length"):
        FitSettings()

    class Empty:
        def __len__(self) -> int:
            return 0

    with pytest.raises(DataError, match="no whole training batch"):
        fit(tiny.run_in(tmp_path), Scripted([]), Empty(), None, FitSettings(epochs=1))


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path: Path) -> None:
    class Exploding(Scripted):
        def loss(self, batch, context):
            return self.modules.weight.sum() * (float("inf") if context.step_number == 3 else 1.0)

    with pytest.raises(WorkError, match="train/loss is not finite at update 4") as caught:
        train(tmp_path, Exploding([9] * 6), log_every=1)
    assert "learning rate" in caught.value.hint


def test_gradients_are_clipped(tmp_path: Path) -> None:
    train(tmp_path / "value", Scripted([1]), epochs=1, clip_value=0.25)
    assert weight(tmp_path / "value") == 0.75
    train(tmp_path / "norm", Scripted([1]), epochs=1, clip_norm=0.5)
    assert weight(tmp_path / "norm") == pytest.approx(1.5, abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"epochs": 30}, 30),  # of three updates
        ({"epochs": 60, "max_updates": 130}, 70),
        ({"epochs": 30, "max_updates": 130}, 30),
        ({"max_updates": 140}, 80),
    ],
)
def test_the_progress_shown_is_of_the_updates_that_are_left(
    tmp_path: Path, monkeypatch, settings, left
) -> None:
    shown = []
    monkeypatch.setattr(Run, "progress", lambda run, title, total=None: shown.append((title, total)))
    data = IndexedBatches([{"x": torch.zeros(1)} for _ in range(6)], 2)
    loop = Loop(tiny.run_in(tmp_path), Scripted([]), data, None, FitSettings(**settings))
    loop.position.step = 60
    loop._progress()
    assert shown == [("training", left)]


def test_the_log_holds_every_second_update(tmp_path: Path) -> None:
    run = tiny.run_in(tmp_path)
    fit(run, tiny.Masked(), *tiny.batches(run), FitSettings(epochs=2, log_every=2))
    lines = read(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines] == [2, 4, 4, 6, 8, 8]
    assert [line["step"] for line in lines if "valid/loss" in line] == [4, 8]
    assert [line["learning_rate/main"] for line in lines][-1] == pytest.approx(0.01 * 0.99**8)


def test_training_learns_and_notes_what_it_did(tmp_path: Path) -> None:
    run = tiny.run_in(tmp_path)
    result = launch(tiny.train_masked, run, FitSettings(epochs=30))
    first = next(line["valid/loss"] for line in read(tmp_path / "log.jsonl") if "valid/loss" in line)
    assert result.best is not None
    assert result.best < 0.5 * first
    assert run.notes["training"]["steps"] == 120
    assert run.notes["training"]["device"] == "cpu"


def test_launch_is_repeatable_for_a_seed(tmp_path: Path) -> None:
    settings = FitSettings(epochs=2)
    weights = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        launch(tiny.train_masked, tiny.run_in(tmp_path / name, seed=seed), settings)
        weights.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


class Pooled(SingleOptimizer):
    """Batch normalisation of one value a channel, as encoders have where a crop has shrunk to a pixel."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(2)), learning_rate=0.1)

    def loss(self, batch, context):
        return context.mean(self.modules(batch["x"]))


def test_one_sample_of_one_value_a_channel_is_refused_and_the_hint_works(tmp_path: Path) -> None:
    data = tiny.dataset(4)
    with pytest.raises(UsageError, match="needs more than one sample of so small a crop") as refused:
        fit(tiny.run_in(tmp_path / "a"), Pooled(), IndexedBatches(data, 1), None, FitSettings(epochs=1))
    assert refused.value.hint == "raise --batch-size to 2 or more"
    fit(tiny.run_in(tmp_path / "b"), Pooled(), IndexedBatches(data, 2), None, FitSettings(epochs=1))
