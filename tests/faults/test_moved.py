"""A workspace that was moved to another folder works whole: no file names the old place."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from smallest_words import TASKS, words
from terminal import terminal
from worlds import world

MADE = {
    "front-unet": world("front-unet", size=64, years=1, count=1),
    "svg": (*world("svg", size=128, frames=3), "--chips", "0"),
}


@pytest.mark.parametrize("model", MADE)
def test_no_record_names_the_old_folder_and_the_next_stage_works(monkeypatch, capfd, tmp_path, model):
    icectl, words = terminal(monkeypatch, capfd), ("--source", "synthetic", *MADE[model])
    old, new = tmp_path / "old", tmp_path / "new"
    monkeypatch.setenv("ICECTL_WORKSPACE", str(old))  # what was typed stays in a record as it was typed
    icectl("prepare", model, *words)
    old.rename(new)
    for path in new.rglob("*"):
        if path.suffix in (".json", ".txt", ".csv", ".toml"):
            assert str(old) not in path.read_text(encoding="utf-8"), path
        if path.suffix == ".json":
            named = re.findall(r'"(\.\./[^"]+)"', path.read_text(encoding="utf-8"))
            assert not [name for name in named if not (path.parent / name).exists()], path
    monkeypatch.setenv("ICECTL_WORKSPACE", str(new))
    again = icectl("prepare", model, *words, "--force")
    assert "needs fetch" not in again.err  # what was fetched is found where it lies now
    assert not old.exists()


@pytest.mark.slow
@pytest.mark.parametrize("model", [*TASKS, "ensemble"])  # the task places files, and a model of members
def test_every_command_works_on_what_was_trained_elsewhere(evaluated, monkeypatch, capfd, tmp_path, model):
    icectl, old, new = terminal(monkeypatch, capfd), evaluated(model), tmp_path / "far" / "away"
    shutil.copytree(old, new)
    hidden = old.rename(old.with_name("hidden"))  # other tests want it back
    try:
        naming = [p for p in new.rglob("*") if p.is_file() and str(old).encode() in p.read_bytes()]
        assert not naming
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ICECTL_WORKSPACE", str(new))
        evaluate = ("evaluate", model, *words(model, "evaluate"), "--json")
        found = icectl(*evaluate).json
        assert found["skipped"]
        assert icectl("predict", model, *words(model, "predict"), "--json").json["skipped"]
        for verb in ("prepare", "predict", "train"):  # a record of inputs leads to what lies beside it now
            said = icectl(verb, model, *words(model, verb), "--force").err
            assert "first: doing that now" not in said
        assert icectl(*evaluate, "--force").json["metrics"]["tables"] == found["metrics"]["tables"]
        run = next(new.glob(f"runs/{model}/*/*")).name
        assert icectl("runs", "show", run).out
        page = icectl("report", run).out.strip()
        assert page.startswith(str(new))
        assert "cannot be drawn" not in Path(page).read_text(encoding="utf-8")
        icectl("export", run, "--out", "moved.zip")
        icectl("predict", model, "--from", "moved.zip", *words(model, "fetch"), "--workspace", "other")
        assert not old.exists()
    finally:
        hidden.rename(old)
