"""Plugins: found, refused with a reason, never in each other's way."""

from __future__ import annotations

import pytest

from icectl import registry
from icectl.errors import UsageError, WorkError

MODULE = """
from toy_plugin import plugin as good
import dataclasses
newer = dataclasses.replace(good, name="newer", api=99)
wrong_name = dataclasses.replace(good, name="other")
no_stage = dataclasses.replace(good, name="no-stage", stages={"fetch": good.stages["fetch"]})
no_options = dataclasses.replace(good, name="no-options", stages={**good.stages, "train": dict})
no_model = dataclasses.replace(good, name="no-model", model="toy_plugin:Missing")
half_model = dataclasses.replace(good, name="half-model", model="builtins:object")
later = dataclasses.replace(good, name="later", schema=3, upgrades={1: "variants:up1", 2: "variants:up2"})
not_a_plugin = 3
def up1(options): return {**options, "train": {**options["train"], "one": 1}}
def up2(options): return {**options, "train": {**options["train"], "two": 2}}
"""


@pytest.fixture
def announce(toy, tmp_path, monkeypatch):
    """Announce variants of the toy plugin, some of them broken."""
    (tmp_path / "variants.py").write_text(MODULE)
    (tmp_path / "raises.py").write_text("raise RuntimeError('no luck')")
    monkeypatch.syspath_prepend(str(tmp_path))

    def announce(*entries: str) -> None:
        monkeypatch.setenv("ICECTL_PLUGINS", ",".join(["toy=toy_plugin:plugin", *entries]))
        registry.refresh()

    return announce


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("newer=variants:newer", "written for plugin API 99"),
        ("mine=variants:wrong_name", "calls itself 'other'"),
        ("no-stage=variants:no_stage", "no options class for prepare"),
        ("no-options=variants:no_options", "options of train are not"),
        ("nothing=variants:not_a_plugin", "but a int"),
        ("raises=raises:plugin", "RuntimeError: no luck"),
        ("gone=no_such_module:plugin", "ModuleNotFoundError"),
    ],
)
def test_broken_plugin_is_listed_with_its_reason_and_hurts_nobody(announce, entry, reason):
    announce(entry)
    name = entry.partition("=")[0]
    listed = {f.name: f for f in registry.plugins()}
    assert reason in listed[name].problem
    assert not listed["toy"].problem
    with pytest.raises(WorkError, match="is broken") as caught:
        registry.get(name)
    assert reason in caught.value.message
    assert registry.get("toy").name == "toy"


def test_two_plugins_of_one_name_are_both_named_and_neither_is_chosen(announce):
    announce("convlstm=toy_plugin:plugin")
    with pytest.raises(UsageError, match="taken by several distributions") as caught:
        registry.get("convlstm")
    assert "'icectl:convlstm'" in caught.value.hint
    assert "'$ICECTL_PLUGINS:convlstm'" in caught.value.hint
    reasons = [f.problem for f in registry.plugins() if f.name == "convlstm"]
    assert len(reasons) == 2
    assert all("taken by several" in reason or "calls itself" in reason for reason in reasons)


def test_model_that_does_not_import_or_lacks_verbs_is_worded(announce):
    announce("no-model=variants:no_model", "half-model=variants:half_model")
    with pytest.raises(WorkError, match="does not import") as caught:
        registry.load_model(registry.get("no-model"))
    assert "doctor" in caught.value.hint
    with pytest.raises(WorkError, match="lacks fetch, prepare"):
        registry.load_model(registry.get("half-model"))


def test_saved_options_are_carried_over_step_by_step(announce):
    announce("later=variants:later")
    plugin = registry.get("later")
    carried = registry.upgrade_options(plugin, {"train": {"epochs": 4}}, 1)
    assert carried["train"] == {"epochs": 4, "one": 1, "two": 2}
    with pytest.raises(WorkError, match="schema 4") as caught:
        registry.upgrade_options(plugin, {}, 4)
    assert "install a newer" in caught.value.hint


def test_badly_written_environment_is_named(announce):
    announce("just-a-name")
    with pytest.raises(UsageError, match="just-a-name"):
        registry.announced()


def test_our_models_come_through_the_entry_points():
    registry.refresh()
    ours = {f.name for f in registry.announced() if f.distribution == "icectl"}
    assert ours == {
        "lstm", "convlstm", "unet", "salstm", "svg", "deeplab-xception", "front-unet", "inpaint-gan",
    }  # fmt: skip
