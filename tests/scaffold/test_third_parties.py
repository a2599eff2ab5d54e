"""Wheels of third parties in a real environment: found, used, removed; the faulty ones set apart."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from icectl import scaffold


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("third-parties")


@pytest.fixture(scope="module")
def env(workplace: Path, new_environment):
    return new_environment(workplace / "venv")


def package(workplace: Path, name: str) -> Path:
    return scaffold.create(name, "own", workplace)


def wheel(folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(folder),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def change(folder: Path, old: str, new: str) -> None:
    """Replace words in every file of a package."""
    for path in folder.rglob("*"):
        if path.suffix in (".py", ".toml"):
            path.write_text(path.read_text().replace(old, new))


@pytest.fixture(scope="module")
def installed(env, workplace: Path):
    """A sound one, one that raises at import, one for another API, one that takes an existing name."""
    sound, raising, other, taker = (package(workplace, n) for n in ("tidy", "raising", "other-api", "taker"))
    descriptor = raising / "icectl_raising" / "__init__.py"
    descriptor.write_text("raise OSError('no licence file')\n" + descriptor.read_text())
    change(other, '    task="other-api",', '    task="other-api",\n    api=99,')
    change(taker, 'taker = "icectl_taker', 'convlstm = "icectl_taker')
    change(taker, 'name="taker"', 'name="convlstm"')
    wheels = " ".join(str(wheel(folder)) for folder in (sound, raising, other, taker))
    env.run(f"pip install -q {wheels}", workplace)
    for folder in (sound, raising, other, taker):
        shutil.rmtree(folder)  # only what is installed counts
    return env


def listing(env, workplace: Path) -> dict[tuple[str, str], dict]:
    found = json.loads(env.run("icectl plugins list --json", workplace).stdout)
    return {(one["name"], one["distribution"]): one for one in found}


def test_each_is_reported_as_designed(installed, workplace: Path) -> None:
    found = listing(installed, workplace)
    sound = found["tidy", "icectl-tidy"]
    assert (sound["version"], sound["broken"], sound["task"]) == ("0.1.0", None, "tidy")
    assert "OSError: no licence file" in found["raising", "icectl-raising"]["broken"]
    assert (
        "written for plugin API 99, this icectl has 1: upgrade icectl"
        in found["other-api", "icectl-other-api"]["broken"]
    )
    for distribution in ("icectl", "icectl-taker"):
        reason = found["convlstm", distribution]["broken"]
        assert "taken by several distributions: icectl 0.1.0, icectl-taker 0.1.0" in reason
    assert found["lstm", "icectl"]["broken"] is None  # nothing else is disturbed


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("icectl train raising --dry-run", 1, "no licence file"),
        ("icectl train other-api --dry-run", 1, "plugin API 99"),
        ("icectl train convlstm --dry-run", 2, "'icectl:convlstm' or 'icectl-taker:convlstm'"),
        ("icectl train lstm --dry-run", 0, ""),
        ("icectl plugins validate raising", 1, "no licence file"),
        ("icectl plugins validate other-api", 1, "plugin API 99"),
        ("icectl plugins validate convlstm", 1, "taken by several distributions"),
        ("icectl plugins validate tidy", 0, "the model has the five verbs"),
        ("icectl plugins validate nobody", 2, "no plugin is announced as 'nobody'"),
    ],
)
def test_commands_of_faulty_plugins_fail_with_a_sentence(
    installed, workplace: Path, command, code, words
) -> None:
    done = installed.run(command, workplace, check=False, COLUMNS="400")
    assert done.returncode == code, done.stderr
    assert words in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_the_sound_one_trains_evaluates_and_is_removed(installed, workplace: Path) -> None:
    done = installed.run("icectl run tidy --glacier demo --size 64 --updates 10 --json", workplace)
    result = json.loads(done.stdout)
    rows = result["metrics"]["tables"][0]["rows"]
    assert [row["kind"] for row in rows] == ["model", "baseline", "baseline"]
    run = json.loads((Path(result["run"]) / "run.json").read_text())
    assert (run["distribution"], run["version"]) == ("icectl-tidy", "0.1.0")
    installed.run("pip uninstall -q -y icectl-tidy icectl-raising icectl-other-api icectl-taker", workplace)
    found = listing(installed, workplace)
    assert {distribution for _, distribution in found} == {"icectl"}
    assert found["convlstm", "icectl"]["broken"] is None
    gone = installed.run("icectl train tidy", workplace, check=False)
    assert gone.returncode == 2
    assert "unknown model 'tidy'" in gone.stderr
