"""ONNX: the exported network computes what torch computes, or is not kept."""

from __future__ import annotations

import pytest
import torch

from icectl import registry
from icectl.errors import UsageError, WorkError
from icectl.onnx import export_onnx
from icectl.run import Run
from icectl.settings import load_glacier
from icectl.training import save_weights

pytest.importorskip("onnxruntime")


@pytest.fixture
def run(tmp_path):
    """A run folder with an untrained ConvLSTM in it."""
    plugin = registry.get("convlstm")
    options = plugin.stages["train"]()
    network = registry.load_model(plugin).forecaster(options)
    facts = {"options": options.model_dump(mode="json"), "cube": {}, "seed": 0}
    save_weights(tmp_path / "weights.safetensors", network, facts)
    return Run(
        verb="predict", plugin=plugin, glacier=load_glacier("demo"), out=tmp_path, inputs={"train": tmp_path}
    )


def test_exported_network_agrees_with_torch(run, tmp_path):
    assert export_onnx(run.plugin, run, tmp_path / "model.onnx") <= 1e-4
    assert (tmp_path / "model.onnx").stat().st_size > 10_000


def test_a_network_that_does_not_agree_is_not_kept(run, tmp_path, monkeypatch):
    class Fickle(torch.nn.Module):
        def forward(self, x):
            return x * (1.0 if torch.onnx.is_in_onnx_export() else 2.0)

    monkeypatch.setattr(
        type(registry.load_model(run.plugin)), "onnx", lambda self, run: (Fickle(), (torch.ones(1, 2),))
    )
    with pytest.raises(WorkError, match="differs"):
        export_onnx(run.plugin, run, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_model_that_offers_no_network_is_named(run, tmp_path, monkeypatch):
    monkeypatch.delattr("icectl.tasks.snow.model.SnowModel.onnx")
    with pytest.raises(UsageError, match="does not export to ONNX"):
        export_onnx(run.plugin, run, tmp_path / "model.onnx")
