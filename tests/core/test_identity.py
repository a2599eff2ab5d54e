"""What makes a stage is its identity: seed where it counts, own options, and the code itself."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from icectl import registry, stages
from icectl.run import Compute
from icectl.settings import load_glacier
from icectl.stages.origin import code_of, made_by, performed_by, source_hash
from icectl.testing.identity import stages_see_their_identity_alone
from icectl.testing.subject import Subject
from icectl.workspace import Workspace


def request_of(name: str, root: Path, **changes) -> stages.Request:
    plugin = registry.get(name)
    options = {verb: kind() for verb, kind in plugin.stages.items()}
    return stages.Request(
        plugin=plugin, glacier=load_glacier("demo"), options=options, workspace=Workspace(root), **changes
    )


def prints(request: stages.Request) -> dict[str, str]:
    return {step.verb: step.fingerprint for step in stages.plan(request, "evaluate")}


def changed(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return [verb for verb in one if one[verb] != other[verb]]


@pytest.mark.parametrize("name", ["convlstm", "svg", "deeplab-xception", "inpaint-gan"])
def test_the_seed_of_a_synthetic_glacier_is_part_of_what_is_fetched(name, tmp_path):
    first, second = (prints(request_of(name, tmp_path, seed=seed)) for seed in (0, 1))
    assert changed(first, second) == ["fetch", "prepare", "train", "predict", "evaluate"]


def test_the_seed_decides_nothing_about_what_is_downloaded(tmp_path):
    request = request_of("convlstm", tmp_path, seed=5)
    real = replace(request, glacier=load_glacier("parvati"))
    assert changed(prints(real), prints(replace(real, seed=6)))[0] == "prepare"
    (fetch,) = stages.plan(real, "fetch")
    assert stages.run_for(fetch).seed == 0
    assert stages.run_for(stages.plan(real, "prepare")[-1]).seed == 5
    assert "planetary-computer-" in fetch.out.name


@pytest.mark.parametrize("name", ["outline", "dem", "centre_line"])
def test_a_file_of_the_glacier_that_changed_makes_its_stages_again(tmp_path, name):
    """Its path alone was looked at: another elevation model under the same name changed nothing."""
    path = tmp_path / "own.tif"
    path.write_bytes(b"one")
    request = request_of("convlstm", tmp_path)
    request = replace(request, glacier=request.glacier.model_copy(update={name: path}))
    before = prints(request)
    path.write_bytes(b"another")
    assert changed(before, prints(request)) == ["fetch", "prepare", "train", "predict", "evaluate"]


def test_precision_decides_the_training_and_what_comes_after_it(tmp_path):
    request = request_of("convlstm", tmp_path)
    halved = replace(request, compute=Compute(precision="bf16-mixed"))
    assert changed(prints(request), prints(halved)) == ["train", "predict", "evaluate"]
    assert not changed(prints(request), prints(replace(request, compute=Compute(processes=2, device="cpu"))))


def test_an_option_decides_its_own_stage_and_those_after_it(toy, tmp_path):
    request = request_of("toy", tmp_path)
    verbs = ["fetch", "prepare", "train", "predict", "evaluate"]
    others = {
        "fetch": {"words": 9},
        "prepare": {"upper": True},
        "train": {"rate": 0.3},
        "predict": {"tile": 64},
    }
    for verb, values in others.items():
        options = {**request.options, verb: request.options[verb].model_copy(update=values)}
        other = prints(replace(request, options=options))
        assert changed(prints(request), other) == verbs[verbs.index(verb) :]


def test_what_decides_a_member_decides_what_is_made_of_it(tmp_path, monkeypatch):
    plan = import_module("icectl.stages.plan")
    request, before = request_of("ensemble", tmp_path), plan.code_of

    def edited(plugin, verb):
        return {**before(plugin, verb), "edited": plugin.name == "snow-mlp" and verb == "train"}

    monkeypatch.setattr(plan, "code_of", lambda plugin, verb: {**before(plugin, verb), "edited": False})
    ours = prints(request)
    monkeypatch.setattr(plan, "code_of", edited)
    assert changed(ours, prints(request)) == ["train", "predict", "evaluate"]


def test_a_stage_is_handed_its_own_options_and_those_before(tmp_path):
    request = request_of("convlstm", tmp_path)
    seen = {step.verb: list(stages.run_for(step).options) for step in stages.plan(request, "evaluate")}
    order = ["fetch", "prepare", "train", "predict", "evaluate"]
    assert seen == {verb: order[: n + 1] for n, verb in enumerate(order)}


PACKAGE = """
from icectl.contract import Plugin
from toy_plugin import plugin as toy
import dataclasses
plugin = dataclasses.replace(toy, name="mine", aliases=(), model="mine_package.model:Mine")
"""
MODEL = """
from toy_plugin import Toy
class Mine(Toy):
    def prepare(self, run, options):
        return super().prepare(run, options)
"""


@pytest.fixture
def mine(toy, tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "code" / "mine_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(folder.parent))
    for name in ("mine_package", "mine_package.model"):  # of another test's folder
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("ICECTL_PLUGINS", "toy=toy_plugin:plugin,mine=mine_package:plugin")
    registry.refresh()
    return folder


def test_a_model_that_prepares_in_its_own_way_does_not_share_the_result(mine, tmp_path):
    assert performed_by("mine_package.model:Mine", "prepare") == "mine_package.model:Mine"
    assert performed_by("mine_package.model:Mine", "fetch") == "toy_plugin:Toy"
    ours, theirs = prints(request_of("toy", tmp_path)), prints(request_of("mine", tmp_path))
    assert "prepare" in changed(ours, theirs)


def test_the_class_that_performs_a_stage_is_found_without_importing_a_model(mine):
    (mine / "base.py").write_text("""
