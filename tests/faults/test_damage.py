"""Damaged files, full disks, folders that cannot be written to: a sentence and a hint, and nothing worse."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fieldwork import OPTIONS, digests

pytestmark = pytest.mark.faults


def SLOW(value):
    return pytest.param(value, marks=pytest.mark.slow)


FILES = [
    "glaciers/demo/scenes/*/surface.tif",
    SLOW("glaciers/demo/scenes/*/stage.json"),
    SLOW("glaciers/demo/prepared/*/noisy.tif"),
    SLOW("glaciers/demo/prepared/*/stage.json"),
    "runs/field/demo/*/weights.safetensors",
    SLOW("runs/field/demo/*/state.safetensors"),
    SLOW("runs/field/demo/*/log.jsonl"),
    SLOW("runs/field/demo/*/run.json"),
    "runs/field/demo/*/stage.json",
    SLOW("runs/field/demo/*/predictions/*/clean.tif"),
    "runs/field/demo/*/evaluations/*/metrics.json",
]
"""Of these, noise and other harm is drawn in test_campaign.py."""


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished workspace, to be harmed."""
    return Path(shutil.copytree(finished, tmp_path / "workspace"))


def explained(code: int, log: str) -> None:
    """The command failed with a sentence and a hint."""
    assert code in (1, 2), log
    assert "error: " in log
    assert "Traceback" not in log, log


@pytest.mark.parametrize("pattern", FILES)
def test_a_truncated_file_is_named_or_made_again(field, finished, workspace: Path, pattern: str) -> None:
    path = next(workspace.glob(pattern))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    said = ""
    for verb in ("predict", "evaluate"):
        code, log = field.icectl(verb, "field", *OPTIONS, "--force", workspace=workspace)
        said += log
        if code:
            explained(code, log)
            assert "hint: " in log
            assert path.name in log, log
            return
    name = path.relative_to(workspace).as_posix()
    unread = {name} if path.name in ("log.jsonl", "state.safetensors") else set()  # by these verbs
    found, whole = digests(workspace), digests(finished)
    assert {k for k in whole if found.get(k) != whole[k]} <= unread, said


@pytest.mark.parametrize(
    "pattern", ["glaciers/demo/prepared/*/noisy.tif", "runs/field/demo/*/weights.safetensors"]
)
def test_a_missing_file_is_made_again(field, finished: Path, workspace: Path, pattern: str) -> None:
    next(workspace.glob(pattern)).unlink()
    code, log = field.icectl("run", "field", *OPTIONS, workspace=workspace)
    assert code == 0, log
    assert digests(workspace) == digests(finished)


class Bomb:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return (Path.touch, (self.witness,))


@pytest.mark.parametrize(
    "pattern", ["runs/field/demo/*/weights.safetensors", "runs/field/demo/*/state.safetensors"]
)
def test_a_checkpoint_with_code_is_refused_unread(
    field, workspace: Path, tmp_path: Path, pattern: str
) -> None:
    path, witness = next(workspace.glob(pattern)), tmp_path / "executed"
    path.write_bytes(pickle.dumps({"modules": Bomb(witness)}))
    verb = "predict" if "weights" in pattern else "train"
    (path.parent / "stage.json").unlink() if verb == "train" else None
    code, log = field.icectl(
        verb, "field", *OPTIONS, "--force" if verb == "predict" else "--quiet", workspace=workspace
    )
    if verb == "predict":  # what was written is known by its checksum: it is made again, and not looked into
        assert code == 0, log
        assert "training anew" in log
    else:
        explained(code, log)
        assert "is a pickle, which may hold code and is never loaded" in log
    assert not witness.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /sys, which nobody may write to")
def test_a_workspace_that_cannot_be_written_to(field, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = field.start("run", "field", *OPTIONS, workspace=Path("/sys/icectl-workspace"), log=log)
    process.join(120)
    explained(process.exitcode, log.read_text())
    assert "--workspace" in log.read_text()


@pytest.fixture
def small_disk(tmp_path: Path):
    """A real file system of 400 kB, where the machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=400k", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs rights that this process lacks")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("left", [SLOW(0), 16, SLOW(40), SLOW(80), 120, SLOW(200)])
def test_a_full_disk_is_said_and_gone_on_from(field, finished: Path, small_disk: Path, left: int) -> None:
    """The disk fills up somewhere on the way; with space again, the same command finishes."""
    workspace, ballast = small_disk / "workspace", small_disk / "ballast"
    ballast.write_bytes(b"x" * (400 - left) * 1024 if left else b"x" * 398 * 1024)
    log = small_disk.with_name("disk.log")
    process = field.start("run", "field", *OPTIONS, workspace=workspace, log=log)
    process.join(240)
    explained(process.exitcode, log.read_text())
    assert re.search("error: the disk of .* is full\nhint: free some space", log.read_text()), log.read_text()
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    code, text = process_again(field, workspace, log)
    assert code == 0, text
    assert digests(workspace) == digests(finished)


def process_again(field, workspace: Path, log: Path) -> tuple[int, str]:
    log.unlink()
    process = field.start("run", "field", *OPTIONS, workspace=workspace, log=log)
    process.join(240)
    return process.exitcode, log.read_text()
