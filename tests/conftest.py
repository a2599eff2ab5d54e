"""Shared fixtures: real data beside the checkout, single-threaded torch, a clean environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clock import pytest_runtest_setup, pytest_terminal_summary  # noqa: F401  hooks

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("ICECTL_ENERGY", "estimate")  # the same on every machine

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real measurements; tests that use it carry the mark `realdata`."""
    if not SHARED.is_dir():
        pytest.skip("the real measurements (../shared/data) are not here")
    return SHARED


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep a person's own settings, weights and workspace out of the tests."""
    for kind in ("CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path_factory.mktemp(kind.lower())))
    monkeypatch.setenv("ICECTL_ENERGY", "estimate")
    for name in ("ICECTL_WORKSPACE", "ICECTL_PLUGINS", "ICECTL_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Two cores are shared by parallel workers: one thread each is faster and repeatable."""
    import torch

    torch.set_num_threads(1)