raise RuntimeError("a plan imports no model")
class Other:
    fetch = prepare = None
class Base:
    def prepare(self, run, options): ...
""")
    (mine / "model.py").write_text("""
raise RuntimeError("a plan imports no model")
from .base import Base as Ours
from toy_plugin import Toy as Theirs
class Zed:
    fetch = predict = None
class Mine(Ours, Theirs):
    evaluate = None
""")
    made = [performed_by("mine_package.model:Mine", verb) for verb in ("evaluate", "prepare", "fetch")]
    assert made == ["mine_package.model:Mine", "mine_package.base:Base", "toy_plugin:Toy"]


def test_edited_code_of_a_plugin_is_done_again(mine, cli):
    folder = cli("train", "mine", "--json").json["folder"]
    assert cli("train", "mine", "--json").json["skipped"]
    (mine / "model.py").write_text(MODEL + "\n# another version\n")
    again = cli("train", "mine", "--json").json
    assert not again["skipped"]
    assert again["folder"] != folder


def test_data_that_a_package_ships_count_as_its_code_does(mine, monkeypatch):
    def now():
        return made_by(registry.get("mine"))["source"]

    seen = [now()]
    (mine / "data").mkdir()
    for name in ("facts.toml", "data/first.safetensors", "data/facts.toml"):
        (mine / name).write_bytes(b"one")
        seen.append(now())
    (mine / "data" / "first.safetensors").write_bytes(b"two")
    seen.append(now())
    (mine / "data" / "first.safetensors").rename(mine / "data" / "second.safetensors")
    seen.append(now())
    os.utime(mine / "facts.toml", (1, 1))
    assert now() == seen[-1], "a file that is read is known by what it holds, not by its time"
    monkeypatch.setattr("icectl.stages.origin.LARGE", 2)
    seen.append(now())
    os.utime(mine / "facts.toml", (2, 2))  # too large to be read at every plan
    seen.append(now())
    assert len(set(seen)) == len(seen)
    for name in ("README.md", ".hidden", "__pycache__/model.cpython-311.pyc"):
        (mine / name).parent.mkdir(exist_ok=True)
        (mine / name).write_text("says nothing")
        assert now() == seen[-1]


def test_models_of_one_task_share_what_icectl_prepares(tmp_path):
    one, other = (prints(request_of(name, tmp_path)) for name in ("convlstm", "unet"))
    assert changed(one, other) == ["train", "predict", "evaluate"]
    code = code_of(registry.get("unet"), "prepare")
    assert code["by"].startswith("icectl.tasks.")
    assert set(code) == {"by", "icectl"}


def test_a_version_and_a_source_stand_in_the_identity(toy):
    facts = made_by(registry.get("toy"))
    assert facts == {
        "distribution": "$ICECTL_PLUGINS",
        "version": "-",
        "source": source_hash("toy_plugin:Toy"),
    }


def test_run_with_force_does_every_stage_again(cli):
    cli("run", "toy")
    files = [next(Path().rglob(name)) for name in ("words.txt", "dataset.txt", "weights.txt")]
    before = [file.stat().st_mtime_ns for file in files]
    cli("run", "toy", "--force")
    assert all(file.stat().st_mtime_ns > old for file, old in zip(files, before, strict=True))


def test_results_of_another_version_say_so(cli):
    import json

    from icectl.workspace.integrity import contents

    run = Path(cli("train", "toy", "--json").json["run"])
    saved = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**saved, "version": "0.0.1"}))
    record = json.loads((run / "stage.json").read_text())
    record["files"] = contents(run, record["outputs"])
    (run / "stage.json").write_text(json.dumps(record))
    shown = cli("predict", "toy", "--run", str(run))
    assert f"{run.name} was made by $ICECTL_PLUGINS 0.0.1; $ICECTL_PLUGINS - is used now" in shown.err


def test_the_conformance_suite_sees_a_fetch_that_is_not_its_identity(toy, tmp_path, monkeypatch):
    stages_see_their_identity_alone(Subject(registry.get("toy"), tmp_path / "good"))
    from toy_plugin import Toy

    calls = []

    def counted(self, run, options):
        calls.append(1)
        (run.out / "words.txt").write_text(f"word {len(calls)}")
        return run.out

    monkeypatch.setattr(Toy, "fetch", counted)
    with pytest.raises(AssertionError, match="depends on what was made before"):
        stages_see_their_identity_alone(Subject(registry.get("toy"), tmp_path / "bad"))


def test_the_time_at_which_a_geopackage_was_written_does_not_count(tmp_path, monkeypatch):
    import geopandas as gpd
    from shapely import Point

    from icectl.testing.identity import digest

    folders = {}
    for name, second, x in (("one", "01", 0), ("later", "02", 0), ("other", "01", 1)):
        monkeypatch.setenv("OGR_CURRENT_DATE", f"2020-01-01T00:00:{second}.000Z")
        folders[name] = tmp_path / name
        folders[name].mkdir()
        frame = gpd.GeoDataFrame({"a": [1]}, geometry=[Point(x, 0)], crs="EPSG:32643")
        frame.to_file(folders[name] / "a.gpkg")
    one, later, other = (digest(folder, tmp_path) for folder in folders.values())
    assert one == later != other
