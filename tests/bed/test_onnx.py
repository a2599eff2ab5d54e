"""The paper's generator, contextual attention included, for other runtimes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icectl import registry
from icectl.onnx import export_onnx
from icectl.run import Run
from icectl.settings import load_glacier
from icectl.training import save_weights
from icectl_inpaint_gan.networks import Generator

onnxruntime = pytest.importorskip("onnxruntime")


def test_attention_is_exported(tmp_path):
    """Also for a patch with nothing known to attend to, beside one with a small hole."""
    torch.manual_seed(3)
    plugin = registry.get("inpaint-gan")
    options = plugin.stages["train"].model_validate({"preset": "paper", "width": 8, "net_size": 32})
    network = Generator(4, 8, size=32).eval()
    holder = torch.nn.ModuleDict({"generator": network})
    facts = {"options": options.model_dump(mode="json"), "kept": "generator", "share": 1.0, "range": {}}
    save_weights(tmp_path / "weights.safetensors", holder, facts)
    run = Run(
        verb="predict",
        plugin=plugin,
        glacier=load_glacier("demo"),
        out=tmp_path,
        inputs={"train": tmp_path},
    )
    (written,) = export_onnx(plugin, run, tmp_path)
    patches = torch.randn(3, 4, 32, 32)
    patches[:, -1] = 0
    patches[0, -1, 8:14, 10:20] = 1
    patches[1, -1] = 1
    with torch.no_grad():
        expected = network(patches).numpy()
    found = onnxruntime.InferenceSession(str(written.path)).run(["heights"], {"patch": patches.numpy()})[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(expected[0] - patches[0, 0].numpy()).max() > 0.1  # the hole was filled with something
