"""Installed packages of third parties: weights in them, slow ones, new schemas, twenty at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from icectl import scaffold

pytestmark = pytest.mark.slow  # packages in a real environment

CARD = {
    "summary": "Elevation models without noise",
    "licence": "CC-BY-4.0",
    "data": [{"name": "The synthetic glacier", "licence": "CC0-1.0", "source": "icectl"}],
    "limits": ["Nothing else was tried"],
}
MAKE = """
import json, sys
from pathlib import Path
from icectl.weights.make import make
make(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
"""
SMALL = "--glacier demo --size 64"

SLOW = """
import time

end = time.process_time() + 0.8
while time.process_time() < end:
    pass
"""
UPGRADE = '''

def from_1(saved):
    """Schema 2 calls the channels of the hidden layers `channels`."""
    train = dict(saved["train"])
    train["channels"] = train.pop("width")
    return {**saved, "train": train}
'''


@pytest.fixture
def env(tmp_path: Path, new_environment):
    return new_environment(tmp_path / "venv")


def install(env, *folders: Path) -> None:
    """Install packages as they are now, and leave nothing but what is installed."""
    where = folders[0].parent
    env.run(f"pip install -q {' '.join(str(folder) for folder in folders)}", where)
    for folder in folders:
        shutil.rmtree(folder)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def said(env, where: Path, command: str):
    return json.loads(env.run(f"icectl {command} --json", where).stdout)


def test_weights_in_a_package_are_ready_to_use_until_it_is_uninstalled(env, tmp_path):
    plain = scaffold.create("tidy", "own", tmp_path)
    copy = shutil.copytree(plain, tmp_path / "whole")
    install(env, plain)
    run = said(env, tmp_path, f"train tidy {SMALL} --updates 5")["run"]
    code = copy / "icectl_tidy"
    change(
        code / "__init__.py",
        '    task="tidy",',
        '    task="tidy",\n    weights=("icectl_tidy:weights/first",),',
    )
    (code / "weights").mkdir()
    env.run(f"python -c '{MAKE}' {run} {code}/weights/first '{json.dumps(CARD)}'", tmp_path)
    shutil.rmtree(tmp_path / "icectl-workspace")
    install(env, copy)
    listed = {one["name"]: one for one in said(env, tmp_path, "models list")}
    assert listed["first"]["model"] == "tidy"
    done = env.run(f"icectl predict tidy {SMALL} --json", tmp_path)
    assert "using the weights 'first' that come with" in done.stderr
    assert "train tidy" not in done.stderr
    env.run(f"icectl evaluate tidy {SMALL}", tmp_path)
    own = said(env, tmp_path, f"train tidy {SMALL} --updates 5 --from first")["run"]
    assert (Path(own) / "weights.safetensors").is_file()
    env.run("pip uninstall -q -y icectl-tidy", tmp_path)
    assert "first" not in {one["name"] for one in said(env, tmp_path, "models list")}


def test_a_slow_descriptor_is_named_and_the_others_are_not(env, tmp_path):
    folder = scaffold.create("sluggish", "own", tmp_path)
    code = folder / "icectl_sluggish" / "__init__.py"
    code.write_text(code.read_text() + SLOW)
    install(env, folder, scaffold.create("swift", "own", tmp_path))
    notes = {one["name"]: one["note"] for one in said(env, tmp_path, "plugins list")}
    assert notes["sluggish"].startswith("its descriptor takes ")
    assert notes["swift"] is None
    looked = json.loads(env.run("icectl doctor --json", tmp_path, check=False).stdout)
    found = {one["name"]: one["found"] for one in looked}
    assert "its descriptor takes " in found["plugin sluggish"]
    assert found["plugin swift"] == "icectl-swift 0.1.0"


UPGRADES_THAT_FAIL = {
    "return saved['train']['depth']": "of icectl-moving 0.2.0 failed in the upgrade of options of schema 1: "
    "KeyError: 'depth'",
    "saved['train'].pop('width')": "icectl-moving 0.2.0 returned a NoneType from the upgrade of options",
    "return {**saved, 'train': 3}": "icectl-moving 0.2.0 returned a dict from the upgrade of options",
    "raise SystemExit(0)": "icectl-moving 0.2.0 calls sys.exit(0) in the upgrade of options of schema 1",
}


def test_a_run_goes_on_with_the_version_that_renamed_an_option(env, tmp_path):
    first = scaffold.create("moving", "own", tmp_path)
    old, new = (shutil.copytree(first, tmp_path / name) for name in ("old", "new"))
    install(env, first)
    run = said(env, tmp_path, f"train moving {SMALL} --width 5 --updates 3")["run"]
    rows = said(env, tmp_path, f"evaluate moving --run {run}")["metrics"]["tables"][0]["rows"]
    for path in (new / "icectl_moving").glob("*.py"):
        path.write_text(path.read_text().replace("options.width", "options.channels"))
    code, more = new / "icectl_moving" / "__init__.py", 'schema=2,\n    upgrades={1: "icectl_moving:from_1"},'
    change(code, "width: int", "channels: int")
    change(code, '    task="moving",', f'    task="moving",\n    {more}')
    code.write_text(code.read_text() + UPGRADE)
    change(new / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    shutil.copytree(new, tmp_path / "kept")
    install(env, new)
    done = env.run(f"icectl evaluate moving --run {run} --json", tmp_path)
    assert "was made by icectl-moving 0.1.0; icectl-moving 0.2.0 is used now" in done.stderr
    assert json.loads(done.stdout)["metrics"]["tables"][0]["rows"] == rows
    own = said(env, tmp_path, f"train moving {SMALL} --channels 5 --updates 3")["run"]
    for number, (fault, words) in enumerate(UPGRADES_THAT_FAIL.items()):
        failing = shutil.copytree(tmp_path / "kept", tmp_path / f"failing-{number}")
        code = failing / "icectl_moving" / "__init__.py"
        good = code.read_text().partition("def from_1")[0]
        code.write_text(f"{good}def from_1(saved):\n    {fault}\n")
        install(env, failing)
        for command in (f"evaluate moving --run {run}", f"predict moving --run {run} --dry-run"):
            failed = env.run(f"icectl {command}", tmp_path, check=False)
            assert (failed.returncode, words in " ".join(failed.stderr.split())) == (1, True), failed.stderr
            assert "hint: tell the authors of icectl-moving" in failed.stderr
    install(env, old)
    refused = env.run(f"icectl predict moving --run {own}", tmp_path, check=False)
    assert refused.returncode == 1
    assert "saved under options schema 2, and icectl-moving 0.1.0 knows only 1" in refused.stderr
    assert "hint: install a newer icectl-moving" in refused.stderr


def test_twenty_packages_are_listed_completed_and_used(env, tmp_path):
    names = [f"many-{chr(97 + k)}" for k in range(20)]
    install(env, *(scaffold.create(name, "own", tmp_path) for name in names))
    found = {one["name"]: one for one in said(env, tmp_path, "plugins list")}
    for name in names:
        assert (found[name]["distribution"], found[name]["version"]) == (f"icectl-{name}", "0.1.0")
        assert found[name]["broken"] is found[name]["note"] is None
    asked = "_ICECTL_COMPLETE=complete_bash COMP_WORDS='icectl train many-' COMP_CWORD=2 icectl"
    assert env.run(asked, tmp_path).stdout.split() == names
    plan = said(env, tmp_path, "train many-t --dry-run")
    assert [step["stage"] for step in plan["steps"]] == ["fetch", "prepare", "train"]
