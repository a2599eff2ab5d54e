"""Wheels of third parties in a real environment: found, used, removed; the faulty ones set apart."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from icectl import scaffold

pytestmark = pytest.mark.slow  # wheels in a real environment


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


FAULTS = {
    "quitter": "import sys\nsys.exit(3)",
    "chatty": "import logging\nprint('hello')\nlogging.basicConfig(level=0)\n",
    "weighty": "import torch\n",
    "blunder": "",
    "listing": "",
    "sealed": "",
}
"""Modules of one distribution by plugin, and what each does when it is imported."""

FAULTY = """
from dataclasses import replace
from icectl_raising.sound import plugin as sound
plugin = replace(sound, name="{name}", task="{name}", model="icectl_raising.{name}_model:Model", {more})
"""

MODEL = """
from icectl_raising.model import Model as Sound
class Model(Sound):
    def train(self, run, options):
        return {train}
    def predict(self, run, options):
        return run.out
    def evaluate(self, run, options):
        return []
"""


def add_faults(folder: Path) -> None:
    """Add to a package modules that misbehave when they are imported or used."""
    code = folder / "icectl_raising"
    (code / "sound.py").write_text((code / "__init__.py").read_text())
    entries = []
    for name, beginning in FAULTS.items():
        more = "multi_device=False" if name == "sealed" else ""
        (code / f"{name}.py").write_text(beginning + FAULTY.format(name=name, more=more))
        train = "{}['rate']" if name == "blunder" else "run.out"
        (code / f"{name}_model.py").write_text(MODEL.format(train=train))
        entries.append(f'{name} = "icectl_raising.{name}:plugin"')
    toml = folder / "pyproject.toml"
    toml.write_text(toml.read_text() + "\n".join(entries) + "\n")


@pytest.fixture(scope="module")
def installed(env, workplace: Path):
    """A sound one, one that raises at import, one for another API, one that takes an existing name."""
    sound, raising, other, taker = (package(workplace, n) for n in ("tidy", "raising", "other-api", "taker"))
    add_faults(raising)
    (raising / "icectl_raising" / "failing.py").write_text("raise OSError('no licence file')\n")
    change(raising, 'raising = "icectl_raising:plugin"', 'raising = "icectl_raising.failing:plugin"')
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
    assert found["convlstm", "icectl"]["broken"] is found["convlstm", "icectl"]["note"] is None
    assert found["convlstm", "icectl-taker"]["broken"] is None
    assert "write 'icectl-taker:convlstm' for this one" in found["convlstm", "icectl-taker"]["note"]
    assert "it calls sys.exit(3)" in found["quitter", "icectl-raising"]["broken"]
    assert "prints when it is imported" in found["chatty", "icectl-raising"]["note"]
    assert "imports torch" in found["weighty", "icectl-raising"]["note"]
    assert found["lstm", "icectl"]["broken"] is None  # nothing else is disturbed


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("icectl train raising --dry-run", 1, "no licence file"),
        ("icectl train other-api --dry-run", 1, "plugin API 99"),
        ("icectl train convlstm --dry-run", 0, "write 'icectl-taker:convlstm' for that of icectl-taker"),
        ("icectl train icectl-taker:convlstm --dry-run --json", 0, "/prepared/taker-"),
        ("icectl train icectl:convlstm --dry-run --json", 0, "/prepared/snow-"),
        ("ICECTL_DISABLE=quitter,raising icectl train quitter", 2, "unknown model 'quitter'"),
        ("icectl train sealed --processes 2", 2, "'sealed' trains in one process, not 2"),
        ("icectl train blunder --size 32", 1, "'blunder' of icectl-raising 0.1.0 failed in train: KeyError"),
        ("icectl train blunder --size 32", 1, "tell the authors of icectl-raising"),
        ("icectl evaluate listing --size 32", 1, "returned a list from evaluate, not Metrics"),
        ("icectl train lstm --dry-run", 0, ""),
        ("icectl plugins validate raising", 1, "no licence file"),
        ("icectl plugins validate other-api", 1, "plugin API 99"),
        ("icectl plugins validate icectl-taker:convlstm", 0, "icectl-taker 0.1.0 loads"),
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
    twin = installed.run("icectl train icectl-taker:convlstm --size 64 --updates 2 --json", workplace)
    twin = json.loads((Path(json.loads(twin.stdout)["run"]) / "run.json").read_text())
    assert (twin["model"], twin["distribution"]) == ("convlstm", "icectl-taker")
    installed.run("pip uninstall -q -y icectl-tidy icectl-raising icectl-other-api icectl-taker", workplace)
    found = listing(installed, workplace)
    assert {distribution for _, distribution in found} == {"icectl"}
    assert found["convlstm", "icectl"]["broken"] is None
    plain = f"icectl export {result['run']} --out plain.zip && icectl report {result['run']}"
    installed.run(plain, workplace)  # neither needs the plugin
    gone = installed.run("icectl predict --from plain.zip", workplace, check=False)
    assert "made by icectl-tidy 0.1.0, which is not installed" in gone.stderr
    assert "hint: pip install icectl-tidy" in gone.stderr
    gone = installed.run("icectl train tidy", workplace, check=False)
    assert gone.returncode == 2
    assert "unknown model 'tidy'" in gone.stderr
