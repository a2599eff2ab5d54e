"""Weights, runs and places from the command line: nothing trained that nobody needs."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from weights.conftest import CARD
from worlds import world

from icectl import registry, weights


@pytest.fixture
def shipped(cli, monkeypatch, tmp_path) -> Path:
    """The toy plugin ships weights of five epochs; nothing was trained in the workspace."""
    import toy_plugin

    monkeypatch.setenv("ICECTL_WEIGHTS", str(tmp_path / "mine"))
    monkeypatch.setenv("ICECTL_CACHE", str(tmp_path / "cache"))
    run = Path(cli("train", "toy", "--epochs", "5", "--json").json["run"])
    package = tmp_path / "site" / "toy_with_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    weights.make(run, package / "five", CARD)
    shutil.rmtree("icectl-workspace")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(toy_plugin, "plugin", replace(toy_plugin.plugin, weights=("toy_with_weights:five",)))
    registry.refresh()
    cli("glaciers", "add", "elsewhere", "--bbox", "7", "46", "8", "47", "--model", "toy")
    return package / "five"


def test_predict_uses_shipped_weights_and_says_so(cli, shipped):
    made = cli("predict", "toy", "--glacier", "elsewhere", "--json")
    assert Path(made.json["folder"], "prediction.txt").read_text() == "3 5"
    assert made.err.count("using the weights 'five' that come with") == 1
    assert "CC-BY-4.0" in made.err
    assert "train toy on" not in made.err
    again = cli("predict", "toy", "--glacier", "elsewhere", "--json")
    assert again.json["skipped"] is True
    assert again.json["folder"] == made.json["folder"]
    assert (
        cli("evaluate", "toy", "--glacier", "elsewhere", "--json").json["metrics"]["tables"][0]["rows"][0][
            "values"
        ]["error"]
        == 0.6
    )


def test_a_training_of_ones_own_comes_first(cli, shipped):
    cli("predict", "toy")
    cli("train", "toy", "--epochs", "2")
    made = cli("predict", "toy", "--json")
    assert Path(made.json["folder"], "prediction.txt").read_text() == "3 2"
    assert "five" not in made.err
    named = cli("predict", "toy", "--weights", "five", "--json")
    assert Path(named.json["folder"], "prediction.txt").read_text() == "3 5"


def test_a_dry_run_with_weights_touches_nothing_and_agrees(cli, shipped):
    plan = cli("predict", "toy", "--weights", "five", "--dry-run", "--json").json
    assert not Path("icectl-workspace").exists()
    assert [step["stage"] for step in plan["steps"]] == ["fetch", "prepare", "predict"]
    made = cli("predict", "toy", "--weights", "five", "--json").json
    assert made["folder"] == plan["steps"][-1]["folder"]


def test_weights_say_their_model(cli, shipped):
    made = cli("predict", "--weights", str(shipped), "--json")
    assert made.json["model"] == "toy"


def test_an_export_of_weights_that_came_with_a_licence_keeps_it_and_their_card(cli, shipped, tmp_path):
    cli("predict", "toy", "--glacier", "elsewhere")
    cli("export", "last", "--out", "again")
    for name in ("README.md", "LICENSE"):
        assert Path("again", name).read_text() == (shipped / name).read_text()
    assert "CC-BY-4.0" in Path("again/LICENSE").read_text()
    refused = cli("export", "last", "--out", "other", "--licence", "MIT", ok=False)
    assert (refused.code, "came under CC-BY-4.0, not MIT" in refused.err) == (2, True)
    cli("train", "toy", "--from", "five", "--epochs", "2")
    cli("export", "last", "--out", "more")
    card = Path("more/README.md").read_text()
    assert "started from the weights five (CC-BY-4.0)" in card
    assert "Licence of the training data: none, they are synthetic" in card
    (tmp_path / "mine.txt").write_text("words")
    cli("train", "toy", "--extra", str(tmp_path / "mine.txt"))
    cli("export", "last", "--out", "mine")
    assert "Licence of the training data: that of their publisher" in Path("mine/README.md").read_text()


def test_weights_contradict_a_run(cli, shipped):
    refused = cli("predict", "toy", "--weights", "five", "--run", "last", ok=False)
    assert (refused.code, "--run and --weights contradict each other" in refused.err) == (2, True)


@pytest.mark.parametrize("model", ["svg", "lstm"])
def test_weights_of_another_model_are_refused_before_its_options_are_read(cli, shipped, model):
    for words in (("predict", model, "--weights"), ("train", model, "--from")):
        for more in ((), ("--dry-run",)):
            refused = cli(*words, "five", *more, ok=False)
            assert (refused.code, f"'five' are weights of toy, not of {model}" in refused.err) == (2, True)


@pytest.fixture
def served(shipped, tmp_path):
    """An archive of the weights on loopback, and its digest."""
    folder = tmp_path / "served"
    folder.mkdir()
    archive = Path(shutil.make_archive(str(folder / "five"), "zip", shipped))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/five.zip"
        yield address, hashlib.sha256(archive.read_bytes()).hexdigest()
        server.shutdown()


def test_weights_are_added_from_an_address(cli, served, monkeypatch):
    import toy_plugin

    monkeypatch.setattr(toy_plugin, "plugin", replace(toy_plugin.plugin, weights=()))
    registry.refresh()
    address, digest = served
    refused = cli("models", "add", f"{address}#sha256={'0' * 64}", ok=False)
    assert (refused.code, "its checksum is not" in refused.err) == (1, True)
    missing = cli("models", "add", address.replace("five", "six"), ok=False)
    assert (missing.code, "could not be fetched" in missing.err) == (1, True)
    assert cli("models", "add", f"{address}#sha256={digest}").out == "five\n"
    assert [one["name"] for one in cli("models", "list", "--json").json if one["model"] == "toy"] == ["five"]
    assert "other words: share 0.5" in cli("models", "show", "five").out
    twice = cli("models", "add", f"{address}#sha256={digest}", ok=False)
    assert (twice.code, "are here already" in twice.err) == (2, True)
    assert cli("predict", "toy", "--weights", "five", "--json").json["stage"] == "predict"


def test_weights_are_added_from_a_doi(cli, served, monkeypatch, tmp_path):
    """Zenodo's interface as pooch asks it, on loopback: only who owns a DOI is not asked."""
    import toy_plugin
    from pooch import downloaders

    monkeypatch.setattr(toy_plugin, "plugin", replace(toy_plugin.plugin, weights=()))
    registry.refresh()
    address, digest = served
    root = address.rpartition("/")[0]
    listed = {"files": [{"key": "five.zip", "links": {"self": address}}]}
    (tmp_path / "served" / "7").write_text(json.dumps(listed))
    monkeypatch.setattr(downloaders, "doi_to_url", lambda doi, **more: f"https://zenodo.org/record/{doi[-1]}")
    monkeypatch.setattr(downloaders.ZenodoRepository, "base_api_url", root)
    for doi, said in (
        ("10.5281/zenodo.7", "names no file"),
        ("10.5281/zenodo.7/six.zip", "six.zip' not found"),
        ("10.5281/zenodo.8/five.zip", "could not be fetched"),
        (f"10.5281/zenodo.7/five.zip#sha256={'0' * 64}", "its checksum is not"),
    ):
        refused = cli("models", "add", f"doi:{doi}", ok=False)
        assert said in refused.err, refused.err
    assert cli("models", "add", f"doi:10.5281/zenodo.7/five.zip#sha256={digest}").out == "five\n"


