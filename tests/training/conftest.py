"""Tiny learners that spawned processes can import, and a Run to train in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "helpers"))  # spawned processes inherit the path


@pytest.fixture(autouse=True)
def _plain_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICECTL_ENERGY", "estimate")
