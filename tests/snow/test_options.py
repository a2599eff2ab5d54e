"""Options, experiments and published figures: light to import, one name one meaning, true to the paper."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

from icectl import registry
from icectl.cli.resolve import FLAG, Layer, merge
from icectl.errors import DataError
from icectl.run import Run
from icectl.settings import find, load_experiment, load_glacier, read_toml
from icectl.tasks.snow.estimate import estimate
from icectl.tasks.snow.networks.heads import PRIOR, Head
from icectl.tasks.snow.options import from_schema_1, from_schema_2

NAMES = ("lstm", "convlstm", "unet", "salstm")
PAPER = Path(__file__).parents[2].parent / "shared" / "papers" / "001_ae9f046caf956159.txt"


def plugin_of(name):
    return import_module(f"icectl_{name}").plugin


@pytest.mark.parametrize("name", registry.names())
def test_the_papers_preset_wins_over_the_demo_glaciers_file(name, icectl):
    """Every value that a paper's preset names is what is planned, whatever the glacier's file says."""
    plugin = registry.get(name)
    kind = plugin.stages["train"]
    if "paper" not in kind.presets:
        pytest.skip(f"{name} has no paper preset")
    file = load_glacier("demo").options.get(plugin.task, {}).get("train", {})
    merged = merge(kind, [Layer(file, "the glacier"), Layer({"preset": "paper"}, FLAG)])
    assert merged.model_dump(include=set(kind.presets["paper"])) == kind(preset="paper").model_dump(
        include=set(kind.presets["paper"])
    )
    if plugin.task == "snow":
        assert (merged.patch, merged.stride, merged.batch_size) == (50, 10, 100)
    plan = icectl("train", name, "--glacier=demo", "--preset=paper", "--dry-run", "--json").json
    assert plan["steps"][-1]["stage"] == "train"


def test_descriptors_import_neither_numpy_nor_torch():
    code = (
        "import sys, icectl_lstm, icectl_convlstm, icectl_unet, icectl_salstm, icectl.tasks.snow.estimate\n"
        "assert not {'numpy', 'torch'} & set(sys.modules), 'heavy'"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_one_thing_in_all_stages(name):
    """A flag goes to every stage that has the field, so fields of one name must be of one type."""
    seen = {}
    for kind in plugin_of(name).stages.values():
        for field, info in kind.model_fields.items():
            facts = (info.annotation, info.default, info.description)
            assert seen.setdefault(field, facts) == facts, field
            assert info.description


@pytest.mark.parametrize("name", ["mueller2023-parvati", "mueller2023-aletsch"])
def test_experiments_fill_valid_options_of_all_snow_models(name):
    experiment = load_experiment(name)
    months = {"mueller2023-parvati": 3, "mueller2023-aletsch": 6}[name]
    for model in NAMES:
        stages = {
            verb: kind.model_validate(experiment.stage(verb))
            for verb, kind in plugin_of(model).stages.items()
        }
        assert stages["prepare"].months == months
        assert (stages["train"].patch, stages["train"].stride, stages["train"].batch_size) == (50, 10, 100)
        assert (str(stages["fetch"].start), str(stages["fetch"].end)) == ("2013-01-01", "2022-01-01")


@pytest.mark.realdata
def test_published_figures_are_those_of_the_paper(shared_data):
    text = PAPER.read_text(encoding="utf-8")
    published = read_toml(find("published", "mueller2023"))
    for row in published["table2"]:
        found = re.search(rf"^{re.escape(row['paper_name'])}\t([\d.]+)\t([\d.]+)$", text, re.MULTILINE)
        assert found is not None, row["paper_name"]
        assert (float(found[1]), float(found[2])) == (row["mse"], row["mae"])
    for row in published["table1"]:
        name = "U- net" if row["model"] == "unet" else row["paper_name"]
        found = re.search(rf"^{re.escape(name)}\t(\.\d+)\t(\.\d+)\t(\d+)\t(\d+)\tadamW$", text, re.MULTILINE)
        assert found is not None, name
        assert [float(found[k]) for k in range(1, 5)] == [
            row["learning_rate"],
            row["weight_decay"],
            row["epochs"],
            row["batch_size"],
        ]


@pytest.mark.parametrize("verb", ["fetch", "prepare", "train", "predict", "evaluate"])
def test_every_stage_has_an_estimate(verb, tmp_path):
    plugin = plugin_of("convlstm")
    options = {name: kind() for name, kind in plugin.stages.items()}
    run = Run(verb=verb, plugin=plugin, glacier=load_glacier("demo"), out=tmp_path, options=options)
    found = estimate(run)
    assert any(size for size in (found.reads, found.writes, found.memory))
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_counts_no_windows_where_the_frames_are_not_known(tmp_path):
    """A NetCDF of eight dates is one file: it said "about 0 windows"."""
    (tmp_path / "snow.nc").touch()
    plugin = plugin_of("convlstm")
    options = {name: kind() for name, kind in plugin.stages.items()}
    options["prepare"] = plugin.stages["prepare"](cadence="scenes")
    run = Run(
        verb="train",
        plugin=plugin,
        glacier=load_glacier("demo"),
        out=tmp_path,
        options=options,
        scenes=tmp_path,
    )
    assert estimate(run).note == ""


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="do not divide"):
        plugin_of("salstm").stages["train"].model_validate({"hidden": 10})


def test_a_product_head_is_chance_times_index():
    raw = torch.randn(2, 2, 3, 3)
    empty = torch.zeros(2, 0, 3, 3)
    got = Head("product")(raw, empty)
    torch.testing.assert_close(got, torch.sigmoid(raw[:, 1]) * (raw[:, 0] + 0.55))


def test_a_mixed_head_is_a_mean_of_its_choices_and_starts_near_the_last():
    guide = torch.rand(2, 4, 3, 3)
    head = Head("mixed", references=2)
    raw = torch.randn(2, head.channels, 3, 3)
    choices = torch.stack([torch.zeros(2, 3, 3), 0.55 + raw[:, 0], guide[:, 0], guide[:, 1]], dim=1)
    got = head(raw, guide)
    assert (got >= choices.amin(1) - 1e-6).all()
    assert (got <= choices.amax(1) + 1e-6).all()
    raw[:, 1:] = 0
    weights = torch.tensor([1.0, 1.0, 1.0, torch.e**PRIOR])
    expected = (choices * (weights / weights.sum())[:, None, None]).sum(1)
    torch.testing.assert_close(head(raw, guide), expected)


def test_runs_of_version_0_1_0_are_carried_over_or_refused_in_a_sentence():
    old = {
        "prepare": {"align": "mean", "motion": "homography", "threshold": 0.3, "threshold_before_mean": True},
        "train": {"target": "departure", "head": "product", "flags": True, "guides": ["season"], "clip": 3.0},
        "predict": {"tile": 512, "overlap": None, "moments": "auto"},
        "evaluate": {"confidence": 0.95, "arrows": 40, "bootstrap": 10},
    }
    new = from_schema_1(old)
    assert new["prepare"] == {"align": "homography", "composite": "mean-of-masks"}
    assert new["train"] == {"head": "mixed", "guides": ("flags", "season")}
    assert (new["predict"], new["evaluate"]) == ({"moments": "auto"}, {"bootstrap": 10})
    mask = from_schema_1({"train": {"target": "mask", "head": "plain", "flags": False, "guides": []}})
    assert mask["train"] == {"head": "plain", "guides": ()}
    for changes in ({"train": {"target": "departure", "head": "plain"}}, {"prepare": {"threshold": 0.4}}):
        with pytest.raises(DataError) as error:
            from_schema_1(changes)
        assert "train again" in error.value.hint


def test_runs_of_schema_2_keep_what_their_preset_means():
    saved = {
        "train": {"preset": "reference", "peepholes": False, "norm": "batch", "fed_back": True, "side": 0}
    }
    assert from_schema_2(saved)["train"] == {"preset": "reference", "side": 0}
    small = {"heads": 4, "width": 8, "fold": 2, "kernel": 3, "schedule": "cosine", "teacher_forcing": 0.0}
    assert from_schema_2({"train": small})["train"] == {}
    for other in ({"kernel": 5}, {"preset": "paper", "heads": 4, "side": 0}, {"fold": 1}, {"width": 4}):
        with pytest.raises(DataError, match="another"):
            from_schema_2({"train": other})