def test_a_name_that_is_not_known_is_near_one_that_is(cli, shipped):
    refused = cli("predict", "toy", "--weights", "fives", ok=False)
    assert (refused.code, "did you mean 'five'" in refused.err) == (2, True)


def test_a_product_without_network_trains_nothing(cli):
    plan = cli("evaluate", "toy", "--plain", "--dry-run", "--json").json
    assert [step["stage"] for step in plan["steps"]] == ["fetch", "prepare", "predict", "evaluate"]
    made = cli("evaluate", "toy", "--plain", "--json")
    assert made.json["folder"] == plan["steps"][-1]["folder"]
    assert made.json["metrics"]["tables"][0]["rows"][0]["values"]["error"] == 3.0
    assert Path(made.json["run"]).name == "untrained"
    assert Path(made.json["report"]).is_file()
    assert cli("predict", "toy", "--plain", "--json").json["skipped"] is True


def test_runs_are_listed_shown_and_removed(cli):
    first = cli("evaluate", "toy", "--json").json["run"]
    second = cli("train", "toy", "--epochs", "7", "--json").json["run"]
    listed = cli("runs", "list", "--json").json
    assert [one["folder"] for one in listed] == [second, first]
    assert listed[1]["score"] == "error 3 m"
    assert listed[1]["place"] == "The synthetic glacier"
    assert cli("runs", "show", "last", "--json").json["folder"] == second
    assert cli("predict", "toy", "--run", "last", "--json").json["run"] == second
    cli("runs", "remove", "last")
    assert not Path(second).exists()
    assert [one["folder"] for one in cli("runs", "list", "--json").json] == [first]


