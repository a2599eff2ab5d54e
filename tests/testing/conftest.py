"""The plugins under test, importable by name in spawned processes too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

SAME_EXPORT = ("TestLstm", "TestSalstm", "TestUnet")
"""Snow models whose export differs from the ConvLSTM's by the network alone: left to the slow tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.name == "test_onnx_agrees" and item.parent and item.parent.name in SAME_EXPORT:
            item.add_marker(pytest.mark.slow)
