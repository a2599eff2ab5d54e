"""Checkpoints are data: round trips are exact, and everything else is refused unread."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from torch import nn

from icectl.errors import DataError, WorkError
from icectl.training import load_weights, read_metadata, save_weights
from icectl.training.checkpoint import load_state, save_state


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return (Path.touch, (self.witness,))


def test_weights_round_trip_with_metadata(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    save_weights(tmp_path / "w.safetensors", network, {"bands": ["green", "swir16"], "mean": 0.1})
    tensors, facts = load_weights(tmp_path / "w.safetensors")
    assert facts == {"bands": ["green", "swir16"], "mean": 0.1}
    assert read_metadata(tmp_path / "w.safetensors") == facts
    for name, value in network.state_dict().items():
        assert torch.equal(tensors[name], value)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]  # nothing left aside


def test_tied_and_strided_weights_are_saved(tmp_path: Path) -> None:
    network = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    network["b"].weight = network["a"].weight
    network["a"].bias.data = torch.arange(6.0)[::2]
    save_weights(tmp_path / "w.safetensors", network)
    tensors, _ = load_weights(tmp_path / "w.safetensors")
    assert torch.equal(tensors["a.weight"], tensors["b.weight"])
    assert tensors["a.bias"].tolist() == [0.0, 2.0, 4.0]


def test_state_round_trip_is_exact(tmp_path: Path) -> None:
    state = {
        "step": 3,
        "best": 0.1 + 0.2,
        "worst": float("inf"),
        "none": None,
        "groups": [{"betas": (0.9, 0.999), "lr": 1e-3, "flags": [True, False]}],
        "state": {0: {"exp_avg": torch.rand(2, 3, dtype=torch.float64)}, 1: {}},
        "rng": torch.get_rng_state(),
        "__odd": {"__tensor__": "not a tensor"},
    }
    back = load_state(save_state(tmp_path / "s.safetensors", state))
    assert back["groups"] == state["groups"]
    assert isinstance(back["groups"][0]["betas"], tuple)
    assert back["best"] == state["best"]
    assert back["worst"] == float("inf")
    assert back["__odd"] == state["__odd"]
    assert torch.equal(back["state"][0]["exp_avg"], state["state"][0]["exp_avg"])
    assert torch.equal(back["rng"], state["rng"])


def test_an_object_is_not_a_state(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold PosixPath"):
        save_state(tmp_path / "s.safetensors", {"path": tmp_path})


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_is_refused_and_not_executed(tmp_path: Path, save) -> None:
    path, witness = tmp_path / "weights.safetensors", tmp_path / "executed"
    save({"weight": Bomb(witness)}, path)
    for load in (load_weights, load_state, read_metadata):
        with pytest.raises(DataError, match="is a pickle, which may hold code and is never loaded"):
            load(path)
    assert not witness.exists()


@pytest.mark.parametrize("keep", [0, 5, 8, 60, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = save_weights(tmp_path / "w.safetensors", nn.Linear(40, 40), {"a": 1})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"w\.safetensors is") as caught:
        load_weights(path)
    assert caught.value.hint


def test_a_huge_header_is_refused_without_reading(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_weights(path)


def test_other_schemas_and_other_writers_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = save_state(tmp_path / "state.safetensors", {"step": 1})
    with pytest.raises(DataError, match="is of schema 'icectl-state-1'"):
        load_weights(state)
    save_file(
        {"w": torch.zeros(1)}, tmp_path / "foreign.safetensors", metadata={"made": json.dumps("elsewhere")}
    )
    with pytest.raises(DataError, match="was not written by icectl"):
        load_weights(tmp_path / "foreign.safetensors")


def test_a_missing_file_says_train_first(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file") as caught:
        load_weights(tmp_path / "weights.safetensors")
    assert caught.value.hint == "train first"


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_weights(tmp_path / "w.safetensors", nn.Linear(2, 2), {"version": 1})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WorkError, match=r"the disk of .* is full") as caught:
        save_weights(path, nn.Linear(2, 2), {"version": 2})
    assert "space" in caught.value.hint
    assert load_weights(path)[1] == {"version": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["w.safetensors"]
