"""Plugins: found, refused with a reason, never in each other's way."""

from __future__ import annotations

import tomllib
from pathlib import Path

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
convlstm = dataclasses.replace(good, name="convlstm")
plaything = dataclasses.replace(good, name="plaything", aliases=())
older = dataclasses.replace(good, name="older", aliases=(), inputs=("green", "swir16"))
evil = dataclasses.replace(good, name="../evil")
not_a_plugin = 3
wrong_alias = dataclasses.replace(good, name="wrong-alias", aliases=("../x",))
reserved = dataclasses.replace(good, name="glacier", aliases=())
failing = dict(schema=2, upgrades={1: "variants:up0"})
falling = dataclasses.replace(good, name="falling", model="variants:Toy", **failing)
from toy_plugin import Toy
def up0(options): return options["nothing"]
def up1(options): return {**options, "train": {**options["train"], "rate": 1}}
def up2(options): return {**options, "train": {**options["train"], "bands": ["b"]}}
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
        ("wrong-alias=variants:wrong_alias", "'../x' is no name for a plugin"),
        ("glacier=variants:reserved", "it is a reserved word"),
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


def test_of_two_plugins_of_one_name_the_first_that_works_is_meant(announce, caplog):
    announce("convlstm=toy_plugin:plugin", "plaything=variants:plaything")
    assert registry.get("convlstm").task == "snow"  # the toy's descriptor calls itself otherwise
    assert registry.get("plaything").name == "plaything"  # a name comes before an alias
    assert registry.get("$ICECTL_PLUGINS:toy").name == "toy"
    announce("convlstm=variants:convlstm")
    with caplog.at_level("INFO", "icectl"):
        mine = registry.get("convlstm")
    assert mine.task == "words"
    assert "'convlstm' is $ICECTL_PLUGINS's; write 'icectl:convlstm' for that of icectl" in caplog.text
    ours = registry.get("icectl:convlstm")
    assert ours.task == "snow"
    assert [registry.owner(one).distribution for one in (mine, ours)] == ["$ICECTL_PLUGINS", "icectl"]
    assert [registry.typed(one) for one in (mine, ours)] == ["convlstm", "icectl:convlstm"]
    notes = {f.distribution: f.note for f in registry.plugins() if f.name == "convlstm"}
    assert notes["icectl"].startswith("'convlstm' means $ICECTL_PLUGINS's: write 'icectl:convlstm'")


def test_a_descriptor_may_still_say_what_its_model_reads(announce):
    announce("older=variants:older")
    assert registry.get("older").name == "older"


def test_a_name_that_could_leave_its_folder_is_refused(announce):
    announce("../evil=variants:evil")
    with pytest.raises(WorkError, match="is no name for a plugin"):
        registry.get("../evil")


def test_what_is_disabled_is_not_there(announce, monkeypatch):
    announce("raises=raises:plugin")
    monkeypatch.setenv("ICECTL_DISABLE", "raises, icectl:lstm")
    registry.refresh()
    assert not {"raises", "lstm"} & set(registry.names())
    assert "convlstm" in registry.names()


@pytest.mark.parametrize(
    ("saved", "words", "hint"),
    [
        (
            {"model": "simvp", "distribution": "icectl-simvp", "version": "0.1.0"},
            "made by icectl-simvp 0.1.0, which is not installed",
            "pip install icectl-simvp",
        ),
        ({"model": "convlstm2", "distribution": "icectl"}, "unknown model 'convlstm2'", "convlstm"),
        ({"model": "simvp", "distribution": "x; rm"}, "unknown model 'simvp'", ""),
    ],
)
def test_a_run_of_a_plugin_that_is_gone_says_so(toy, saved, words, hint):
    with pytest.raises((WorkError, UsageError), match=words) as caught:
        registry.maker(saved)
    assert hint in caught.value.hint
    assert registry.maker({"model": "toy", "distribution": "$ICECTL_PLUGINS"}).name == "toy"


def test_model_that_does_not_import_or_lacks_verbs_is_worded(announce, monkeypatch):
    announce("no-model=variants:no_model", "half-model=variants:half_model")
    with pytest.raises(WorkError, match="does not import") as caught:
        registry.load_model(registry.get("no-model"))
    assert "doctor" in caught.value.hint
    with pytest.raises(WorkError, match="lacks fetch, prepare"):
        registry.load_model(registry.get("half-model"))
    short = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    with monkeypatch.context() as patched, pytest.raises(WorkError, match="memory of this machine"):
        patched.setattr(registry, "resolve", lambda _: (_ for _ in ()).throw(short))
        registry.load_model(registry.get("no-model"))


def test_saved_options_are_carried_over_step_by_step(announce):
    announce("later=variants:later")
    plugin = registry.get("later")
    carried = registry.upgrade_options(plugin, {"train": {"epochs": 4}, "predict": {"gone": 1}}, 1)
    assert carried == {"train": {"epochs": 4, "rate": 1, "bands": ["b"]}, "predict": {}}
    with pytest.raises(WorkError, match="schema 4") as caught:
        registry.upgrade_options(plugin, {}, 4)
    assert "install a newer" in caught.value.hint


@pytest.mark.parametrize("verb", ["prepare", "train"])
def test_a_run_that_hangs_on_an_option_that_is_gone_is_refused_in_a_sentence(toy, verb):
    with pytest.raises(WorkError, match=f"options of {verb} that 'toy' does not have: depth") as caught:
        registry.upgrade_options(registry.get("toy"), {verb: {"depth": 3}}, 1)
    assert "train again" in caught.value.hint


def test_badly_written_environment_is_named(announce):
    announce("just-a-name")
    with pytest.raises(UsageError, match="just-a-name"):
        registry.announced()


def test_our_models_come_through_the_entry_points():
    registry.refresh()
    ours = {f.name for f in registry.announced() if f.distribution == "icectl"}
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert ours == set(project["entry-points"]["icectl.plugins"])


def test_a_busy_machine_makes_no_descriptor_slow(monkeypatch):
    """Processor time counts: an import that waits is not slow, one that computes is."""
    import time

    from icectl import guard

    monkeypatch.setattr(guard, "SLOW", 0.1)
    with guard.watched_import() as waiting:
        time.sleep(0.3)
    assert waiting.sentence() == ""
    with guard.watched_import() as computing:
        end = time.process_time() + 0.15
        while time.process_time() < end:
            pass
    assert computing.sentence().startswith("its descriptor takes 0.")


def test_an_upgrade_that_fails_is_told_as_its_plugins(announce):
    announce("falling=variants:falling")
    with pytest.raises(WorkError, match="failed in the upgrade of options of schema 1: KeyError") as caught:
        registry.upgrade_options(registry.get("falling"), {"train": {}}, 1)
    assert "the plugin 'falling' of $ICECTL_PLUGINS -" in caught.value.message


def test_an_import_through_the_file_descriptor_is_caught_and_named(announce, tmp_path, capfd):
    code = "import logging, os\nos.write(1, b'banner')\nlogging.getLogger().setLevel(5)\n"
    (tmp_path / "banner.py").write_text(code + "from variants import plaything as plugin\n")
    announce("plaything=banner:plugin")
    (found,) = (one for one in registry.plugins() if one.name == "plaything")
    assert capfd.readouterr().out == ""
    assert "prints when it is imported" in found.note
    assert "sets up logging" in found.note
