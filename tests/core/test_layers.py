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
