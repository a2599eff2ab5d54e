"""ONNX: what is written computes what torch computes, at other sizes too, or is not kept."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from icectl import registry
from icectl.contract import OnnxNetwork
from icectl.errors import UsageError, WorkError
from icectl.onnx import export_onnx
from icectl.run import Run
from icectl.settings import load_glacier

onnxruntime = pytest.importorskip("onnxruntime")


class Sum(nn.Module):
    """Two inputs of one batch; a weight under spectral norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2))

    def forward(self, x, chosen):
        return self.layer(x), x.gather(1, chosen)


class Fickle(nn.Module):
    """Computes something else when it is exported."""

    def forward(self, x):
        return x * (1.0 if torch.onnx.is_in_onnx_export() else 2.0)


class OnlyTwo(nn.Module):
    """Says that batches may differ, and answers to one only."""

    def forward(self, x):
        return x + torch.ones(2, 1) if len(x) == 2 else x


class Unknown(nn.Module):
    """Needs an operator that ONNX lacks."""

    def forward(self, x):
        return torch.linalg.eigvalsh(x @ x.T)


def one(module: nn.Module, **more) -> list[OnnxNetwork]:
    return [OnnxNetwork(module=module, inputs={"x": torch.ones(1, 2)}, **more)]


@pytest.fixture
def offer(toy, tmp_path, monkeypatch):
    """Give the toy model networks, and export them."""

    def export(networks) -> list:
        import toy_plugin

        monkeypatch.setattr(toy_plugin.Toy, "onnx", lambda self, run: networks, raising=False)
        plugin = registry.get("toy")
        run = Run(verb="predict", plugin=plugin, glacier=load_glacier("demo"), out=tmp_path)
        return export_onnx(plugin, run, tmp_path)

    return export


def test_other_sizes_several_inputs_and_spectral_norm(offer, tmp_path):
    torch.manual_seed(1)
    module = Sum().eval()
    inputs = {"x": torch.randn(1, 3), "chosen": torch.tensor([[2, 0]])}
    axes = {name: {0: "batch"} for name in inputs}
    network = OnnxNetwork(
        module=module, inputs=inputs, outputs=("y", "z"), axes=axes, name="sum", note="Adds."
    )
    (written,) = offer([network])
    assert written.path == tmp_path / "sum.onnx"
    assert written.line.startswith("- `sum.onnx`: `x` (batch, 3), `chosen` (batch, 2) to `y`, `z`;")
    assert written.line.endswith("Adds.")
    session = onnxruntime.InferenceSession(str(written.path))
    assert [entry.shape[0] for entry in session.get_inputs()] == ["batch", "batch"]
    x, chosen = torch.randn(7, 3), torch.randint(0, 3, (7, 2))
    with torch.no_grad():
        expected = module(x, chosen)
    found = session.run(["y", "z"], {"x": x.numpy(), "chosen": chosen.numpy()})
    for theirs, ours in zip(expected, found, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)
    assert nn.utils.parametrize.is_parametrized(module.layer)  # the model itself is left alone


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (one(Fickle()), "network 'model' differs from the original by 0.5"),
        (one(OnlyTwo(), axes={"x": {0: "batch"}}), "'model' of 'toy' cannot be written as ONNX"),
        (one(Unknown(), name="odd"), "'odd' of 'toy' cannot be written as ONNX"),
    ],
)
def test_a_network_that_does_not_agree_is_not_kept(offer, tmp_path, networks, words):
    with pytest.raises(WorkError, match=words) as raised:
        offer(networks)
    assert raised.value.hint
    assert "\n" not in raised.value.message
    assert not list(tmp_path.glob("*.onnx*"))


def test_a_model_that_offers_no_network_is_named(offer):
    with pytest.raises(UsageError, match="'toy' does not export to ONNX"):
        offer([])


def test_a_missing_runtime_is_named(offer, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(UsageError, match="onnxruntime") as raised:
        offer(one(nn.Identity()))
    assert raised.value.hint == "pip install 'icectl[onnx]'"


def test_export_holds_networks_and_says_so_on_the_card(cli, tmp_path, monkeypatch):
    import toy_plugin

    run = Path(cli("train", "toy", "--json").json["run"])
    refused = cli("export", run.name, "--onnx", "--out", "toy.zip", ok=False)
    assert (refused.code, "export it without --onnx" in refused.err) == (2, True)
    assert not (tmp_path / "toy.zip").exists()

    networks = one(nn.Linear(2, 3), axes={"x": {0: "batch"}}, note="Words in, counts out.")
    monkeypatch.setattr(toy_plugin.Toy, "onnx", lambda self, run: networks, raising=False)
    before = sorted(run.rglob("*"))
    shown = cli("export", run.name, "--onnx", "--out", "toy.zip")
    assert "model.onnx agrees with torch to" in shown.err
    with zipfile.ZipFile(tmp_path / "toy.zip") as archive:
        assert "model.onnx" in archive.namelist()
        card = archive.read("README.md").decode()
    assert "`model.onnx`: `x` (batch, 2) to `output`" in card
    assert "Words in, counts out." in card
    assert sorted(run.rglob("*")) == before


def test_networks_are_apart_by_their_largest_value_where_that_is_above_one() -> None:
    from icectl.onnx import apart

    assert apart(torch.tensor([0.5, 0.1]), torch.tensor([0.5, 0.102])) == pytest.approx(0.002, rel=1e-3)
    assert apart(torch.tensor([1000.0, -4000.0]), torch.tensor([1002.0, -4000.0])) == pytest.approx(5e-4)
