"""The mean of several models as a model: its arithmetic, its members, its files, and what it refuses."""

from __future__ import annotations

import json
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr
from worlds import world

from icectl import registry, stages
from icectl.settings import load_glacier
from icectl.splits import TRAIN
from icectl.tasks.snow.split import split
from icectl.training import load_weights
from icectl.workspace import Workspace
from icectl_ensemble import plugin

plan_module = import_module("icectl.stages.plan")
TINY = {"patch": 16, "stride": 8, "updates": 4, "epochs": 4, "batch_size": 4, "validate_every": 2}


def train(make_run, name, root, **options):
    """Train a model with those that it reads; returns the model and the run of its training."""
    described = registry.get(name)
    model = registry.resolve(described.model)()
    run = make_run(described, "train", {**TINY, **options}, root=root)
    for k, (member, given) in enumerate(run.options["train"].members()):
        folder = root / f"{k}-{member}"
        folder.mkdir()
        (folder / "prepare").symlink_to(root / "prepare")
        _, its = train(make_run, member, folder, **given)
        run.inputs[f"member-{k}"] = its.out
    model.train(run, run.options["train"])
    return model, run


@pytest.fixture
def cube(make_cube):
    height = np.linspace(0, 1, 96)[:, None] + 0.1 * np.random.default_rng(0).standard_normal((96, 80))
    masks = [np.where(height > line, 0.4 + 0.2 * height, 0) for line in (0.1, 0.3, 0.8, 0.5) * 2]
    return make_cube(np.stack(masks).clip(0, 1).astype("f4"))


def test_an_ensemble_of_one_is_its_member(cube, make_run, tmp_path):
    _, run = train(make_run, "ensemble", tmp_path, member=("unet",), draws=1)
    state, facts = load_weights(run.out / "weights.safetensors")
    alone, _ = load_weights(tmp_path / "0-unet" / "train" / "weights.safetensors")
    assert set(state) == {f"members.0.{name}" for name in alone}
    for name, tensor in alone.items():
        torch.testing.assert_close(state[f"members.0.{name}"], tensor)
    assert [(member["name"], member["options"]["patch"]) for member in facts["members"]] == [("unet", 16)]


