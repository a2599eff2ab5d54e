"""Every model trains and predicts in the narrowest precision of a processor, by the command line."""

from __future__ import annotations

import pytest
from smallest_words import MODELS, words
from terminal import terminal


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """One for all: models of a task share what was fetched and prepared."""
    return tmp_path_factory.mktemp("precision") / "workspace"


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_model_works_in_half_precision(monkeypatch, capfd, workspace, model):
    """With bf16-true a data set made its arrays in a type that NumPy has not: an unexpected TypeError."""
    icectl = terminal(monkeypatch, capfd)
    monkeypatch.setenv("ICECTL_WORKSPACE", str(workspace))
    chosen = ("--precision", "bf16-true", "--device", "cpu")
    trained = icectl("train", model, *words(model, "train"), *chosen, "--json").json
    assert icectl("predict", model, *words(model, "predict"), *chosen, "--json").json["folder"]
    assert trained["run"]
