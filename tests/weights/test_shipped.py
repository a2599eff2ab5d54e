"""The weights that ship: whole, licensed, small, and made from data that allow it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from icectl import registry, weights
from icectl.errors import UsageError
from icectl.workspace import RECORD, RUN, Workspace, read_json, run_of

ROOT = Path(__file__).parent.parent.parent
SHIPPED = sorted(path.parent for path in (ROOT / "icectl" / "weights").glob(f"*/{weights.CARD}"))


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "make_weights", ROOT / "benchmarks" / "studies" / "make_weights.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_weights_that_ship_are_whole_and_announced(folder, tmp_path):
    card = weights.read_card(folder)
    assert card.name == folder.name
    assert [one.licence for one in card.data]
    plugin = registry.get(card.model)
    found = [one for one in weights.shipped(plugin) if one.folder == folder]
    assert found, f"{card.model} does not announce {card.name}"
    run = weights.bring(found[0], plugin, Workspace(tmp_path))
    assert run_of(run)["glacier"]["name"] != "demo"
    for record in (RUN, RECORD):  # they named the temporary workspace of their training
        assert read_json(folder / record)["command"] == card.command
    assert "synthetic" not in (folder / "README.md").read_text()
    saved = run_of(run)
    assert registry.upgrade_options(plugin, saved["options"], saved["schema"]) == saved["options"]


def test_they_take_ten_megabytes_at_most():
    assert sum(path.stat().st_size for folder in SHIPPED for path in folder.rglob("*")) <= 10_000_000


def test_each_has_a_recipe_and_data_without_leave_are_refused(script, monkeypatch, tmp_path):
    assert {folder.name for folder in SHIPPED} <= set(script.RECIPES)
    (tmp_path / "parvati").mkdir()
    monkeypatch.setitem(script.RECIPES, "stolen", ("convlstm", "--scenes", "{data}/parvati"))
    with pytest.raises(UsageError, match="may not learn from parvati"):
        script.command("stolen", tmp_path)
    monkeypatch.setitem(
        script.RECIPES, "climber", ("convlstm", "--scenes", "{data}/fronts_mohajerani2019/../parvati")
    )
    with pytest.raises(UsageError, match="may not learn from parvati"):
        script.command("climber", tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        script.command("front-mohajerani2019", tmp_path)