def test_report_and_export_take_the_newest_run_and_say_so(cli):
    empty = cli("report", ok=False)
    assert (empty.code, "there is no run in" in empty.err) == (2, True)
    run = cli("evaluate", "toy", "--json").json["run"]
    for verb in ("report", "export"):
        made = cli(verb)
        assert f"the newest run is {run}" in made.err
        assert Path(made.out.strip()).exists()


@pytest.mark.parametrize(
    ("folder", "name", "title"),
    [
        ("South Glacier/images", "south-glacier", "South Glacier"),
        ("Grey/2019", "2019", "2019"),
        ("scenes", None, None),
    ],
)
def test_a_folder_that_says_only_what_it_holds_is_named_by_the_one_above(cli, folder, name, title, tmp_path):
    Path(folder).mkdir(parents=True)
    Path(folder, "a.txt").write_text("x")
    found = cli("fetch", "toy", "--scenes", folder, "--json").json["glacier"]
    assert found == (name or tmp_path.name.replace("_", "-").lower()[:80])
    if title:
        cli("evaluate", "toy", "--scenes", folder)
        assert cli("runs", "show", "last", "--json").json["place"] == title


@pytest.mark.slow
def test_a_training_starts_from_other_weights(cli, tmp_path, monkeypatch):
    """With next to no learning rate, the weights stay those that it started from."""
    import torch

    from icectl.training import load_weights

    monkeypatch.setenv("ICECTL_WEIGHTS", str(tmp_path / "mine"))
    small = world("lstm", years=3, size=64)
    short = (*small, "--patch", "16", "--stride", "16", "--epochs", "1")
    first = Path(cli("train", "lstm", *short, "--updates", "1", "--json").json["run"])
    weights.make(first, tmp_path / "ready", CARD)
    more = (*small, "--epochs", "1", "--updates", "1", "--lr", "1e-9", "--seed", "5")
    second = cli("train", "lstm", *more, "--from", str(tmp_path / "ready"), "--json").json["run"]
    start, _ = load_weights(tmp_path / "ready" / "weights.safetensors")
    after, _ = load_weights(Path(second) / "weights.safetensors")
    for name, value in start.items():
        torch.testing.assert_close(after[name], value.float(), atol=1e-6, rtol=1e-6)
    fresh = cli("train", "lstm", *short, *more[4:], "--json").json["run"]
    assert fresh != second
    other, _ = load_weights(Path(fresh) / "weights.safetensors")
    assert any((other[name] - value.float()).abs().max() > 1e-3 for name, value in start.items())
    refused = cli("train", "lstm", *more, "--hidden", "7", "--from", str(tmp_path / "ready"), ok=False)
    assert (refused.code, "do not fit the network of 'lstm'" in refused.err) == (1, True)


