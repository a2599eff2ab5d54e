"""Glaciers by name, by file and by list: what is added is found, what is wrong is worded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ALETSCH = ["--bbox", "7.9", "46.3", "8.2", "46.6"]


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))


def test_an_added_glacier_is_listed_shown_and_used(cli):
    file = Path(cli("glaciers", "add", "mine", *ALETSCH, "--here", "--model", "toy").out.strip())
    assert file == Path("configs/glaciers/mine.toml").absolute()
    found = {one["name"]: one for one in cli("glaciers", "list", "--json").json}
    assert found["mine"]["file"] == str(file)
    assert found["mine"]["bbox"] == [7.9, 46.3, 8.2, 46.6]
    assert "mine" in cli("glaciers", "list").out
    shown = cli("glaciers", "show", "mine").out
    assert f"file: {file}" in shown
    assert cli("glaciers", "show", "mine", "--json").json["model"] == "toy"
    assert cli("fetch", "--glacier", "mine", "--dry-run", "--json").json["model"] == "toy"


def test_a_file_of_yours_is_not_overwritten_unless_asked(cli):
    cli("glaciers", "add", "mine", *ALETSCH, "--here")
    refused = cli("glaciers", "add", "mine", *ALETSCH, "--here", "--title", "New", ok=False)
    assert (refused.code, "is there already" in refused.err, "--force" in refused.err) == (2, True, True)
    cli("glaciers", "add", "mine", *ALETSCH, "--here", "--title", "New", "--force")
    assert cli("glaciers", "show", "mine", "--json").json["title"] == "New"


def test_an_outline_gives_the_box_in_degrees(cli):
    geopandas = pytest.importorskip("geopandas")
    from shapely.geometry import box

    frame = geopandas.GeoDataFrame(geometry=[box(8.0, 46.4, 8.1, 46.5)], crs="EPSG:4326").to_crs(32632)
    frame.to_file("outline.gpkg")
    cli("glaciers", "add", "outlined", "--outline", "outline.gpkg", "--here")
    found = cli("glaciers", "show", "outlined", "--json").json
    assert found["bbox"] == pytest.approx([8.0, 46.4, 8.1, 46.5], abs=0.003)
    assert found["outline"] == str(Path("outline.gpkg").absolute())


@pytest.mark.parametrize("flag", ["--outline", "--dem"])
def test_a_missing_file_is_named(cli, flag):
    refused = cli("glaciers", "add", "mine", *ALETSCH, flag, "nowhere.gpkg", "--here", ok=False)
    assert (refused.code, f"{flag} nowhere.gpkg does not exist" in refused.err) == (2, True)
    assert not Path("configs").exists()


def test_a_list_of_names_is_worked_through(cli):
    Path("names.txt").write_text("demo\n\n parvati \n")
    shown = cli("fetch", "toy", "--glaciers", "names.txt", "--json")
    assert [one["glacier"] for one in shown.json] == ["demo", "parvati"]
    table = cli("fetch", "toy", "--glaciers", "names.txt").out
    assert "2 glaciers" in table


@pytest.mark.parametrize(
    ("chosen", "text", "sentence"),
    [
        ("absent.txt", None, "--glaciers absent.txt is neither rgi:REGION nor a file of names"),
        ("empty.txt", "\n \n", "--glaciers empty.txt names no glacier"),
        ("rgi:19", None, "--glaciers rgi:19 names no glacier"),
    ],
)
def test_a_list_without_names_is_refused(cli, chosen, text, sentence):
    if text is not None:
        Path(chosen).write_text(text)
    refused = cli("fetch", "toy", "--glaciers", chosen, ok=False)
    assert (refused.code, sentence in refused.err, "hint:" in refused.err) == (2, True, True)


def test_a_region_means_the_known_glaciers_in_it(cli):
    cli("glaciers", "add", "mine", *ALETSCH, "--here")
    file = Path("configs/glaciers/mine.toml")
    file.write_text(file.read_text() + 'rgi = "RGI60-19.00001"\n')
    shown = cli("fetch", "toy", "--glaciers", "rgi:19", "--json").json
    assert shown["glacier"] == "mine"


def test_a_file_that_is_no_toml_is_named(cli):
    folder = Path("configs/glaciers")
    folder.mkdir(parents=True)
    (folder / "broken.toml").write_text("bbox = [1, 2\n")
    refused = cli("fetch", "toy", "--glacier", "broken", ok=False)
    assert refused.code in (1, 2)
    assert str(folder / "broken.toml") in refused.err


def test_names_of_several_glaciers_fail_one_by_one(cli, monkeypatch):
    """The exit code is that of a failure, and the table says which."""
    from toy_plugin import Toy

    from icectl.errors import DataError

    plain = Toy.fetch

    def fetch(self, run, options):
        if run.glacier.name == "parvati":
            raise DataError("no scene there", "look elsewhere")
        return plain(self, run, options)

    monkeypatch.setattr(Toy, "fetch", fetch)
    shown = cli("fetch", "toy", "--glacier", "parvati", "--glacier", "demo", "--json", ok=False)
    assert shown.code == 1
    found = {one["glacier"]: one for one in json.loads(shown.out)}
    assert found["parvati"]["failed"] == "no scene there"
    assert "failed" not in found["demo"]
