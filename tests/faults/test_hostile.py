"""Hostile names: nothing outside the workspace is touched, nothing is executed, HTML stays text."""

from __future__ import annotations

from pathlib import Path

import pytest
from fieldwork import OPTIONS

pytestmark = pytest.mark.faults

NAMES = [
    "../../etc",
    "/etc/passwd",
    "..",
    "a/b",
    "a b",
    "Ünï",
    "x" * 300,
    "-rf",
    "<script>alert(1)</script>",
    "$(touch x)",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_glacier_names(field, tmp_path: Path, name: str) -> None:
    code, log = field.icectl("fetch", "field", f"--glacier={name}", workspace=tmp_path / "workspace")
    assert code == 2, log
    assert "Traceback" not in log
    assert [path.name for path in tmp_path.iterdir()] == ["workspace.log"]


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/../b"])
def test_hostile_names_inside_a_file(field, tmp_path: Path, name: str) -> None:
    """A glacier's file may not name itself out of its folder."""
    folder = field.folder / "configs" / "glaciers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sly.toml").write_text(f'name = "{name}"\n')
    code, log = field.icectl("fetch", "field", "--glacier", "sly", workspace=tmp_path / "workspace")
    (folder / "sly.toml").unlink()
    assert code == 2, log
    assert "name" in log
    assert "Traceback" not in log


def test_html_in_a_title_stays_text(field, tmp_path: Path) -> None:
    folder = field.folder / "configs" / "glaciers"
    folder.mkdir(parents=True, exist_ok=True)
    title = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    (folder / "scripted.toml").write_text(f'title = "{title}"\n')
    options = ["--glacier", "scripted", *OPTIONS[2:]]
    code, log = field.icectl("run", "field", *options, workspace=tmp_path / "workspace")
    (folder / "scripted.toml").unlink()
    assert code == 0, log
    page = next((tmp_path / "workspace").rglob("report.html")).read_text()
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("run", ["../../..", "/etc", "nowhere", "*"])
def test_hostile_runs(field, tmp_path: Path, run: str) -> None:
    code, log = field.icectl(
        "predict", "field", f"--run={run}", "--glacier", "demo", workspace=tmp_path / "workspace"
    )
    assert code in (1, 2), log
    assert "Traceback" not in log
