"""compare: every model of a task in one table, baselines once."""

from __future__ import annotations

import pytest

from icectl.cli.compare import merged


@pytest.fixture
def two_toys(toy, tmp_path, monkeypatch):
    """A second model of the toy's task, under another name."""
    from icectl import registry

    (tmp_path / "second_toy.py").write_text(
        "import dataclasses\nfrom toy_plugin import plugin as first\n"
        "plugin = dataclasses.replace(first, name='second', aliases=())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ICECTL_PLUGINS", "toy=toy_plugin:plugin,second=second_toy:plugin")
    registry.refresh()


def test_all_models_of_a_task_fill_one_table(cli, two_toys):
    record = cli("compare", "--task", "words", "--epochs", "3", "--json").json
    rows = record["tables"][0]["rows"]
    assert [row["kind"] for row in rows] == ["model", "baseline", "baseline"]
    assert rows[0]["values"]["error"] == 1.0  # both toys score alike and share a name: one row


def test_wrong_use_is_worded(cli):
    assert "compare what?" in cli("compare", ok=False).err
    assert "no model has the task 'nothing'" in cli("compare", "--task", "nothing", ok=False).err
    assert "takes two files" in cli("compare", "fronts", "a.gpkg", ok=False).err
    assert "a.gpkg does not exist" in cli("compare", "fronts", "a.gpkg", "b.gpkg", ok=False).err


def _record(name: str, error: float, rival: float) -> dict:
    rows = [
        {"name": name, "kind": "model", "values": {"e": error}, "note": ""},
        {"name": "rival", "kind": "baseline", "values": {"e": rival}, "note": ""},
    ]
    table = {"title": "T", "columns": [{"key": "e"}], "rows": rows, "primary": "e", "note": ""}
    return {"tables": [table], "notes": ["same for all"], "details": {}}


def test_a_baseline_that_differs_between_models_is_kept_twice():
    alike = merged([_record("a", 1, 3), _record("b", 2, 3)])
    assert [row["name"] for row in alike["tables"][0]["rows"]] == ["a", "b", "rival"]
    assert alike["notes"] == ["same for all"]
    apart = merged([_record("a", 1, 3), _record("b", 2, 4)])
    assert [row["name"] for row in apart["tables"][0]["rows"]] == ["a", "b", "rival", "rival (b's samples)"]
