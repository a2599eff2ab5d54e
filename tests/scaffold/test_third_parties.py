"""Wheels of third parties in a real environment: found, used, removed; the faulty ones set apart."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from worlds import world

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
    "chatty": "import logging, os\nprint('hello')\nos.system('echo hello')\nlogging.basicConfig(level=0)\n",
    "weighty": "import torch\n",
    "weightier": "import torch\n",
    "skipper": "class Skipped(BaseException): pass\nraise Skipped('no GPU')\n",
    "blunder": "",
    "listing": "",
    "sealed": "",
    "speller": "",
    "leaver": "",
    "opener": "",
    "printer": "",
    "splitter": "",
    "guesser": "",
    "unsure": "",
    "undecided": "",
}
"""Modules of one distribution by plugin, and what each does when it is imported."""

FAULTY = """
from dataclasses import replace
from icectl_raising.sound import plugin as sound
plugin = replace(sound, name="{name}", task="{name}", model="icectl_raising.{name}_model:Model", {more})
def wrong(run):
    return {{}}["reads"]
def other(run):
    return {{"reads": 3}}
class Undecided(sound.stages["train"]):
    def needs(self):
        return self.nothing
"""

MORE = {
    "sealed": "multi_device=False",
    "guesser": "estimate='icectl_raising.guesser:wrong'",
    "unsure": "estimate='icectl_raising.unsure:other'",
}
"""What else stands in a descriptor."""

TRAIN = {
    "blunder": "{}['rate']",
    "leaver": "sys.exit(0)",
    "opener": "open('nowhere.yaml')",
    "printer": "print('epoch 1') or run.out",
    "splitter": "launch(fail, run)",
    "speller": "(",
}
"""What training does."""

MODEL = """
import sys
from icectl.training import launch
from icectl_raising.model import Model as Sound
def fail(run):
    print("in a process")
    return {{}}["rate"]
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
        text = beginning + FAULTY.format(name=name, more=MORE.get(name, ""))
        if name == "undecided":
            text += "plugin = replace(plugin, stages={**plugin.stages, 'train': Undecided})\n"
        (code / f"{name}.py").write_text(text)
        (code / f"{name}_model.py").write_text(MODEL.format(train=TRAIN.get(name, "run.out")))
        entries.append(f'{name} = "icectl_raising.{name}:plugin"')
    toml = folder / "pyproject.toml"
    toml.write_text(toml.read_text() + "\n".join(entries) + "\n")


WRONG = """

class Wrong(Network):
    def forward(self, *given):
        return super().forward(*given)[:, :1]
"""

FORGETFUL = """

class Forgetful(Model):
    def learner(self, network, options, facts):
        return super().learner(network, options, {})

class Ear(Network):
    def forward(self, past):
        return past[:, :, 0]

class Deaf(Model):
    def network(self, ports, options):
        return Ear(ports, options.width)

class Unbuilt(Model):
    def network(self, ports, options):
        return Network(ports, options.no_such_option)
"""


def add_misfits(folder: Path) -> Path:
    """Let a snow model return another shape, and add one that keeps no facts, and one that is not built."""
    code = folder / "icectl_misfit"
    network = code / "network.py"
    text = network.read_text()
    wrong = text.replace("return Network(ports", "return Wrong(ports")
    assert wrong != text
    network.write_text(wrong + WRONG)
    (code / "others.py").write_text(text + FORGETFUL)
    plugin = (code / "__init__.py").read_text()
    entries = []
    for other in ("forgetful", "deaf", "unbuilt"):
        model = f"icectl_misfit.others:{other.capitalize()}"
        changed = plugin.replace('name="misfit"', f'name="{other}"')
        (code / f"{other}.py").write_text(changed.replace("icectl_misfit.network:Model", model))
        entries.append(f'{other} = "icectl_misfit.{other}:plugin"')
    toml = folder / "pyproject.toml"
    toml.write_text(toml.read_text() + "\n".join(entries) + "\n")
    return folder


