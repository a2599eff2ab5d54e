"""What a stage wrote is checked before a later one reads it: sizes, checksums, records of another shape."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from icectl.errors import DataError
from icectl.workspace import Workspace, contents, damage, integrity, stage_of, write_json

OUTPUTS = {
    "fetch": "glaciers/demo/scenes/*/words.txt",
    "prepare": "glaciers/demo/prepared/*/dataset.txt",
    "train": "runs/toy/demo/*/weights.txt",
    "predict": "runs/toy/demo/*/predictions/*/prediction.txt",
}


def one(pattern: str) -> Path:
    return next(Path("icectl-workspace").glob(pattern))


def flip(path: Path, byte: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("verb", OUTPUTS)
@pytest.mark.parametrize("harm", ["flipped", "deleted", "longer"])
def test_damage_is_said_and_made_again(cli, verb, harm):
    expected = cli("evaluate", "toy", "--epochs", "3", "--json").json["metrics"]["tables"]
    path = one(OUTPUTS[verb])
    content = path.read_bytes()
    flip(path) if harm == "flipped" else path.unlink() if harm == "deleted" else path.write_bytes(content * 2)
    shown = cli("evaluate", "toy", "--epochs", "3", "--force", "--json")
    assert f"{verb} toy on demo" in shown.err
    assert shown.json["metrics"]["tables"] == expected
    assert path.read_bytes() == content
    assert "is damaged, so it is made again" in shown.err or harm != "flipped"


def test_damaged_weights_of_a_chosen_run_are_refused_and_the_hint_works(cli):
    run = cli("evaluate", "toy", "--json").json["run"]
    flip(Path(run) / "weights.txt")
    refused = cli("predict", "toy", "--run", Path(run).name, ok=False)
    assert "weights.txt is damaged: it is not what was written" in refused.err
    command = refused.err.partition("away and run `icectl ")[2].partition("`")[0]
    shutil.move(run, "elsewhere")
    assert "train toy on demo" in cli(*command.split()).err
    assert cli("predict", "toy", "--run", Path(run).name, "--json").json["folder"]


def test_doctor_checks_every_file_of_a_workspace(cli):
    cli("evaluate", "toy")
    well = cli("doctor", "--workspace", "icectl-workspace", "--json", ok=False).json
    assert [c["found"] for c in well if c["name"] == "stages"] == ["5 looked at"]
    assert all(c["ok"] for c in well if "/" in c["name"])
    flip(one(OUTPUTS["prepare"]))
    shown = cli("doctor", "--workspace", "icectl-workspace", "--json", ok=False)
    wrong = [c for c in shown.json if c["name"].startswith("glaciers/demo/prepared/")]
    assert shown.code == 1
    assert [c["found"] for c in wrong] == ["damaged: dataset.txt"]


def test_export_refuses_damaged_weights(cli):
    run = cli("train", "toy", "--json").json["run"]
    flip(Path(run) / "weights.txt")
    assert "is damaged" in cli("export", Path(run).name, "--out", "x.zip", ok=False).err
    assert not Path("x.zip").exists()


def test_import_refuses_damaged_weights(cli):
    run = cli("train", "toy", "--json").json["run"]
    cli("export", Path(run).name, "--out", "x")
    flip(Path("x/weights.txt"))
    assert "'weights.txt' of" in cli("predict", "toy", "--from", "x", "--workspace", "other", ok=False).err
    assert not Path("other").exists()


SHAPES = [
    "",
    "{",
    "[]",
    "5",
    "null",
    '"x"',
    "{}",
    '{"outputs": 5}',
    '{"fingerprint": []}',
    "[" * 5000,
    "\udcff",
]
SHAPES += ['{"fingerprint": "a", "outputs": [5], "options": {}, "notes": {}, "meter": {}}']
SHAPES += [
    '{"fingerprint": "a", "outputs": [], "options": {}, "notes": {}, "meter": {}, "files": {"/etc": 5}}'
]


@pytest.mark.parametrize("verb", ["fetch", "prepare", "predict"])
def test_a_record_of_another_shape_is_made_again(cli, verb):
    expected = cli("evaluate", "toy", "--json").json["metrics"]["tables"]
    record = one(OUTPUTS[verb]).parent / "stage.json"
    for text in SHAPES:
        record.write_bytes(text.encode(errors="surrogateescape"))
        shown = cli("evaluate", "toy", "--force", "--json")
        assert f"{verb} toy on demo" in shown.err, text
        assert shown.json["metrics"]["tables"] == expected
        assert stage_of(record.parent)["stage"] == verb


@pytest.mark.parametrize("name", ["run.json", "stage.json"])
def test_records_of_a_run_of_another_shape_are_one_sentence(cli, name):
    run = Path(cli("evaluate", "toy", "--json").json["run"])
    for text in SHAPES:
        (run / name).write_bytes(text.encode(errors="surrogateescape"))
        for words in (["predict", "toy", "--run", run.name], ["export", run.name], ["report", str(run)]):
            refused = cli(*words, ok=False)
            assert "unexpected" not in refused.err, refused.err
            assert "hint:" in refused.err or (words[0] == "report" and name == "stage.json")


def test_checksums_are_taken_where_cheap_and_sizes_always(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "c0").write_bytes(b"x" * 1000)
    (tmp_path / "small").write_bytes(b"y")
    record = {"fingerprint": "a", "options": {}, "notes": {}, "meter": {}, "outputs": ["small", "store"]}
    write_json(tmp_path / "stage.json", {**record, "files": contents(tmp_path, ["small", "store"])})
    assert damage(tmp_path) == []
    flip(tmp_path / "store" / "c0")
    flip(tmp_path / "small")
    assert damage(tmp_path, 10) == ["small"]
    assert damage(tmp_path) == ["small", "store/c0"]
    (tmp_path / "store" / "c0").unlink()
    assert damage(tmp_path, 0) == ["store/c0"]


def test_two_spellings_of_a_workspace_take_one_lock(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    order = []

    def second() -> None:
        with Workspace(tmp_path / "link").lock(tmp_path / "link" / "runs" / "x"):
            order.append("second")

    with Workspace(tmp_path / "real").lock(tmp_path / "real" / "runs" / "x"):
        other = threading.Thread(target=second)
        other.start()
        other.join(0.3)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]


def test_a_workspace_that_moves_works_whole(cli, tmp_path):
    shown = cli("evaluate", "toy", "--json").json
    moved = tmp_path / "far" / "away"
    moved.parent.mkdir()
    shutil.move("icectl-workspace", moved)
    for path in moved.rglob("*.json"):
        assert str(tmp_path) not in path.read_text(), path
        assert not any(v.startswith("/") for v in json.loads(path.read_text()).get("inputs", {}).values())
    again = cli("evaluate", "toy", "--workspace", str(moved), "--json")
    assert again.json["skipped"]
    assert again.json["metrics"] == shown["metrics"]
    cli("report", Path(shown["run"]).name, "--workspace", str(moved))
    cli("export", Path(shown["run"]).name, "--workspace", str(moved), "--out", "moved.zip")
    assert "words" in json.dumps(json.loads(next(moved.glob("runs/*/*/*/stage.json")).read_text()))
    assert os.listdir(tmp_path / "far") == ["away"]


def test_a_record_that_is_no_object_is_a_data_error(tmp_path):
    (tmp_path / "stage.json").write_text("[]")
    with pytest.raises(DataError, match="no record of a stage"):
        stage_of(tmp_path)


@pytest.mark.parametrize("flag", ["--extra", "--scenes"])
def test_a_folder_of_far_too_much_is_not_walked_to_its_end(cli, tmp_path, monkeypatch, flag):
    monkeypatch.setattr(integrity, "MOST_FILES", 5)
    for name in "abc":
        (tmp_path / "much" / name).mkdir(parents=True)
        (tmp_path / "much" / name / "x.tif").write_bytes(b"")
    refused = cli("fetch", "toy", flag, "much", "--dry-run", ok=False)
    assert "much holds more than 5 files and folders" in refused.err
    assert "hint: name the folder that holds the data alone" in refused.err
    assert cli("fetch", "toy", flag, "much/a", "--dry-run").code == 0
