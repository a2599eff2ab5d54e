"""The mean of several models as a model: its arithmetic, its members, its files, and what it refuses."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr

from icectl.errors import UsageError, WorkError
from icectl.training import load_weights
from icectl_ensemble import plugin
from icectl_ensemble.network import EnsembleModel

TINY = {"patch": 16, "stride": 8, "updates": 4, "epochs": 4, "batch_size": 4, "validate_every": 2}


def train(make_run, name, root, **options):
    described = import_module(f"icectl_{name}").plugin
    module, kind = described.model.split(":")
    model = getattr(import_module(module), kind)()
    run = make_run(described, "train", {**TINY, **options}, root=root)
    model.train(run, run.options["train"])
    return model, run


@pytest.fixture
def cube(make_cube):
    height = np.linspace(0, 1, 96)[:, None] + 0.1 * np.random.default_rng(0).standard_normal((96, 80))
    masks = [np.where(height > line, 0.4 + 0.2 * height, 0) for line in (0.1, 0.3, 0.8, 0.5) * 2]
    return make_cube(np.stack(masks).clip(0, 1).astype("f4"))


def test_an_ensemble_of_one_is_its_member(cube, make_run, tmp_path):
    _, alone = train(make_run, "unet", tmp_path)
    states = [load_weights(alone.out / "weights.safetensors")[0]]
    (tmp_path / "together").mkdir()
    (tmp_path / "together" / "prepare").symlink_to(tmp_path / "prepare")
    _, together = train(make_run, "ensemble", tmp_path / "together", member=("unet",))
    state, facts = load_weights(together.out / "weights.safetensors")
    assert set(state) == {f"members.0.{name}" for name in states[0]}
    for name, tensor in states[0].items():
        torch.testing.assert_close(state[f"members.0.{name}"], tensor)
    assert [member["name"] for member in facts["members"]] == ["unet"]
    assert facts["members"][0]["options"]["patch"] == 16


def test_mean_and_spread_are_those_of_the_members(cube, make_run, tmp_path):
    model, run = train(make_run, "ensemble", tmp_path, member=("unet", "convlstm"), draws=2)
    network, facts = model.load(run.at(inputs={"train": run.out}))
    assert [told["name"] for told in facts["members"]] == ["unet", "unet", "convlstm", "convlstm"]
    past, season, phase = torch.rand(2, 4, 16, 16), torch.tensor([[0, 1, 2, 3]] * 2), torch.rand(2, 4)
    with torch.inference_mode():
        each = np.stack([member(past, season, phase).numpy() for member in network.members])
        got = network(past, season, phase).numpy()
    assert np.abs(each[0] - each[1]).max() > 1e-4  # two draws of one network differ
    np.testing.assert_allclose(got[:, :4], each.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(got[:, 4:], each.std(axis=0), atol=1e-6)

    later = make_run(plugin, "predict", {**TINY, "member": ("unet", "convlstm")})
    model.predict(later, later.options["predict"])
    with rasterio.open(later.out / "forecast_2015-01-01.tif") as tif:
        mean = tif.read()
    with rasterio.open(later.out / "forecast_2015-01-01_spread.tif") as tif:
        spread, tags = tif.read(), tif.tags()
    assert "standard deviation" in tags["quantity"]
    assert mean.shape == spread.shape == (4, 96, 80)
    assert 0 < spread.mean() < 0.5
    with xr.open_zarr(later.out / "forecast_2015-01-01.zarr", consolidated=False) as store:
        np.testing.assert_array_equal(store["spread"].values, spread)
        np.testing.assert_array_equal(store["snow"].values, mean)
    scored = make_run(plugin, "evaluate", {**TINY, "bootstrap": 20})
    assert model.evaluate(scored, scored.options["evaluate"]).tables[0].rows[0].name == "ensemble"


def test_a_member_that_fails_is_named(cube, make_run, tmp_path, monkeypatch):
    from icectl_unet.network import UNet

    forward = UNet.forward
    monkeypatch.setattr(UNet, "forward", lambda self, *given: forward(self, *given) * float("nan"))
    with pytest.raises(WorkError, match=r"loss of 2 \(unet\) is not finite at update"):
        train(make_run, "ensemble", tmp_path, member=("convlstm", "unet"))


@pytest.mark.parametrize("name", ["svg", "ensemble"])
def test_what_cannot_be_a_member_is_refused(name):
    with pytest.raises(UsageError, match=f"'{name}' cannot be a member"):
        EnsembleModel().build(plugin.stages["train"](member=(name,)), {})
    with pytest.raises(UsageError, match="unnet") as error:
        EnsembleModel().build(plugin.stages["train"](member=("unnet",)), {})
    assert "unet" in error.value.hint