def test_products_that_needed_no_training_are_no_weights(cli):
    """The newest run may hold velocities alone: `export` and `evaluate --run last` take newest weights."""
    trained = cli("evaluate", "toy", "--json").json["run"]
    plain = cli("predict", "toy", "--plain", "--json").json["run"]
    assert cli("runs", "show", "last", "--json").json["folder"] == plain
    assert f"the newest run is {trained}" in cli("export").err
    assert cli("evaluate", "--run", "last", "--json").json["run"] == trained
    refused = cli("export", plain, ok=False)
    assert (refused.code, "no weights" in refused.err) == (2, True)


@pytest.mark.parametrize("verb", ["predict", "train"])
def test_a_dry_run_of_an_export_brings_nothing_into_the_workspace(cli, verb):
    cli("train", "toy")
    export = cli("export", "--out", "toy.zip").out.strip()
    plan = cli(verb, "--from", export, "--workspace", "other", "--dry-run", "--json").json
    assert not Path("other").exists()
    made = cli(verb, "--from", export, "--workspace", "other", "--json").json
    assert made["folder"] == plan["steps"][-1]["folder"]


def test_a_run_of_weights_has_no_place_of_its_own(cli, shipped):
    made = cli("predict", "toy", "--glacier", "elsewhere", "--json").json
    refused = cli("evaluate", "--run", "last", ok=False)
    assert (refused.code, "were trained elsewhere" in refused.err) == (2, True)
    assert (
        cli("evaluate", "--run", "last", "--glacier", "demo", "--dry-run", "--json").json["glacier"] == "demo"
    )
    assert cli("report").out.strip() == str(Path(made["folder"], "report.html"))  # nothing is evaluated yet
    (row,) = cli("runs", "list", "--json").json
    assert (row["place"], row["score"]) == ("elsewhere", "not evaluated")


@pytest.mark.parametrize("model", ["front-unet", "inpaint-gan"])
def test_a_synthetic_glacier_trains_its_own_and_says_so(cli, model):
    (name,) = [one["name"] for one in cli("models", "list", "--json").json if one["model"] == model]
    own = {step["stage"]: step["folder"] for step in cli("demo", model, "--dry-run", "--json").json["steps"]}
    said = f"demo is a synthetic glacier, unlike those that the weights '{name}' learnt"
    for verb in ("predict", "evaluate"):
        planned = cli(verb, model, "--glacier", "demo", "--dry-run", "--json")
        steps = {step["stage"]: step["folder"] for step in planned.json["steps"]}
        assert (steps["train"], planned.err.count(said)) == (own["train"], 1)
        named = cli(verb, model, "--glacier", "demo", "--weights", name, "--dry-run", "--json")
        assert "train" not in [step["stage"] for step in named.json["steps"]]
        assert said not in named.err


def test_what_is_synthetic_is_decided_glacier_by_glacier(cli, shipped):
    both = cli("predict", "toy", "--glacier", "demo", "--glacier", "elsewhere", "--json")
    words = [Path(made["folder"], "prediction.txt").read_text() for made in both.json]
    assert words == ["3 1", "3 5"]
    assert both.err.count("is a synthetic glacier") == both.err.count("using the weights 'five'") == 1


def test_a_network_of_a_synthetic_glacier_says_so_elsewhere(cli, shipped):
    said = "was trained on demo, a synthetic glacier: it is used (--weights five takes"
    cli("train", "toy", "--epochs", "2")
    assert cli("predict", "toy", "--glacier", "elsewhere").err.count(said) == 1
    assert said not in cli("predict", "toy").err
    assert said not in cli("predict", "toy", "--glacier", "elsewhere", "--weights", "five").err
    assert said not in cli("predict", "toy", "--glacier", "elsewhere", "--run", "last").err


def test_a_source_that_is_named_makes_a_glacier_synthetic_and_ones_own_scenes_none(cli, shipped, tmp_path):
    (tmp_path / "mine").mkdir()
    named = cli("predict", "toy", "--glacier", "elsewhere", "--source", "synthetic", "--json")
    assert Path(named.json["folder"], "prediction.txt").read_text() == "3 1"
    shutil.rmtree("icectl-workspace/runs")
    own = cli("predict", "toy", "--glacier", "demo", "--scenes", str(tmp_path / "mine"), "--json")
    assert Path(own.json["folder"], "prediction.txt").read_text() == "3 5"