@pytest.fixture(scope="module")
def installed(env, workplace: Path):
    """A sound one, one with faults of all kinds, one for another API, one that takes an existing name."""
    sound, raising, other, taker = (package(workplace, n) for n in ("tidy", "raising", "other-api", "taker"))
    misfit = add_misfits(scaffold.create("misfit", "snow", workplace))
    add_faults(raising)
    (raising / "icectl_raising" / "failing.py").write_text("raise OSError('no licence file')\n")
    change(raising, 'raising = "icectl_raising:plugin"', 'raising = "icectl_raising.failing:plugin"')
    change(other, '    task="other-api",', '    task="other-api",\n    api=99,')
    change(taker, 'taker = "icectl_taker', 'convlstm = "icectl_taker')
    change(taker, 'name="taker"', 'name="convlstm", aliases=("u-net",)')
    wheels = " ".join(str(wheel(folder)) for folder in (sound, raising, other, taker, misfit))
    env.run(f"pip install -q {wheels}", workplace)
    for folder in (sound, raising, other, taker, misfit):
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
    assert "it raises Skipped when it is imported: no GPU" in found["skipper", "icectl-raising"]["broken"]
    chatty = found["chatty", "icectl-raising"]["note"]
    assert "prints when it is imported" in chatty
    assert "sets up logging" in chatty
    assert "'u-net' means icectl's unet" in found["convlstm", "icectl-taker"]["note"]
    assert found["lstm", "icectl"]["broken"] is None  # nothing else is disturbed
    looked = json.loads(installed.run("icectl doctor --json", workplace, check=False).stdout)
    said = {one["name"]: one["found"] for one in looked}
    for name in ("weighty", "weightier"):  # the second finds torch there
        assert "imports torch" in found[name, "icectl-raising"]["note"]
        assert "imports torch" in said[f"plugin {name}"]


LONG = "icectl-taker:convlstm"


@pytest.mark.parametrize(
    "command",
    [
        *(f"icectl {verb} {LONG} --dry-run --json" for verb in ("fetch", "prepare", "train", "predict")),
        f"icectl evaluate --size 64 {LONG} --dry-run --json",  # the model after an option
        f"icectl run --dry-run {LONG} --json",
        f"icectl demo {LONG} --dry-run --json",
        f"icectl compare --task taker --model {LONG} --dry-run --json",
    ],
)
def test_the_long_form_of_a_name_works_in_every_verb(installed, workplace: Path, command) -> None:
    found = json.loads(installed.run(command, workplace).stdout)
    (plan,) = found if isinstance(found, list) else [found]
    folders = [step["folder"] for step in plan["steps"] if step["stage"] == "prepare"]
    assert all("/prepared/taker-" in folder for folder in folders)
    assert plan["model"] == "convlstm"


def test_listings_and_help_name_the_right_distribution(installed, workplace: Path) -> None:
    shown = json.loads(installed.run(f"icectl plugins show {LONG} --json", workplace).stdout)
    assert (shown["task"], shown["from"].split()[:2]) == ("taker", ["icectl-taker", "0.1.0"])
    ours = json.loads(installed.run("icectl plugins show convlstm --json", workplace).stdout)
    assert ours["from"].startswith("icectl ")
    alias = json.loads(installed.run("icectl plugins show icectl-taker:u-net --json", workplace).stdout)
    assert alias["task"] == "taker"
    tab = "_ICECTL_COMPLETE=complete_bash COMP_WORDS='icectl train {}' COMP_CWORD=2 icectl"
    offered = {"icectl-t": LONG, "u-": "u-net", "icectl-taker:u": "icectl-taker:u-net"}
    for typed, word in offered.items():
        assert installed.run(tab.format(typed), workplace).stdout.split() == [word]
    assert f"icectl train {LONG} --help-all" in installed.run(f"icectl train {LONG} --help", workplace).stdout


