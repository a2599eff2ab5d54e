"""Runs by id and folder, pages of runs, devices, and processes that follow a first one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from affine import Affine

from icectl import registry, stages
from icectl.errors import DataError, UsageError, WorkError
from icectl.raster import Grid, write_cog
from icectl.settings import load_glacier
from icectl.stages.records import score_of
from icectl.workspace import RECORD, RUN, Workspace, plain, read_json


def trained(cli, *more: str) -> Path:
    return Path(cli("train", "toy", *more, "--json").json["run"])


def test_the_start_of_an_id_must_be_unmistakable(cli):
    run = trained(cli)
    shutil.copytree(run, run.with_name(f"{run.name}0"))
    refused = cli("predict", "toy", "--run", run.name, ok=False)
    assert (refused.code, f"several runs start with '{run.name}'" in refused.err) == (2, True)
    assert cli("predict", "toy", "--run", str(run), "--json").json["run"] == str(run)


def test_a_run_named_with_an_equals_sign_says_its_model(cli):
    run = trained(cli)
    assert cli("predict", f"--run={run.name}", "--json").json["run"] == str(run)


def test_an_unfinished_run_is_no_run_to_predict_with(cli):
    run = trained(cli)
    (run / RECORD).unlink()
    refused = cli("predict", "toy", "--run", str(run), ok=False)
    assert (refused.code, "is not finished" in refused.err, "it goes on" in refused.err) == (1, True, True)


def test_the_last_run_is_the_one_last_added_to_and_an_unfinished_one_is_none(cli):
    first, second, unfinished = (trained(cli, "--epochs", n) for n in ("2", "3", "4"))
    (unfinished / RECORD).unlink()
    space = Workspace(Path("icectl-workspace").absolute())
    assert stages.runs(space) == [first, second]
    cli("evaluate", "toy", "--run", str(first))
    assert stages.runs(space) == [second, first]
    products = Path(cli("predict", "toy", "--plain", "--json").json["run"])
    assert stages.runs(space) == [second, first, products]
    assert stages.find_run(space, stages.LAST) == products
    assert stages.find_run(space, stages.LAST, weights=True) == first
    with pytest.raises(UsageError, match="needed no training, so no weights"):
        stages.find_run(space, str(products), weights=True)


def test_a_seed_chooses_among_the_runs_and_another_is_said(cli):
    runs = [trained(cli, "--seed", n) for n in ("1", "2")]
    used = [cli("evaluate", "toy", *words, "--json").json["run"] for words in ((), ("--seed", "1"))]
    assert used == [str(runs[1]), str(runs[0])]
    other = cli("evaluate", "toy", "--seed", "7", "--json")
    assert other.json["run"] == str(runs[1])
    assert "no toy was trained with the seed 7: the newest run is used (--run names another)" in other.err


def test_a_run_may_be_copied_under_any_name(cli):
    shutil.copytree(trained(cli), "weights of mine")
    here = Path("weights of mine").absolute()
    assert cli("predict", "toy", "--run", str(here), "--json").json["run"] == str(here)


def test_of_two_distributions_with_a_model_of_one_name_each_has_its_runs(cli, monkeypatch):
    run, plugin = trained(cli), registry.get("toy")
    space, own = Workspace(Path("icectl-workspace").absolute()), registry.owner(plugin)
    with monkeypatch.context() as two:
        two.setattr(registry, "announced", lambda: (own, replace(own, distribution="theirs")))
        assert stages.newest_run(space, plugin) == run
        saved = read_json(run / RUN)
        (run / RUN).write_text(json.dumps({**saved, "distribution": "theirs"}))
        assert stages.newest_run(space, plugin) is None
    assert stages.newest_run(space, plugin) == run


def test_report_writes_one_page_or_a_comparison(cli):
    first, second = trained(cli), trained(cli, "--epochs", "3")
    page = Path(cli("report", first.name).out.strip())
    assert page == first / "report.html"
    both = cli("report", first.name, second.name, "--out", "both.html", "--json").json
    assert Path(both["report"]).name == "both.html"
    assert both["runs"] == [str(first), str(second)]
    text = Path("both.html").read_text()
    assert first.name in text
    assert second.name in text


def test_devices_says_what_is_here_and_why(cli):
    pytest.importorskip("torch")
    found = cli("devices", "--json").json
    assert found["devices"][-1]["device"] == "cpu"
    assert found["decision"]["reason"] in cli("devices").out


def test_processes_started_beside_the_first_write_nothing(cli, monkeypatch):
    """Rank 1 of a torchrun job waits for what rank 0 writes, and reports nothing."""
    run = trained(cli)
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    shown = cli("train", "toy")
    assert shown.out == ""
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
    assert run.is_dir()


def test_a_follower_gives_up_after_a_day_on_a_first_process_that_never_writes(tmp_path, monkeypatch):
    from icectl.stages import execute

    slept = []
    clock = SimpleNamespace(monotonic=lambda: 100 + 12 * len(slept), sleep=slept.append)
    monkeypatch.setattr(execute, "time", clock)
    with pytest.raises(WorkError, match="the first process never wrote") as raised:
        execute._wait_for(tmp_path / "stage.json")
    assert len(slept) == 24 * 3600 / 12 + 1
    assert "rank 0" in raised.value.hint


@pytest.mark.parametrize(("side", "warned"), [(9.7, True), (9.9, False), (30.5, False), (30.8, True)])
def test_pixels_that_the_weights_never_saw_are_warned_of(tmp_path, side, warned):
    from icectl.stages.products import _flag_scale

    grid = Grid((4, 4), Affine(side, 0, 5e5, 0, -side, 5e6), "EPSG:32633")
    write_cog(tmp_path / "a.tif", np.zeros((4, 4), "f4"), grid)
    said: list[str] = []
    _flag_scale(SimpleNamespace(pixel_size=(10.0, 30.0)), SimpleNamespace(out=tmp_path, warn=said.append))
    assert len(said) == warned


def test_products_name_fifty_scenes_and_the_licence_of_the_weights(cli):
    from icectl.stages.products import _named

    assert _named(["a"] * 50) == ["a"] * 50
    assert _named(["a"] * 53) == ["a"] * 50 + ["and 3 more"]
    (trained(cli) / "LICENSE").write_text("SPDX-License-Identifier: CC-BY-4.0\n")
    folder = Path(cli("predict", "toy", "--json").json["folder"])
    assert "CC-BY-4.0" in (folder / "item.json").read_text()


def test_the_score_in_listings_is_that_of_the_column_that_decides():
    columns = [{"key": "z", "label": "Z", "unit": ""}, {"key": "a", "label": "A", "unit": "m"}]
    rows = [{"kind": "baseline", "values": {"a": 9}}, {"kind": "model", "values": {"z": 8, "a": 1.5}}]
    assert score_of({"tables": [{"columns": columns, "rows": rows, "primary": "a"}]}) == "A 1.5 m"


def test_a_dry_run_counts_the_users_own_scenes(cli):
    Path("mine").mkdir()
    Path("mine/a.txt").write_text("x" * 1234)
    plan = cli("fetch", "toy", "--scenes", "mine", "--dry-run", "--json").json
    assert plan["source"] == "folder"
    assert plan["scenes"] == {"folder": str(Path("mine").absolute()), "bytes": 1234}


def test_a_folder_without_a_glacier_is_a_place_of_its_own(cli):
    """The default glacier's file sets options for that glacier, not for somebody's scenes."""
    Path("My Glacier").mkdir()
    Path("My Glacier/a.txt").write_text("x")
    Path("parvati").mkdir()
    for scenes, glacier in (("My Glacier", "my-glacier"), ("parvati", "parvati")):
        assert cli("fetch", "toy", "--scenes", scenes, "--dry-run", "--json").json["glacier"] == glacier
    assert cli("fetch", "toy", "--dry-run", "--json").json["glacier"] == "demo"


def test_weights_on_another_folder_are_not_on_the_glacier_of_their_training(cli):
    for name in ("Here", "There"):
        Path(name).mkdir()
        Path(name, "a.txt").write_text("some words")
    cli("train", "toy", "--glacier", "parvati", "--scenes", "Here")
    assert cli("predict", "toy", "--scenes", "Here", "--dry-run", "--json").json["glacier"] == "parvati"
    assert cli("predict", "toy", "--scenes", "There", "--dry-run", "--json").json["glacier"] == "there"
    run = cli("evaluate", "toy", "--scenes", "There", "--json").json
    assert run["glacier"] == "there"
    assert Path(run["run"]).parent.name == "parvati"  # the weights stay where they were trained


def test_a_source_that_only_its_task_knows_is_planned(cli):
    plan = cli("run", "--experiment", "cheng2021-calfin", "--dry-run", "--json").json
    assert plan["source"] == "calfin"
    assert "archive" in plan["steps"][0]["note"]


def test_a_plugin_without_an_estimate_is_planned_all_the_same(cli, monkeypatch):
    import toy_plugin

    monkeypatch.setattr(toy_plugin, "plugin", replace(toy_plugin.plugin, estimate=""))
    registry.refresh()
    steps = cli("train", "toy", "--dry-run", "--json").json["steps"]
    assert {step["note"] for step in steps} == {"this plugin gives no estimate"}


def test_records_name_what_is_missing_or_does_not_belong(tmp_path):
    with pytest.raises(DataError, match=r"a\.json is missing"):
        read_json(tmp_path / "a.json")
    with pytest.raises(TypeError, match="object does not belong in a record"):
        plain({"a": [object()]})


@pytest.mark.parametrize("cluster", ["nonsense", "local:0", "local:two"])
def test_a_cluster_that_is_not_understood(cli, cluster):
    refused = cli("fetch", "toy", "--glacier", "demo", "--glacier", "parvati", "--cluster", cluster, ok=False)
    assert refused.code == 2
    assert f"--cluster {cluster} is not understood" in refused.err
    assert "local:N" in refused.err


def test_what_killed_processes_left_is_swept_away(cli, monkeypatch):
    """A training that goes on finds its folder without the half of a file."""
    run = trained(cli)
    (run / RECORD).unlink()
    (run / ".icectl-abcd1234.partial").write_text("half")
    (run / ".icectl-efgh5678").mkdir()
    (run / ".icectl-efgh5678" / ".icectl").touch()
    (run / ".keep").write_text("mine")
    (run / ".theirs.partial").write_text("another program's")
    cli("train", "toy")
    assert sorted(path.name for path in run.glob(".*")) == [".icectl", ".keep", ".theirs.partial"]


def test_options_of_an_unknown_schema_step_are_refused(toy):
    later = replace(registry.get("toy"), schema=3, upgrades={2: "toy_plugin:estimate"})
    with pytest.raises(WorkError, match="cannot carry options from schema 1 to 2") as raised:
        registry.upgrade_options(later, {"train": {}}, 1)
    assert raised.value.hint == "train again"


def test_a_model_may_be_named_with_its_distribution(toy):
    assert registry.get("$ICECTL_PLUGINS:toy").name == "toy"
    with pytest.raises(UsageError, match="unknown model 'icectl:toy'"):
        registry.get("icectl:toy")


def test_a_verb_that_needs_more_than_there_is_says_which_to_run(toy, tmp_path):
    plugin = registry.get("toy")
    request = stages.Request(
        plugin=plugin,
        glacier=load_glacier("demo"),
        options={verb: kind() for verb, kind in plugin.stages.items()},
        workspace=Workspace(tmp_path),
        chain=False,
    )
    with pytest.raises(UsageError, match="evaluate needs fetch, prepare, train, predict") as raised:
        stages.perform(request, "evaluate")
    assert "icectl fetch toy --glacier demo" in raised.value.hint
