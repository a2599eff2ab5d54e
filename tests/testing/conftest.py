"""The plugins under test, importable by name in spawned processes too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

QUICK = {
    "test_onnx_agrees": ("TestSnowMlp",),
    "test_stages_see_their_identity_alone": (),
    "test_one_process_equals_two": ("TestConvlstm", "TestInpaintGan"),
    "test_losses_agree_in_float32": ("TestSnowMlp", "TestSvg"),
    "test_training_learns": ("TestConvlstm", "TestFrontUnet", "TestSvg"),
    "test_evaluation_is_recomputable": ("TestConvlstm", "TestFrontUnet", "TestSvg"),
}
"""The checks that take longest, and the models of which they are not slow tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        model = item.parent.name if item.parent else ""
        if item.path.name == "test_conformance.py" and model not in QUICK.get(item.name, (model,)):
            item.add_marker(pytest.mark.slow)
