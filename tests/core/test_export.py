"""Exports: nothing of the machine inside, usable in another workspace, hostile archives refused."""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path

import pytest

from icectl.errors import DataError
from icectl.sources.archive import unpack


@pytest.fixture
def exported(cli, tmp_path) -> Path:
    """An archive of an evaluated toy run, which read a file of the user's."""
    (tmp_path / "mine.txt").write_text("secret place")
    run = cli("evaluate", "toy", "--extra", str(tmp_path / "mine.txt"), "--json").json["run"]
    cli("export", Path(run).name, "--out", "toy.zip")
    return tmp_path / "toy.zip"


def test_export_predicts_in_another_workspace(cli, exported):
    shown = cli("predict", "--from", str(exported), "--workspace", "elsewhere", "--json").json
    assert (Path(shown["folder"]) / "prediction.txt").read_text() == "3 1"
    assert "elsewhere" in shown["run"]
    again = cli("predict", "toy", "--from", str(exported), "--workspace", "elsewhere", "--json").json
    assert again["skipped"]


def test_export_holds_a_card_and_no_path_of_this_machine(exported, tmp_path):
    with zipfile.ZipFile(exported) as archive:
        names = set(archive.namelist())
        text = " ".join(archive.read(name).decode() for name in names)
    assert {"run.json", "stage.json", "README.md", "LICENSE", "metrics.json", "weights.txt"} <= names
    assert str(tmp_path) not in text
    assert "| toy | model |" in text


def test_export_refuses_to_overwrite(cli, exported):
    run = next(Path("icectl-workspace/runs/toy/demo").iterdir())
    refused = cli("export", run.name, "--out", str(exported), ok=False)
    assert refused.code == 2
    assert "exists already" in refused.err


def _zip(path: Path, name: str, data: bytes = b"x", mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "mode", "words"),
    [
        ("../outside.txt", b"x", 0o100644, "holds the name"),
        ("/etc/outside", b"x", 0o100644, "holds the name"),
        ("a/../../b", b"x", 0o100644, "holds the name"),
        ("..\\outside", b"x", 0o100644, "holds the name"),
        ("a\nb", b"x", 0o100644, "holds the name"),
        ("\x1b[31mred", b"x", 0o100644, "holds the name"),
        ("n" * 300, b"x", 0o100644, "holds the name"),
        ("d/" * 3000 + "f", b"x", 0o100644, "holds the name"),
        ("link", b"/etc/passwd", 0o120777, "holds a link"),
        ("bomb", b"\0" * 50_000_000, 0o100644, "would unpack to"),
    ],
)
def test_hostile_archives_are_refused_before_anything_is_written(tmp_path, name, data, mode, words):
    archive = _zip(tmp_path / "hostile.zip", name, data, mode)
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=words):
        unpack(archive, tmp_path / "in")
    assert not list((tmp_path / "in").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hostile.zip", "in"]


def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path):
    archive = _zip(tmp_path / "hostile.zip", "one")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("one/two", "x")
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="'one' as a file and as a folder"):
        unpack(archive, tmp_path / "in")
    assert not list((tmp_path / "in").iterdir())


def test_an_archive_whose_files_overlap_is_refused(tmp_path):
    """Many names for the same bytes: each looks harmless, together they fill a disk."""
    archive = _zip(tmp_path / "hostile.zip", "one", bytes(range(256)) * 64)
    with zipfile.ZipFile(archive, "a") as opened:
        first = opened.infolist()[0]
        for number in range(50):
            again = copy.copy(first)
            again.filename = again.orig_filename = f"more{number}"
            opened.filelist.append(again)
        opened._didModify = True
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="overlap"):
        unpack(archive, tmp_path / "in")
    assert not list((tmp_path / "in").iterdir())


def test_what_is_no_export_is_named(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    for source in ("empty", "nowhere.zip"):
        refused = cli("predict", "toy", "--from", source, ok=False)
        assert refused.code == 2
        assert "hint:" in refused.err


def test_damaged_archive_is_named(cli, exported):
    data = exported.read_bytes()
    exported.write_bytes(data[: len(data) // 2])
    refused = cli("predict", "toy", "--from", str(exported), ok=False)
    assert refused.code == 2
    assert "no export" in refused.err


def test_the_model_card_has_a_head_that_hubs_read(cli):
    yaml = pytest.importorskip("yaml")
    run = cli("train", "toy", "--json").json["run"]
    folder = Path(cli("export", run, "--out", "out", "--licence", "CC-BY-4.0").out.strip())
    _, head, body = (folder / "README.md").read_text().split("---\n", 2)
    found = yaml.safe_load(head)
    assert found["license"] == "cc-by-4.0"
    assert found["library_name"] == "icectl"
    assert {"glacier", "words", "toy"} <= set(found["tags"])
    for words in ("## Intended use and limits", "Licence of the training data: none, they are synthetic."):
        assert words in body
