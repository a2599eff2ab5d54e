"""The plugins under test, importable by name in spawned processes too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

OTHERS = ("TestConvlstm", "TestEnsemble", "TestFrontUnet", "TestLstm", "TestSalstm", "TestUnet")
"""Models that share fetch, prepare and export with another one of their task: these checks are slow tests."""

SHARED = ("test_onnx_agrees", "test_stages_see_their_identity_alone", "test_losses_agree_in_float32")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.name in SHARED and item.parent and item.parent.name in OTHERS:
            item.add_marker(pytest.mark.slow)
