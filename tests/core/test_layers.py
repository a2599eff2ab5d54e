"""Which value wins: defaults, the glacier's file, the experiment, flags; and the seed of a saved run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

GLACIER = """
title = "Here"
bbox = [7.0, 46.0, 8.0, 47.0]
model = "toy"
[options.words.fetch]
words = 5
"""


@pytest.fixture
def place(tmp_path) -> None:
    for kind, name, text in (
        ("glaciers", "here", GLACIER),
        ("experiments", "seven", 'model = "toy"\nglacier = "here"\nseed = 4\n[fetch]\nwords = 7\n'),
    ):
        folder = tmp_path / "configs" / kind
        folder.mkdir(parents=True)
        (folder / f"{name}.toml").write_text(text)


@pytest.mark.parametrize(
    ("flags", "words", "seed"),
    [
        (["--glacier", "demo"], 3, 0),
        (["--glacier", "here"], 5, 0),
        (["--experiment", "seven"], 7, 4),
        (["--experiment", "seven", "--words", "2", "--seed", "9"], 2, 9),
    ],
)
def test_the_stronger_layer_wins(cli, place, flags, words, seed):
    folder = Path(cli("prepare", "toy", *flags, "--json").json["folder"])
    assert len((folder / "dataset.txt").read_text().split()) == words
    assert json.loads((folder / "stage.json").read_text())["seed"] == seed


def test_a_saved_run_brings_its_seed_and_a_flag_outranks_it(cli):
    run = cli("train", "toy", "--seed", "7", "--json").json["run"]
    seeds = []
    for more in ([], ["--seed", "8"]):
        folder = Path(cli("predict", "toy", "--run", run, *more, "--json").json["folder"])
        seeds.append(json.loads((folder / "stage.json").read_text())["seed"])
    assert seeds == [7, 8]


def test_an_experiment_of_another_model_is_said_and_of_another_task_refused(cli, place):
    said = "the experiment 'seven' is written for toy: "
    assert said not in cli("fetch", "plaything", "--experiment", "seven").err
    Path("configs/experiments/other.toml").write_text('model = "lstm"\n')
    assert f"{said.replace('seven', 'other').replace('toy', 'lstm')}unet takes its options" in (
        cli("fetch", "unet", "--experiment", "other", "--dry-run").err
    )
    refused = cli("fetch", "toy", "--experiment", "other", ok=False)
    assert "experiment 'other' is of lstm (snow), not of toy (words)" in refused.err
    assert refused.code == 2


def test_options_of_a_task_that_does_not_exist_are_refused(cli, place):
    file = Path("configs/glaciers/here.toml")
    file.write_text(GLACIER.replace("[options.words.", "[options.word."))
    refused = cli("fetch", "toy", "--glacier", "here", ok=False)
    assert refused.code == 2
    assert "glacier 'here', [options.word]: there is no task 'word'" in refused.err
    assert "hint: did you mean 'words'?" in refused.err
