"""``icectl plugins new``: names, folders, and how little a plugin is."""

from __future__ import annotations

from pathlib import Path

import pytest

from icectl import scaffold
from icectl.errors import UsageError, WorkError
from icectl.tasks import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_a_plugin_is_small(code_lines, tmp_path: Path, task: str) -> None:
    """At most 15 lines of Python besides the network, 12 of TOML."""
    folder = scaffold.create("my-net", task, tmp_path)
    descriptor = (folder / "icectl_my_net" / "__init__.py").read_text()
    network = (folder / "icectl_my_net" / "network.py").read_text()
    model = network[network.index("class Model") :]
    imports = sum(line.startswith("from icectl") for line in network.splitlines())
    beside = code_lines(descriptor) + code_lines(model) + imports
    assert beside <= 15, beside
    toml = [line for line in (folder / "pyproject.toml").read_text().splitlines() if line.strip()]
    assert len(toml) <= 12


@pytest.mark.parametrize("kind", scaffold.KINDS)
def test_what_is_written_is_whole_and_tidy(tmp_path: Path, kind: str) -> None:
    folder = scaffold.create("two-words", kind, tmp_path)
    assert folder.name == "icectl-two-words"
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert {"README.md", "pyproject.toml", "icectl_two_words/__init__.py", "tests/test_plugin.py"} <= set(
        files
    )
    for path in folder.rglob("*.*"):
        if path.is_file():
            text = path.read_text()
            assert "{{" not in text, path
            assert max(map(len, text.splitlines())) <= 120, path
            if path.suffix == ".py":
                compile(text, str(path), "exec")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil", "is no name for a plugin"),
        ("My_Net", "is no name for a plugin"),
        ("a" * 41, "is no name for a plugin"),
        ("-x", "is no name for a plugin"),
        ("class", "it is a reserved word"),
        ("glacier", "it is a reserved word"),
        ("convlstm", r"the name 'convlstm' is taken by icectl"),
    ],
)
def test_bad_names_are_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        scaffold.create(name, "snow", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_faults_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--task ice is not known"):
        scaffold.create("my-net", "ice", tmp_path)
    scaffold.create("my-net", "own", tmp_path)
    with pytest.raises(UsageError, match="icectl-my-net exists"):
        scaffold.create("my-net", "own", tmp_path)
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(WorkError, match="could not be written"):
        scaffold.create("my-net", "own", blocked)
