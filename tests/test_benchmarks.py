"""Benchmarks: each ends through `finish`, stays short, and the page has its three tables."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


def load(name: str):
    """Import a module of the folder, which is no package; its helpers are found beside it."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def common():
    return load("common")


@pytest.fixture(scope="module")
def run_all():
    return load("run_all")


def scripts() -> list[Path]:
    return [p for p in sorted(FOLDER.glob("[!_]*.py")) if p.stem not in ("common", "run_all")]


def test_the_runner_finds_every_script(run_all):
    assert list(run_all.scripts().values()) == scripts()
    assert len(scripts()) >= 15


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.stem)
def test_a_script_ends_through_finish_under_its_own_name(script):
    text = script.read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    named = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "finish"]
    assert [c.args[0].value for c in named] == [script.stem]
    assert len(text.splitlines()) <= 150
    assert text.startswith('"""')


def test_the_page_has_three_tables_and_says_what_is_below(common, run_all, capsys):
    rows = [
        common.compare("a sum", lambda: sum(range(10)), lambda: sum(range(10_000)), against="a longer one"),
        common.absent("anything", "a tool that is not here"),
        common.paired("a step", [(2.0, 1.0)] * 3, against="a loop", kind="loop", floor=0.97, note="twice"),
        common.bound("memory", 500, 1500, "MB"),
    ]
    common.finish("example", rows, ("pytest",))
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert result["rows"][0]["ratio"] > 1
    text = run_all.page([result], ["broken"])
    for title in ("Against other tools", "Against a bare loop", "Bounds", "Below the floor", "Did not run"):
        assert text.count(f"## {title}\n") == 1
    assert "| example | anything | a tool that is not here | – | – | – |  | not installed |" in text
    assert "| example | a step | a loop | 2 s | 1 s | 0.5 | 0.97 | **below** twice |" in text
    assert "- example, a step, against a loop: 0.5 of 0.97. twice" in text
    assert "| example | memory | bound | 500 MB | 1,500 MB | 3 | 1 |" in text
    assert "- broken" in text
    assert f"pytest {pytest.__version__}" in text


def test_more_samples_a_second_are_better(common):
    assert common.paired("x", [(30.0, 10.0)], against="y", better="more").ratio == pytest.approx(3)


def test_a_script_that_fails_or_says_nothing_is_told(run_all, tmp_path, capsys):
    broken, silent, fine = (tmp_path / f"{name}.py" for name in ("broken", "silent", "fine"))
    broken.write_text("raise SystemExit('no luck')")
    silent.write_text("print('nothing')")
    fine.write_text("print('a table')\nprint('{\"rows\": [], \"seconds\": 1}')")
    assert run_all.run(broken) is None
    assert "no luck" in capsys.readouterr().err
    assert run_all.run(silent) is None
    assert "without its JSON line" in capsys.readouterr().err
    assert run_all.run(fine) == {"rows": [], "seconds": 1}
