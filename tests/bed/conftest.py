"""A small training on the synthetic glacier, made once for all tests of the bed."""

from __future__ import annotations

from pathlib import Path

import pytest

from icectl import registry, stages
from icectl.run import Compute
from icectl.settings import load_glacier
from icectl.workspace import Workspace

TINY = {
    "fetch": {"world": {"size": 128, "count": 3}},
    "prepare": {"patch_size": 64, "hole_size": 24, "patches": 60,
                "minimum_relief": 50},
    "train": {"preset": "small", "updates": 3, "validate_every": 3, "batch_size": 4, "width": 8,
              "critic_width": 4, "net_size": 32, "begin": "fill"},
    "predict": {"rounds": 2},
    "evaluate": {"holes": (12, 24), "holes_each": 3},
}  # fmt: skip


def request(
    root: Path, *, compute: Compute | None = None, run: Path | None = None, **changes
) -> stages.Request:
    plugin = registry.get("inpaint-gan")
    options = {v: plugin.stages[v].model_validate({**TINY[v], **changes.get(v, {})}) for v in TINY}
    return stages.Request(
        plugin=plugin, glacier=load_glacier("demo"), options=options, workspace=Workspace(root),
        compute=compute or Compute(device="cpu"), run=run, quiet=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bed")


@pytest.fixture(scope="session")
def done(root: Path) -> stages.Outcome:
    return stages.perform(request(root), "evaluate")


@pytest.fixture(scope="session")
def prediction(root: Path, done: stages.Outcome) -> Path:
    return stages.perform(request(root), "predict").out


@pytest.fixture(scope="session")
def test_world(root: Path, done: stages.Outcome) -> Path:
    return next((root / "glaciers" / "demo" / "scenes").glob("*/test"))
