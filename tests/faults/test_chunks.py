"""Chunks of the Zarr stores that stages write: all carry checksums, all are there, damage is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from smallest_words import words
from terminal import terminal

from icectl.errors import DataError
from icectl.raster.chunks import expect_chunks
from icectl.workspace import contents

pytestmark = pytest.mark.timeout(1800)
SLOW = [pytest.param(model, marks=pytest.mark.slow) for model in ("svg", "deeplab-xception", "inpaint-gan")]


@pytest.fixture
def icectl(monkeypatch, capfd):
    return terminal(monkeypatch, capfd)


@pytest.fixture
def workspace(evaluated, request, tmp_path, monkeypatch, capfd) -> Path:
    folder = tmp_path / "workspace"
    shutil.copytree(evaluated(request.getfixturevalue("model")), folder)
    monkeypatch.setenv("ICECTL_WORKSPACE", str(folder))
    return folder


def stores(workspace: Path) -> list[Path]:
    """The Zarr stores of format 3 in a workspace: what stages of icectl read again."""
    return sorted(p for p in workspace.rglob("*.zarr") if (p / "zarr.json").is_file())


def chunks(store: Path) -> list[Path]:
    return sorted(p for p in store.rglob("*") if p.is_file() and p.name != "zarr.json" and p.name[0] != ".")


def largest(store: Path, folder: str = "") -> Path:
    return max(chunks(store / folder), key=lambda path: path.stat().st_size)


def record_again(stage: Path) -> None:
    """Let a stage's record say that its files are as they are now, so that the store alone can tell."""
    record = json.loads((stage / "stage.json").read_text())
    record["files"] = contents(stage, record["outputs"])
    (stage / "stage.json").write_text(json.dumps(record))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("model", ["convlstm", *SLOW])
def test_every_array_carries_checksums_and_leaves_no_chunk_out(workspace, model):
    found = stores(workspace)
    assert found
    for path in (file for store in found for file in store.rglob("zarr.json")):
        about = json.loads(path.read_text())
        if about["node_type"] == "array":
            assert "crc32c" in [codec["name"] for codec in about["codecs"]], path
            grid = about["chunk_grid"]["configuration"]["chunk_shape"]
            expected = 1
            for length, step in zip(about["shape"], grid, strict=True):
                expected *= -(-length // step) if step else 0
            assert len(chunks(path.parent)) == expected, path


def refused(icectl, workspace, model, part, verb):
    """What `verb` says of a flipped bit in the store of a stage, when the stage's record knows of it."""
    store = next(path for path in stores(workspace) if part in path.parts)
    flip(largest(store))
    record_again(store.parent)
    said = icectl(verb, model, *words(model, verb), "--force", ok=False)
    assert said.code == 1
    assert f"error: {store} is damaged: a checksum differs" in " ".join(said.err.split())
    return said


@pytest.mark.parametrize("model", ["convlstm", *SLOW])
def test_a_flipped_bit_in_a_chunk_is_one_sentence_and_its_hint_works(icectl, workspace, model):
    first = icectl("evaluate", model, *words(model, "evaluate"), "--json").json["metrics"]["tables"]
    said = refused(icectl, workspace, model, "prepared", "train")
    assert "hint: run the stage that writes it again with --force" in said.err
    icectl("prepare", model, *words(model, "prepare"), "--force")
    again = icectl("evaluate", model, *words(model, "evaluate"), "--json").json["metrics"]["tables"]
    assert again == first


@pytest.mark.parametrize("model", ["svg"])
@pytest.mark.slow
def test_a_flipped_bit_in_a_prediction_is_one_sentence(icectl, workspace, model):
    refused(icectl, workspace, model, "predictions", "evaluate")


@pytest.mark.parametrize("model", ["svg"])
@pytest.mark.slow
def test_a_flipped_bit_in_the_pairs_of_format_2_is_found_before_use(icectl, workspace, model):
    """They carry no checksum of their own; the stage's record holds that of each of their files."""
    path = largest(next(workspace.rglob("velocity_pairs.zarr")))
    written = path.read_bytes()
    flip(path)
    said = icectl("predict", model, *words(model, "predict"))
    assert f"{path} is damaged, so it is made again" in " ".join(said.err.split())
    assert path.read_bytes() == written


@pytest.mark.parametrize("model", ["convlstm", *SLOW])
def test_a_missing_chunk_is_never_filled(icectl, workspace, model):
    first = icectl("evaluate", model, *words(model, "evaluate"), "--json").json["metrics"]["tables"]
    for store in stores(workspace):
        gone = largest(store)
        gone.unlink()
        with pytest.raises(DataError, match="is damaged: it is not what was written"):
            expect_chunks(store)
        shown = icectl("evaluate", model, *words(model, "evaluate"), "--force", "--json")
        assert gone.is_file(), shown.err
        assert shown.json["metrics"]["tables"] == first
