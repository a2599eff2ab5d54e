"""Stages: chain, skip, redo, resume, record; the toy plugin stands in for a model."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from icectl import registry


def test_run_chains_all_verbs_and_prints_the_table(cli):
    shown = cli("evaluate", "toy")
    assert "evaluate of demo needs fetch, prepare, train, predict first" in shown.err
    assert "strongest baseline" in shown.out
    assert shown.out.startswith("toy is 33 % better than the strongest baseline, half\n")


def test_second_call_does_nothing_again(cli):
    first = cli("train", "toy", "--json").json
    second = cli("train", "toy", "--json").json
    assert not first["skipped"]
    assert second["skipped"]
    assert first["folder"] == second["folder"]


def test_what_a_killed_process_left_beside_a_finished_stage_is_removed(cli):
    folder = Path(cli("prepare", "toy", "--json").json["folder"])
    left = folder.parent / ".icectl-left"
    left.mkdir()
    (left / ".icectl").touch()  # as after a kill between the rename and the end
    assert cli("prepare", "toy", "--json").json["skipped"]
    assert not left.exists()


def test_force_redoes_only_the_verb_itself(cli):
    folder = Path(cli("prepare", "toy", "--json").json["folder"])
    stamp = (folder / "dataset.txt").stat().st_mtime_ns
    fetched = next(folder.parent.parent.glob("scenes/*/words.txt"))
    fetched_stamp = fetched.stat().st_mtime_ns
    cli("prepare", "toy", "--force")
    assert (folder / "dataset.txt").stat().st_mtime_ns > stamp
    assert fetched.stat().st_mtime_ns == fetched_stamp


def test_changed_options_make_another_folder(cli):
    small = cli("prepare", "toy", "--json").json["folder"]
    upper = cli("prepare", "toy", "--upper", "--json").json["folder"]
    more = cli("prepare", "toy", "--words", "5", "--json").json["folder"]
    assert len({small, upper, more}) == 3


def test_changed_user_file_is_noticed(cli, tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("a")
    first = cli("fetch", "toy", "--extra", str(file), "--json").json
    assert cli("fetch", "toy", "--extra", str(file), "--json").json["skipped"]
    file.write_text("abc")
    changed = cli("fetch", "toy", "--extra", str(file), "--json").json
    assert changed["folder"] != first["folder"]


def test_failed_training_goes_on_where_it_stopped(cli):
    failed = cli("train", "toy", "--epochs", "4", "--fail", ok=False)
    assert failed.code == 1
    assert "error: asked to fail" in failed.err
    assert "hint: train again without --fail" in failed.err
    again = cli("train", "toy", "--epochs", "4", "--fail", ok=False)
    assert again.code == 1  # still one step in: nothing was thrown away, nothing was done twice
    steps = next(Path("icectl-workspace/runs/toy/demo").glob("*/steps.txt"))
    assert steps.read_text().split() == ["0"]


def test_a_failed_redo_brings_the_old_run_back(cli, monkeypatch):
    run = Path(cli("train", "toy", "--json").json["run"])
    from toy_plugin import Toy

    def broken(self, run, options):
        raise OSError("the power went")

    monkeypatch.setattr(Toy, "train", broken)
    assert cli("train", "toy", "--force", ok=False).code == 1
    assert (run / "weights.txt").is_file()
    assert (run / "stage.json").is_file()


def test_no_chain_refuses(cli):
    refused = cli("train", "toy", "--no-chain", ok=False)
    assert refused.code == 2
    assert "needs fetch, prepare first" in refused.err
    assert "`icectl fetch toy --glacier demo`" in refused.err
    Path("Some scenes").mkdir()
    refused = cli("train", "toy", "--scenes", "Some scenes", "--no-chain", ok=False)
    assert f"`icectl fetch toy --scenes '{Path('Some scenes').absolute()}'`" in refused.err
    assert not Path("icectl-workspace").exists()


def test_a_file_is_no_workspace(cli, monkeypatch):
    Path("notes.txt").write_text("mine")
    commands = ("fetch", "toy"), ("fetch", "toy", "--dry-run"), ("runs", "list"), ("report",)
    for place, command in itertools.product(("notes.txt", "notes.txt/below"), commands):
        refused = cli(*command, "--workspace", place, ok=False)
        assert (refused.code, refused.out) == (1, "")
        assert f"{place} cannot be a workspace: Not a directory" in refused.err
    with monkeypatch.context() as read_only:  # root may write to folders that others may not
        read_only.setattr(os, "access", lambda path, mode: False)
        refused = cli("fetch", "toy", "--dry-run", ok=False)
        assert (refused.code, refused.out) == (1, "")
        assert (
            f"{Path('icectl-workspace').absolute()} cannot be a workspace: {Path.cwd()} is not" in refused.err
        )
    monkeypatch.setenv("ICECTL_WORKSPACE", "notes.txt")
    (check,) = [c for c in cli("doctor", "--json", ok=False).json if c["name"] == "workspace"]
    assert not check["ok"]
    assert cli("predict", "toy", "--dry-run", ok=False).code == 1
    (check,) = [
        c for c in cli("doctor", "--workspace", "mine", "--json", ok=False).json if c["name"] == "workspace"
    ]
    assert (check["ok"], Path(check["found"]).name) == (True, "mine")  # the one asked for


@pytest.mark.parametrize("asked", [["--gpus", "2"], ["--device", "cuda"], ["--precision", "16-mixed"]])
def test_devices_that_are_not_here_are_refused_before_any_work(cli, monkeypatch, asked):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused = cli("train", "toy", *asked, ok=False)
    assert refused.code == 2
    assert "GPU" in refused.err.splitlines()[0]
    assert not Path("icectl-workspace").exists()
    assert cli("prepare", "toy").code == 0  # needs no device


def test_a_model_of_one_process_trains_in_one(cli, monkeypatch):
    import toy_plugin

    monkeypatch.setattr(toy_plugin, "plugin", replace(toy_plugin.plugin, multi_device=False))
    registry.refresh()
    refused = cli("train", "toy", "--processes", "2", ok=False)
    assert (refused.code, "'toy' trains in one process, not 2" in refused.err) == (2, True)
    assert not Path("icectl-workspace").exists()
    assert not cli("train", "toy", "--json").json["skipped"]


def test_record_holds_what_a_stranger_needs(cli):
    folder = Path(cli("train", "toy", "--seed", "7", "--json").json["folder"])
    record = json.loads((folder / "stage.json").read_text())
    assert record["seed"] == 7
    assert record["options"]["epochs"] == 1  # the preset's
    assert record["command"] == "icectl train toy --seed 7 --json"
    assert record["meter"]["seconds"] >= 0
    assert record["outputs"] == ["run.json", "steps.txt", "weights.txt"]
    saved = json.loads((folder / "run.json").read_text())
    assert saved["schema"] == 1
    assert saved["options"]["prepare"] == {"upper": False}


def test_metrics_are_saved_as_plain_json(cli):
    shown = cli("evaluate", "toy", "--json").json
    assert shown["metrics"]["tables"][0]["rows"][0]["values"]["error"] == 3.0
    assert shown["metrics"]["details"]["nan"] is None
    assert Path(shown["folder"]).parent == Path(shown["run"]) / "evaluations"
    record = json.loads((Path(shown["folder"]) / "stage.json").read_text())
    assert record["notes"] == {"score": "error 3 m"}


def test_predict_uses_the_newest_run_and_any_other_place(cli):
    run = cli("train", "toy", "--epochs", "3", "--json").json["run"]
    cli("glaciers", "add", "elsewhere", "--bbox", "7", "46", "8", "47", "--model", "toy")
    predicted = cli("predict", "toy", "--glacier", "elsewhere", "--json").json
    assert predicted["run"] == run
    assert (Path(predicted["folder"]) / "prediction.txt").read_text() == "3 3"
    assert Path(predicted["folder"]).name.startswith("elsewhere-")


def test_run_option_names_a_run_by_id_or_folder(cli):
    old = cli("train", "toy", "--epochs", "3", "--json").json["run"]
    cli("train", "toy", "--epochs", "2")
    by_id = cli("predict", "toy", "--run", Path(old).name, "--json").json
    by_folder = cli("predict", "--run", old, "--json").json
    assert by_id["run"] == by_folder["run"] == old
    unknown = cli("predict", "toy", "--run", "nothing", ok=False)
    assert unknown.code == 2
    assert "no run 'nothing'" in unknown.err


def test_predicting_with_training_options_means_that_training(cli):
    cli("train", "toy", "--epochs", "3")
    other = cli("predict", "toy", "--epochs", "5", "--json").json
    assert (Path(other["folder"]) / "prediction.txt").read_text() == "3 5"


def test_missing_output_is_made_again(cli):
    folder = Path(cli("prepare", "toy", "--json").json["folder"])
    (folder / "dataset.txt").unlink()
    assert not cli("prepare", "toy", "--json").json["skipped"]
    assert (folder / "dataset.txt").is_file()


@pytest.mark.parametrize("name", ["stage.json", "run.json"])
def test_damaged_record_is_named(cli, name):
    run = Path(cli("train", "toy", "--json").json["run"])
    (run / name).write_text("{")
    damaged = cli("predict", "toy", "--run", str(run), ok=False)
    assert damaged.code == 1
    assert f"{name} is damaged" in damaged.err


def test_dry_run_touches_nothing(cli):
    plan = cli("evaluate", "toy", "--dry-run", "--json").json
    assert [step["stage"] for step in plan["steps"]] == ["fetch", "prepare", "train", "predict", "evaluate"]
    assert plan["steps"][2]["memory"] == 3_000_000_000
    assert not Path("icectl-workspace").exists()
    table = cli("evaluate", "toy", "--dry-run")
    assert "2.0 MB" in table.out
    assert "3.0 GB" in table.out


def test_a_dry_run_tells_how_long_a_stage_took_before(cli):
    def times(*words: str) -> dict[str, float | None]:
        plan = cli("run", "toy", "--dry-run", "--json", *words).json
        return {step["stage"]: step["seconds"] for step in plan["steps"]}

    assert set(times().values()) == {None}
    cli("train", "toy")
    (record,) = Path("icectl-workspace").glob("runs/toy/*/*/stage.json")
    taken = json.loads(record.read_text())["meter"]["seconds"]
    assert times()["train"] == times("--seed", "1")["train"] == taken  # the same work, done and to be done
    assert times("--epochs", "9")["train"] is None
    assert times()["predict"] is None
    record.write_text("{")
    assert times("--seed", "1")["train"] is None


def test_a_dry_run_without_a_network_says_what_is_known(cli):
    words = ("train", "convlstm", "--glacier", "parvati", "--api", "http://127.0.0.1:9", "--dry-run")
    fetch, prepare, train = cli(*words, "--json").json["steps"]
    assert "http://127.0.0.1:9 cannot be searched" in fetch["note"]
    assert fetch["downloads"] is None
    assert prepare["folder"]
    assert train["memory"]
    assert "not known: http" in " ".join(cli(*words).out.split())


def test_several_glaciers_go_on_after_a_failure(cli):
    cli("glaciers", "add", "one", "--bbox", "7", "46", "8", "47", "--model", "toy")
    shown = cli(
        "fetch", "toy", "--glacier", "one", "--glacier", "nowhere", "--glacier", "demo", "--json", ok=False
    )
    assert shown.code == 2
    assert [("failed" in r) for r in shown.json] == [False, True, False]


def test_a_stage_may_need_less_than_all_before_it(cli, tmp_path):
    (tmp_path / "mine.txt").write_text("one two three four five")
    run = cli("train", "toy", "--json").json["run"]
    cli("export", Path(run).name, "--out", "toy")
    shown = cli("predict", "--from", "toy", "--text", "mine.txt", "--workspace", "other", "--json").json
    assert (Path(shown["folder"]) / "prediction.txt").read_text() == "5 1"
    assert not (tmp_path / "other" / "glaciers").exists()
