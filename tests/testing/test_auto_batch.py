"""``--batch-size auto`` in every task: what fits is found, noted, trained with, and kept by the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from icectl import registry
from icectl.testing import Subject
from icectl.training import autobatch
from icectl.training.context import Context
from icectl.workspace import read_json


@pytest.fixture
def small_device(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A device on which three samples fit; returns the sizes of all batches that were put there."""
    sizes: list[int] = []
    plain = Context.put

    def put(self, batch):
        sizes.append(len(batch["index"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return plain(self, batch)

    monkeypatch.setattr(Context, "put", put)
    monkeypatch.setattr(autobatch, "UPDATES_AN_EPOCH", 1)  # the smallest data sets hold few samples
    return sizes


SLOW = [pytest.param(model, marks=pytest.mark.slow) for model in ("lstm", "svg", "inpaint-gan")]


@pytest.mark.parametrize("model", ["front-unet", *SLOW])
def test_auto_finds_what_fits(model: str, tmp_path: Path, small_device: list[int]) -> None:
    subject = Subject(registry.get(model), tmp_path)
    run = subject.run("train", "train", subject.prepared, batch_size="auto", updates=2)
    assert run.options["train"].batch_size == 0
    subject.perform(run)
    assert run.notes["batch_size"] == 3
    assert read_json(run.out / autobatch.KEPT) == {"batch_size": 3}
    assert max(small_device) > 3
    assert (run.out / "weights.safetensors").is_file()

    tried = len(small_device)
    (run.out / "state.safetensors").unlink()
    again = subject.run("train", "train", subject.prepared, batch_size="auto", updates=2)
    subject.perform(again)
    assert again.notes["batch_size"] == 3
    assert max(small_device[tried:]) <= 3  # nothing was tried: the run goes on as it began
