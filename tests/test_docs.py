"""Every command that README and docs show is one that icectl takes; links lead somewhere.

Listings run as they stand, comparisons with ``--dry-run``. The options of other commands are parsed without
hours of work; what they do is tested elsewhere.
"""

from __future__ import annotations

import ast
import doctest
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]
VERBS = {"fetch", "prepare", "train", "predict", "evaluate", "run"}
LIGHT = {"plugins list", "plugins show", "glaciers list", "glaciers show", "glaciers add", "completions"}
OPTION = r"(?<![\w-])--[a-z][a-z0-9-]*"
ELSEWHERE = {
    "demo",
    "doctor",
    "devices",
    "report",
    "export",
    "plugins new",
    "plugins validate",
    "models list",
    "models show",
    "models add",
    "runs list",
    "runs show",
    "runs remove",
}
"""Tried in tests of their own; here only that the command exists and takes the options."""


def commands() -> Iterator[tuple[str, str]]:
    """Page and command of every icectl line in a shell block, or in one of no language."""
    for page in PAGES:
        for language, block in re.findall(r"```(\w*)\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            if language not in ("", "sh", "bash", "console"):
                continue
            for line in block.replace("\\\n", " ").splitlines():
                text = line.strip().removeprefix("$ ").partition(" #")[0].strip()
                text = re.sub(r"^(srun|torchrun) .*?(?=icectl [a-z])", "", text)
                if text.startswith("icectl "):
                    yield page.relative_to(ROOT).as_posix(), re.sub(r"\[|\]", "", text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds the files which the pages name."""
    monkeypatch.chdir(tmp_path)
    for _, text in commands():
        for word in shlex.split(text)[1:]:
            _make(tmp_path, word)
    return tmp_path


def _make(folder: Path, word: str) -> None:
    """Make a stand-in for a file or folder that a command names; empty, but where the command reads it."""
    suffix = Path(word).suffix
    if word.startswith(("-", "$", "tcp:", "http", "rgi:", "local:")) or word in {".", ".."}:
        return
    path = folder / word
    if suffix in {".tif", ".gpkg", ".shp", ".csv", ".txt", ".zip", ".nc"} and ".." not in word:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if path.name == "outline.gpkg":  # `glaciers add` reads it
            square = shapely.box(7.93, 46.38, 8.17, 46.54)
            gpd.GeoDataFrame(geometry=[square], crs="EPSG:4326").to_file(path)
        elif path.stem.isupper() and suffix in {".gpkg", ".shp"}:  # sets of fronts, which `compare` reads
            lines = [shapely.LineString([(lon, 70.0), (lon, 70.1)]) for lon in (-51.0, -50.98)]
            days = {"Date": ["2016-07-29", "2017-07-29"], "Glacier": ["demo", "demo"]}
            gpd.GeoDataFrame(days, geometry=lines, crs="EPSG:4326").to_file(path)
    elif (word.startswith("my-") and not suffix) or re.fullmatch(r"[A-Z_]{3,}", word):
        path.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize(("page", "text"), sorted(set(commands())))
def test_shown_command_is_one_that_icectl_takes(page, text, place, monkeypatch, capsys):
    import typer

    from icectl import cli
    from icectl.cli.app import app

    words = shlex.split(text.partition(" > ")[0].partition(" | ")[0])[1:]
    if any(w.startswith("..") for w in words) and not (ROOT.parent / "shared").is_dir():
        pytest.skip("the command reads real measurements that are not here")
    words = ["convlstm" if w == "MODEL" else w for w in words]
    words = [str((ROOT / w).resolve()) if w.startswith("../shared") else w for w in words]
    monkeypatch.setattr(sys, "argv", ["icectl", *words])
    named = " ".join(words[:2])
    if words[0] in VERBS:
        _dry_run(words)
    elif named in LIGHT or words[0] in LIGHT:
        assert cli.call(words) == 0, capsys.readouterr().err
    elif words[0] == "compare":
        assert cli.call([*words, "--dry-run"]) == 0, capsys.readouterr().err
    elif named in ELSEWHERE or words[0] in ELSEWHERE:
        command = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command, *words = command.commands[words[0]], *words[1:]
        command.make_context(named, words)
    else:
        pytest.fail(f"{page} shows a command that no test knows: {text}")


def _dry_run(words: list[str]) -> None:
    """Parse the command as typed, with ``--dry-run``; no option may be unknown."""
    from icectl.cli import verbs
    from icectl.registry import get

    named = words[1:2] if words[1:2] and not words[1].startswith("-") else []
    if "--from" in words and not named:  # the export itself would say the model; the stand-in is empty
        words = [words[0], "convlstm", *words[1:]]
    arranged = verbs.arrange(words[0], words[1:])
    if arranged == ["--help"] or "--help" in arranged:
        return
    command = verbs.command(words[0], get(arranged[0]))
    assert command.make_context(arranged[0], [*arranged[1:], "--dry-run"]).params["dry_run"]


WITH_EXAMPLES = sorted(
    path.relative_to(root).with_suffix("").as_posix().replace("/", ".")
    for root, folder in ((ROOT, "icectl"), (ROOT / "plugins", "."))
    for path in (root / folder).rglob("*.py")
    if any(">>> " in line and "+SKIP" not in line for line in path.read_text(encoding="utf-8").splitlines())
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_hold(name):
    tried = doctest.testmod(import_module(name.removesuffix(".__init__")))
    assert tried.attempted
    assert not tried.failed


def test_links_inside_the_documentation_lead_somewhere():
    broken = []
    for page in PAGES:
        prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if (
                "://" not in target
                and not target.startswith("mailto:")
                and not (page.parent / target).exists()
            ):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken, "\n".join(broken)


def test_the_pages_keep_no_path_of_a_machine():
    wrong = [str(p) for p in PAGES if re.search(r"/(home|root|work|Users)/\w", p.read_text(encoding="utf-8"))]
    assert not wrong


OF_OTHER_TOOLS = {"--force-reinstall", "--ntasks-per-node", "--strict"}
"""Options of pip, Slurm and mypy that pages or hints name."""


def options_of(command: Any) -> set[str]:
    """Return every option of a command and of those below it."""
    inside = (command.commands[name] for name in command.commands) if hasattr(command, "commands") else ()
    own = {word for p in command.params for word in [*p.opts, *p.secondary_opts]}
    return own.union(*map(options_of, inside))


def test_options_that_pages_and_hints_name_exist():
    import typer

    from icectl.cli.app import app

    known = options_of(typer.main.get_command(app)) | {"--help", "--help-all", "--debug"} | OF_OTHER_TOOLS
    named = []
    for page in PAGES:
        if "results" not in page.parts:  # which name those of benchmarks too
            prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
            named += [(page.name, word) for word in re.findall(OPTION, prose)]
    for path in [*(ROOT / "icectl").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "").endswith("Error"):
                texts = [n.value for n in ast.walk(call) if isinstance(n, ast.Constant)]
                named += [(path.name, w) for t in texts if isinstance(t, str) for w in re.findall(OPTION, t)]
    assert len(named) > 300
    assert not [one for one in named if one[1] not in known]


def test_pictures_are_light():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").glob("*.png")}
    assert len(sizes) > 5
    assert max(sizes.values()) < 250_000, sizes


def test_the_reference_page_is_what_the_command_line_is():
    page = runpy.run_path(str(ROOT / "docs" / "reference" / "cli.py"))["page"]

    shown = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert shown == page(), "write it again: python docs/reference/cli.py > docs/reference/cli.md"
