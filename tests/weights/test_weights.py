"""Weights that come with a model: their card, their checksums, and the run that they become."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tomli_w
from weights.conftest import CARD

from icectl import registry, settings, stages, weights
from icectl.errors import DataError, UsageError
from icectl.testing import light
from icectl.workspace import RECORD, RUN, Workspace, read_json, sha256, write_json


@pytest.fixture
def folder(cli, tmp_path, monkeypatch) -> Path:
    """Weights of the toy model, made from a run in a workspace that is gone then."""
    monkeypatch.setenv("ICECTL_WEIGHTS", str(tmp_path / "mine"))
    monkeypatch.setenv("ICECTL_CACHE", str(tmp_path / "cache"))
    run = Path(cli("train", "toy", "--json").json["run"])
    weights.make(run, tmp_path / "made" / "words", CARD)
    shutil.rmtree("icectl-workspace")
    return tmp_path / "made" / "words"


def change(folder: Path, **values) -> None:
    path = folder / "card.toml"
    card = {**tomllib.loads(path.read_text()), **values}
    path.write_text(tomli_w.dumps({key: value for key, value in card.items() if value is not None}))


def test_a_run_becomes_weights_and_weights_become_a_run(folder):
    found = weights.find(str(folder))
    assert (found.card.name, found.card.model, found.card.licence) == ("words", "toy", "CC-BY-4.0")
    run = weights.bring(found, registry.get("toy"), Workspace.locate())
    assert read_json(run / RUN)["weights"] == "words"
    assert read_json(run / RUN)["command"] == found.card.command
    assert read_json(run / RUN)["fingerprint"] == read_json(run / RECORD)["fingerprint"]
    assert weights.bring(found, registry.get("toy"), Workspace.locate()) == run  # once


def test_a_card_without_a_licence_is_refused(folder):
    change(folder, licence=None)
    with pytest.raises(UsageError, match="'licence' is missing"):
        weights.find(str(folder))
    with pytest.raises(UsageError, match="the card: 'licence' is missing"):
        weights.make(folder, folder.with_name("b"), {k: v for k, v in CARD.items() if k != "licence"})


def test_damage_and_strangers_are_refused(folder):
    plugin, space = registry.get("toy"), Workspace.locate()
    found = weights.find(str(folder))
    (folder / "extra.py").write_text("print('run me')")
    with pytest.raises(DataError, match=r"extra\.py does not stand on the card"):
        weights.bring(found, plugin, space)
    (folder / "extra.py").unlink()
    (folder / "README.md").write_text("another")
    with pytest.raises(DataError, match=r"README\.md of the weights 'words' is damaged"):
        weights.bring(found, plugin, space)
    assert not list(space.root.glob("runs/*"))


def test_weights_of_another_model_are_refused(folder):
    space = Workspace.locate()
    found = weights.find(str(folder))
    with pytest.raises(UsageError, match="weights of toy, not of lstm"):
        weights.bring(found, registry.get("lstm"), space)


def test_weights_of_a_newer_schema_or_of_a_plugin_that_is_not_here_are_refused(folder, cli):
    whole = read_json(folder / RUN)
    for wrong, sentence, hint in (
        ({"schema": 99}, "saved under options schema 99", "install a newer"),
        ({"distribution": "icectl-elsewhere"}, "which is not installed", "pip install icectl-elsewhere"),
    ):
        write_json(folder / RUN, {**whole, **wrong})
        files = tomllib.loads((folder / "card.toml").read_text())["files"]
        change(folder, files={**files, RUN: sha256(folder / RUN)})
        refused = cli("predict", "toy", "--weights", str(folder), ok=False)
        assert (refused.code, sentence in refused.err, hint in refused.err) == (1, True, True), refused.err
        assert not list(Path("icectl-workspace").glob("runs/*"))


def test_a_plugin_ships_weights(folder, monkeypatch, tmp_path):
    import toy_plugin

    package = tmp_path / "site" / "toy_shipped"
    shutil.copytree(folder, package / "words")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(toy_plugin, "plugin", replace(toy_plugin.plugin, weights=("toy_shipped:words",)))
    registry.refresh()
    found = weights.default(registry.get("toy"))
    assert found is not None
    assert found.card.name == "words"
    assert "words" in [one.card.name for one in weights.known()]
    light.shipped_weights_hold(registry.get("toy"))
    (package / "words" / "weights.txt").write_text("flipped")
    with pytest.raises(DataError, match=r"weights\.txt of the weights 'words' is damaged"):
        light.shipped_weights_hold(registry.get("toy"))


def test_half_precision_keeps_what_it_can(tmp_path):
    import torch

    from icectl.training import load_weights, save_weights
    from icectl.weights.make import halve

    network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5))
    network[1].running_var.fill_(1e6)  # more than half precision holds
    path = save_weights(tmp_path / "w.safetensors", network, {"some": "fact"})
    halve(path)
    state, facts = load_weights(path)
    assert facts["some"] == "fact"
    assert state["0.weight"].dtype == torch.float16
    torch.testing.assert_close(state["0.weight"].float(), network[0].weight.detach(), atol=0, rtol=2**-11)
    assert state["1.running_var"].tolist() == [1e6] * 5
    with torch.no_grad():
        network[0].weight.fill_(1e6)
    with pytest.raises(DataError, match=r"0\.weight .* does not fit into half precision"):
        halve(save_weights(path, network))


def test_of_a_learner_of_several_modules_the_one_that_answers_ships(tmp_path):
    import torch

    from icectl.training import load_weights, save_weights
    from icectl.weights.make import halve

    both = torch.nn.ModuleDict({"network": torch.nn.Linear(3, 5), "mean": torch.nn.Linear(3, 5)})
    path = save_weights(tmp_path / "w.safetensors", both, {"kept": "mean"})
    halve(path)
    assert sorted(load_weights(path)[0]) == ["mean.bias", "mean.weight"]


@pytest.mark.parametrize(
    ("side", "crs", "said"),
    [(30, "EPSG:32632", None), (5, "EPSG:32632", "pixels of 5 m"), (1, None, "pixels of unknown size")],
)
def test_products_of_pixels_that_the_weights_never_saw_are_flagged(side, crs, said, tmp_path):
    import numpy as np
    from affine import Affine

    from icectl.raster import Grid, write_cog
    from icectl.stages.products import _flag_scale

    grid = Grid((8, 8), Affine(side, 0, 400_000, 0, -side, 5_200_000), crs)
    write_cog(tmp_path / "thickness.tif", np.ones((8, 8), np.float32), grid)
    warned = []
    run = SimpleNamespace(out=tmp_path, warn=warned.append)
    _flag_scale(SimpleNamespace(pixel_size=(19.0, 200.0)), run)
    assert [said in one for one in warned] == ([] if said is None else [True])
    warned.clear()
    _flag_scale(SimpleNamespace(pixel_size=None), run)
    assert warned == []


def test_the_pixels_on_a_card_reach_the_prediction(cli, monkeypatch, tmp_path):
    from icectl.cli.asked import Asked
    from icectl.cli.source import Source

    run = Path(cli("train", "toy", "--json").json["run"])
    made = weights.make(run, tmp_path / "sized", {**CARD, "pixel_size": [19.0, 200.0]})
    source = Source(weights=weights.Weights(tmp_path / "sized", made, "me"))
    asked = Asked.of("predict", registry.get("toy"), {"weights": "sized"})
    request = stages.Request(
        plugin=asked.plugin, glacier=settings.load_glacier("demo"), options={}, workspace=Workspace(tmp_path)
    )
    assert source.use(asked, request).pixel_size == (19.0, 200.0)
