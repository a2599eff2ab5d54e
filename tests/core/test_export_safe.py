"""Exports and imports touch nothing of the user's: what stands beside the target, links, other folders."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from icectl import registry
from icectl.errors import IcectlError
from icectl.imports import import_run
from icectl.workspace import Workspace
from icectl.workspace.integrity import contents


@pytest.fixture
def run(cli) -> Path:
    """A finished toy run."""
    return Path(cli("train", "toy", "--json").json["run"])


@pytest.fixture
def exported(cli, run, tmp_path) -> Path:
    cli("export", run.name, "--out", "good")
    return tmp_path / "good"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_stands_beside_the_archive_stays(cli, run, tmp_path):
    for name in ("results", ".results.partial", ".results.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    (tmp_path / "results.partial").write_text("mine")
    before = {name: text for name, text in tree(tmp_path).items() if "workspace" not in name}
    cli("export", run.name, "--out", "results.zip")
    after = {name: text for name, text in tree(tmp_path).items() if "workspace" not in name}
    assert after.pop("results.zip")
    assert after == before


def test_a_failed_export_leaves_nothing(cli, run, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", full)
    failed = cli("export", run.name, "--out", "new/deep/results.zip", ok=False)
    assert "is full" in failed.err
    assert [p.name for p in tmp_path.iterdir()] == ["icectl-workspace"]


def test_a_target_that_came_meanwhile_is_not_replaced(cli, run, tmp_path, monkeypatch):
    from icectl import export

    write = export._fill

    def slow(*arguments: object) -> None:
        write(*arguments)
        (tmp_path / "results.zip").write_text("mine")

    monkeypatch.setattr(export, "_fill", slow)
    assert "exists already" in cli("export", run.name, "--out", "results.zip", ok=False).err
    assert (tmp_path / "results.zip").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["icectl-workspace", "results.zip"]


def change(export: Path, target: Path, **values: object) -> Path:
    """Copy an export with other values in both of its records."""
    shutil.copytree(export, target)
    for name in ("run.json", "stage.json"):
        record = json.loads((target / name).read_text())
        record.update({key: value for key, value in values.items() if key in record})
        if name == "stage.json" and "files" not in values:
            with contextlib.suppress(Exception):  # outputs that lead elsewhere have no checksum
                record["files"] = contents(target, record["outputs"])
        (target / name).write_text(json.dumps(record))
    return target


HOSTILE = [
    {"fingerprint": "/somewhere"},
    {"fingerprint": "../../lstm"},
    {"fingerprint": None},
    {"fingerprint": 5},
    {"fingerprint": "5"},
    {"fingerprint": "0123456789\n"},
    {"glacier": {"name": ""}},
    {"glacier": {"name": "a/../../.."}},
    {"glacier": {"name": "a\nb"}},
    {"glacier": {"name": None}},
    {"glacier": 5},
    {"outputs": ["../../../secret"]},
    {"outputs": "weights.txt"},
    {"outputs": [None]},
    {"options": {"train": {"rate": -1}}},
    {"options": {"train": 5}},
    {"options": []},
    {"seed": -1},
    {"seed": "x"},
    {"schema": 99},
    {"model": "nothing"},
    {"model": ["toy"]},
]


@pytest.mark.parametrize("values", HOSTILE, ids=str)
def test_a_hostile_export_is_refused_and_leaves_nothing(cli, exported, tmp_path, values):
    hostile = change(exported, tmp_path / "hostile", **values)
    before = tree(tmp_path)
    refused = cli("predict", "toy", "--from", str(hostile), ok=False)
    assert "hint:" in refused.err
    assert "unexpected" not in refused.err
    assert tree(tmp_path) == before
    assert "finished" not in refused.err
    assert cli("predict", "toy", "--from", str(exported), "--workspace", "other", "--json").json["folder"]


@pytest.mark.parametrize("record", ["run.json", "stage.json"])
@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"seed": ' + "9" * 5000 + "}", "\0"], ids=["deep", "digits", "zero"]
)
def test_a_record_that_is_no_json_names_the_export(cli, exported, tmp_path, record, content):
    (exported / record).write_text(content)
    archive = shutil.make_archive(str(tmp_path / "odd"), "zip", exported)
    for export in (archive, exported):
        refused = cli("predict", "toy", "--from", str(export), "--workspace", "other", ok=False)
        assert str(export) in refused.err
        assert "copy it again" in refused.err  # it said to run a stage again, of a folder that was gone


def test_a_name_that_is_none_in_an_export_is_refused(cli, exported, tmp_path):
    (exported / "a\nb").write_text("x")
    refused = cli("predict", "toy", "--from", str(exported), "--workspace", "other", ok=False)
    assert "no plain file" in refused.err
    assert not (tmp_path / "other").exists()


def test_links_in_an_export_are_refused(cli, exported, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (exported / "weights.txt").unlink()
    (exported / "weights.txt").symlink_to(tmp_path / "secret")
    refused = cli("predict", "toy", "--from", str(exported), "--workspace", "other", ok=False)
    assert "no plain file" in refused.err
    assert not (tmp_path / "other").exists()


def test_paths_that_an_export_names_are_not_followed(cli, exported, tmp_path):
    (tmp_path / "theirs").mkdir()
    hostile = change(
        exported, tmp_path / "hostile", scenes=str(tmp_path / "theirs"), inputs={"fetch": "/etc"}
    )
    place = import_run(hostile, Workspace(tmp_path / "other"))
    saved = json.loads((place / "run.json").read_text())
    assert saved["scenes"] is None
    assert saved["inputs"] == {}


def test_the_same_fingerprint_with_other_content_is_said(cli, exported, tmp_path):
    other = Workspace(tmp_path / "other")
    (exported / "weights.txt").write_text("7")
    change(exported, tmp_path / "forged")
    (exported / "weights.txt").write_text("1")
    place = import_run(exported, other)
    assert import_run(exported, other) == place
    with pytest.raises(IcectlError, match=r"has the fingerprint of .* but another 'weights\.txt'"):
        import_run(tmp_path / "forged", other)
    assert (place / "weights.txt").read_text() == "1"


def test_a_link_out_of_the_workspace_is_refused(cli, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "icectl-workspace").mkdir()
    (tmp_path / "icectl-workspace" / "runs").symlink_to(tmp_path / "elsewhere")
    refused = cli("train", "toy", ok=False)
    assert "leads out of the workspace" in refused.err
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_folder_of_the_users_in_the_place_of_a_stage_stays(cli, run, tmp_path):
    shutil.rmtree(run)
    run.mkdir()
    (run / "mine.txt").write_text("mine")
    for words in ((), ("--force",)):
        refused = cli("train", "toy", *words, ok=False)
        assert "was not made by icectl" in refused.err
        assert (run / "mine.txt").read_text() == "mine"


EXAMPLES = int(os.environ.get("ICECTL_FAULT_EXAMPLES", "60"))

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(["/tmp", "../..", "a/b", "toy", "demo", "train", ".", "..", "", "0" * 64]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_KEYS = ["model", "schema", "glacier", "options", "seed", "fingerprint", "command", "scenes", "inputs"]
_KEYS += ["stage", "outputs", "notes", "meter", "glacier.name", "options.train", "options.fetch"]


@pytest.fixture(scope="module")
def plain_export(tmp_path_factory) -> dict[str, dict]:
    """The two records of an export, made once by hand for many changes."""
    glacier = {"name": "demo", "title": ""}
    shared = {
        "model": "toy",
        "fingerprint": "ab" * 32,
        "seed": 0,
        "command": "icectl train toy",
        "inputs": {},
    }
    saved = {**shared, "schema": 1, "glacier": glacier, "options": {}, "scenes": None}
    record = {**shared, "stage": "train", "options": {}, "outputs": ["weights.txt"], "notes": {}, "meter": {}}
    return {"run.json": saved, "stage.json": record}


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.dictionaries(st.sampled_from(_KEYS), _JSON, min_size=1, max_size=3), whole=st.none() | _JSON
)
def test_any_record_is_imported_into_its_place_or_refused(
    toy, plain_export, tmp_path_factory, changes, whole
):
    registry.refresh()
    base = tmp_path_factory.mktemp("fuzzed")
    export, root = base / "export", base / "deep" / "workspace"
    export.mkdir()
    (export / "weights.txt").write_text("1")
    for name, record in plain_export.items():
        value = json.loads(json.dumps(record))
        for key, new in changes.items():
            outer, _, inner = key.partition(".")
            if not inner:
                value[outer] = new
            elif isinstance(value.get(outer), dict):
                value[outer][inner] = new
        (export / name).write_text(json.dumps(value if whole is None else whole))
    outside = tree(base / "export")
    try:
        place = import_run(export, Workspace(root))
    except IcectlError:
        assert not root.exists()
    else:
        assert place.resolve().is_relative_to(root.resolve() / "runs" / "toy")
        assert len(place.relative_to(root).parts) == 4
    assert tree(base / "export") == outside
    assert sorted(os.listdir(base)) in (["export"], ["deep", "export"])
    shutil.rmtree(base)