SNOW = f"{' '.join(world('convlstm', size=64, years=5))} --align none --patch 16"


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
        (
            "icectl train blunder --size 32",
            1,
            "'blunder' of icectl-raising 0.1.0 failed in train: KeyError … tell the authors of icectl-",
        ),
        (
            "icectl train splitter --size 32 --processes 2",
            1,
            "icectl-raising 0.1.0 failed in train: KeyError",
        ),
        ("icectl train leaver --size 32", 1, "of icectl-raising 0.1.0 calls sys.exit(0) in train"),
        ("icectl train opener --size 32", 1, "failed in train: FileNotFoundError"),
        (
            "icectl train speller --size 32",
            1,
            "'speller' of icectl-raising 0.1.0 failed in the plan of its stages: SyntaxError",
        ),
        (
            "icectl train guesser --dry-run",
            1,
            "of icectl-raising 0.1.0 failed in the estimate of fetch: KeyError",
        ),
        ("icectl train unsure --dry-run", 1, "icectl-raising 0.1.0 returned a dict from its estimate"),
        ("icectl train undecided --dry-run", 1, "failed in the plan of its stages: AttributeError"),
        (
            f"icectl train misfit {SNOW}",
            1,
            "'misfit' of icectl-misfit 0.1.0 has a network that returned ( … "
            "tell the authors of icectl-misfit: see the shapes",
        ),
        (f"icectl train forgetful {SNOW}", 1, "icectl-misfit 0.1.0 has a learner that keeps no"),
        (
            f"icectl train unbuilt {SNOW}",
            1,
            "'unbuilt' of icectl-misfit 0.1.0 failed in train: AttributeError",
        ),
        (
            f"icectl train deaf {SNOW}",
            1,
            "'deaf' of icectl-misfit 0.1.0 failed in train: TypeError: Ear.",
        ),
        (f"icectl train misfit {SNOW} --preset paper", 2, "misfit has no option --preset"),
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
    said = " ".join((done.stdout + done.stderr).split())
    assert all(part in said for part in words.split(" … ")), said
    assert "Traceback" not in done.stderr


def test_what_a_plugin_prints_is_no_result(installed, workplace: Path) -> None:
    for command in ("icectl train printer --size 32 --json", "icectl plugins list --json"):
        json.loads(installed.run(command, workplace).stdout)
    done = installed.run("icectl train splitter --size 32 --processes 2 --json", workplace, check=False)
    assert not done.stdout


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
    chosen = twin["fingerprint"][:10]
    for name, words in (("last", "there is no run of convlstm"), (chosen, f"{chosen} is of {LONG}, not of")):
        mixed = installed.run(f"icectl predict convlstm --run {name}", workplace, check=False)
        assert mixed.returncode == 2, mixed.stderr  # ours, with a run of theirs
        assert words in mixed.stderr
    installed.run(f"icectl predict {LONG} --run last --size 64", workplace)
    own = "icectl-tidy icectl-raising icectl-other-api icectl-taker icectl-misfit"
    installed.run(f"pip uninstall -q -y {own}", workplace)
    found = listing(installed, workplace)
    assert {distribution for _, distribution in found} == {"icectl"}
    assert found["convlstm", "icectl"]["broken"] is None
    plain = f"icectl export {result['run']} --out plain.zip && icectl report {result['run']}"
    installed.run(plain, workplace)  # neither needs the plugin
    gone = installed.run("icectl predict --from plain.zip", workplace, check=False)
    assert "made by icectl-tidy 0.1.0, which is not installed" in gone.stderr
    assert "hint: pip install icectl-tidy" in gone.stderr
    for command in (f"icectl predict --run {result['run']}", f"icectl export {result['run']} --onnx --out x"):
        gone = installed.run(command, workplace, check=False)
        assert "made by icectl-tidy 0.1.0, which is not installed" in gone.stderr
    assert "pip install icectl-tidy\n" in zipfile.ZipFile(workplace / "plain.zip").read("README.md").decode()
    listed = installed.run("icectl runs list", workplace, COLUMNS="400").stdout
    assert "tidy (icectl-tidy 0.1.0, not installed: pip install icectl-tidy)" in listed
    shown = json.loads(installed.run(f"icectl runs show {result['run']} --json", workplace).stdout)
    assert (shown["from"], shown["since"]) == ("icectl-tidy 0.1.0", "not installed: pip install icectl-tidy")
    gone = installed.run("icectl train tidy", workplace, check=False)
    assert gone.returncode == 2
    assert "unknown model 'tidy'" in gone.stderr