def test_mean_and_spread_are_those_of_the_members(cube, make_run, tmp_path):
    model, run = train(make_run, "ensemble", tmp_path, member=("unet", "snow-mlp"), draws=2)
    network, facts = model.load(run.at(inputs={"train": run.out}))
    assert [told["name"] for told in facts["members"]] == ["unet", "unet", "snow-mlp", "snow-mlp"]
    assert [told["options"]["draw"] for told in facts["members"]] == [0, 1, 0, 1]
    past, season, phase = torch.rand(2, 4, 16, 16), torch.tensor([[0, 1, 2, 3]] * 2), torch.rand(2, 4)
    with torch.inference_mode():
        each = np.stack([member(past, season, phase).numpy() for member in network.members])
        got = network(past, season, phase).numpy()
    assert np.abs(each[0] - each[1]).max() > 1e-4  # two draws of one network differ
    np.testing.assert_allclose(got[:, :4], each.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(got[:, 4:], each.std(axis=0), atol=1e-5)

    later = make_run(plugin, "predict", {**TINY, "member": ("unet", "snow-mlp"), "draws": 2})
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


def test_a_model_that_is_named_again_is_trained_again():
    """One training counted twice would be no other mean, and less spread."""
    kind = plugin.stages["train"]
    found = kind(member=("unet", "snow-mlp", "u-net"), draws=2, draw=3).members()
    assert [(registry.get(name).name, given["draw"]) for name, given in found] == [
        ("unet", 3), ("unet", 4), ("snow-mlp", 3), ("snow-mlp", 4), ("unet", 5), ("unet", 6),
    ]  # fmt: skip


def test_the_split_of_an_ensemble_trains_on_all_that_its_members_do():
    """The audit of a test counts by it what of the test was seen in training."""
    options, cube = plugin.stages["train"](), SimpleNamespace(shape=(8, 800, 400))
    own = split(cube, options, 0).windows == TRAIN
    for name, given in options.members():
        learnt = split(cube, registry.get(name).stages["train"](**given), 0).windows == TRAIN
        assert learnt.sum() == 1856
        assert own[learnt].all()


WORLD = world("unet", years=3, size=64)
SMALL = ("--glacier=demo", *WORLD, "--months=3", "--align=none", "--patch=16", "--stride=8")
TINY_RUN = (*SMALL, "--updates=2", "--validate-every=1", "--batch-size=4")


def test_members_are_trained_once_and_decide_the_identity(icectl, tmp_path):
    made = icectl("train", "ensemble", "--member=unet", "--draws=1", *TINY_RUN)
    assert "train unet first" in made.err
    alone = icectl("train", "unet", *TINY_RUN)
    assert "train: up to date" in alone.err
    steps = icectl("train", "ensemble", "--member=unet", "--draws=2", *TINY_RUN, "--dry-run", "--json").json[
        "steps"
    ]
    assert [(step["stage"], step["model"], step["up_to_date"]) for step in steps] == [
        ("fetch", "ensemble", True),
        ("prepare", "ensemble", True),
        ("train", "unet", True),
        ("train", "unet", False),
        ("train", "ensemble", False),
    ]


def test_other_code_of_a_member_is_another_ensemble(tmp_path, monkeypatch):
    def folder():
        described = registry.get("ensemble")
        options = {verb: kind() for verb, kind in described.stages.items()}
        options["train"] = described.stages["train"](member=("snow-mlp", "unet"))
        request = stages.Request(
            plugin=described, glacier=load_glacier("demo"), options=options, workspace=Workspace(tmp_path)
        )
        return stages.plan(request, "train")[-1].out

    before, code_of = folder(), plan_module.code_of
    assert folder() == before
    monkeypatch.setattr(
        plan_module, "code_of", lambda p, v: {**code_of(p, v), "edited": (p.name, v) == ("unet", "train")}
    )
    changed = folder()
    monkeypatch.setattr(plan_module, "code_of", lambda p, v: {**code_of(p, v), "edited": False})
    assert changed != folder()


def test_a_member_that_fails_is_named(icectl, monkeypatch):
    from icectl_unet.network import UNet

    forward = UNet.forward
    monkeypatch.setattr(UNet, "forward", lambda self, *given: forward(self, *given) * float("nan"))
    failed = icectl("train", "ensemble", "--member=unet", "--draws=2", *TINY_RUN, ok=False)
    assert failed.code != 0
    assert "needs fetch, prepare, 2 × train unet first: doing that now" in failed.err
    assert "the member 'unet' could not be trained" in failed.err
    assert "is not finite at update" in failed.err
    assert "leave it out" in failed.err


@pytest.mark.parametrize("name", ["svg", "ensemble"])
def test_what_cannot_be_a_member_is_refused(icectl, name):
    refused = icectl("train", "ensemble", f"--member={name}", "--glacier=demo", ok=False)
    assert f"'{name}' cannot be a member of 'ensemble'" in refused.err
    assert "unet" in icectl("train", "ensemble", "--member=unnet", "--glacier=demo", ok=False).err


OTHER_WINDOWS = """
from dataclasses import replace

from icectl.tasks.snow import stages
from icectl_unet import UNetTrain
from icectl_unet import plugin as unet


class Train(UNetTrain):
    past: int = 3
    future: int = 2
    patch: int = 24
    split: str = "paper"
    guides: tuple[str, ...] = ("flags", "terrain")


plugin = replace(unet, name="other-windows", aliases=(), upgrades={}, schema=1, stages=stages(Train))
"""


def test_a_member_of_other_windows_learns_from_those_of_the_ensemble(icectl, monkeypatch, tmp_path, request):
    """They would not add up; and where a member were split otherwise, it would learn from the test."""
    (tmp_path / "other_windows.py").write_text(OTHER_WINDOWS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ICECTL_PLUGINS", "other-windows=other_windows:plugin")
    request.addfinalizer(registry.refresh)
    registry.refresh()
    asked = ("--member=unet", "--member=other-windows", "--draws=1", *TINY_RUN)
    icectl("evaluate", "ensemble", *asked)
    (scores,) = tmp_path.glob("icectl-workspace/runs/ensemble/demo/*/evaluations/*/metrics.json")
    found = json.loads(scores.read_text())
    assert found["tables"][0]["rows"][0]["name"] == "ensemble"
    assert found["details"]["audit"]["shared with training"] == 0
    (weights,) = tmp_path.glob("icectl-workspace/runs/other-windows/demo/*/weights.safetensors")
    facts = load_weights(weights)[1]
    kept = {name: facts["options"][name] for name in ("past", "future", "patch", "split")}
    assert kept == {"past": 4, "future": 4, "patch": 16, "split": "blocks"}
    assert facts["audit"] == found["details"]["audit"]
