"""A run of an older options schema is evaluated by a snow model; of a task of its own: test_installed.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import world

from icectl import scaffold

UPGRADE = '''

def from_1(saved):
    """Schema 2 calls the channels of the hidden layers `channels`."""
    train = dict(saved["train"])
    train["channels"] = train.pop("width")
    return {**saved, "train": train}
'''


pytestmark = pytest.mark.slow


def versions(folder: Path) -> tuple[Path, Path]:
    """Two versions of one plugin: the second has renamed an option, and says how."""
    parents = [folder / "one", folder / "two"]
    for parent in parents:
        parent.mkdir()
    first, second = (scaffold.create("moving", "snow", parent) for parent in parents)
    descriptor = second / "icectl_moving" / "__init__.py"
    text = descriptor.read_text().replace("width: int", "channels: int")
    field = '    name="moving", task="snow",'
    assert field in text
    descriptor.write_text(
        text.replace(field, f'{field}\n    schema=2,\n    upgrades={{1: "icectl_moving:from_1"}},') + UPGRADE
    )
    for path in (second / "icectl_moving").glob("*.py"):
        path.write_text(path.read_text().replace("options.width", "options.channels"))
    return first, second


def icectl(folder: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    import os

    code = "import sys; from icectl.cli import main; sys.exit(main())"
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "ICECTL_PLUGINS": "moving=icectl_moving:plugin",
        "ICECTL_ENERGY": "off",
    }
    command = [sys.executable, "-c", code, *words, "--workspace", str(cwd / "workspace")]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


SMALL = [*world("convlstm", size=64, years=4), "--align", "none", "--patch", "16", "--updates", "3"]


def test_saved_runs_move_with_the_schema(tmp_path: Path) -> None:
    first, second = versions(tmp_path)
    trained = icectl(
        first, tmp_path, "train", "moving", "--glacier", "demo", "--width", "5", *SMALL, "--json"
    )
    assert trained.returncode == 0, trained.stderr
    run = json.loads(trained.stdout)["run"]
    scores = []
    for folder in (first, second):
        done = icectl(folder, tmp_path, "evaluate", "moving", "--run", run, "--json")
        assert done.returncode == 0, done.stderr
        scores.append(json.loads(done.stdout)["metrics"]["tables"][0]["rows"])
    assert scores[0] == scores[1]  # the same weights in a network of the same, carried-over size
