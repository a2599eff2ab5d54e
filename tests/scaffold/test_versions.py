"""What made a stage is its identity: versions, edited code, other distributions; installed for real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from icectl import scaffold

pytestmark = pytest.mark.slow  # packages in a real environment

SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
"""A backend that installs editable packages without one more package from an index."""

CHOICES = """    preset: Literal["small", "large"] = Field(default="small", description="How large.")
    split: Literal["blocks", "time", "paper", "mine"] = Field(default="time", description="Another default.")
    presets: ClassVar = {"small": {}, "large": {"width": 64}}

"""
"""Options of a model: presets of its own, and more choices of an option of the task."""

OWN_PREPARE = '''
    def prepare(self, run, options):
        """Say so, and do as the task does."""
        run.say("in my own way")
        return super().prepare(run, options)
'''


CHOSEN = ((), ("--preset", "large"), ("--split", "mine"))


@pytest.fixture
def env(tmp_path: Path, new_environment):
    return new_environment(tmp_path / "venv")


def package(name: str, kind: str, where: Path) -> Path:
    """Write a new plugin that can be installed editable."""
    folder = scaffold.create(name, kind, where)
    toml = folder / "pyproject.toml"
    toml.write_text(SETUPTOOLS + toml.read_text().partition("\n\n")[2])
    code = f'\n[tool.setuptools]\npackages = ["icectl_{name.replace("-", "_")}"]\n'
    toml.write_text(toml.read_text() + code)
    return folder


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def trained(env, where: Path, name: str) -> dict:
    return json.loads(env.run(f"icectl train {name} --size 64 --updates 2 --json", where).stdout)


def planned(env, where: Path, name: str, *flags: str) -> dict[str, str]:
    done = env.run(f"icectl train {name} --dry-run --json {' '.join(flags)}", where)
    return {step["stage"]: step["folder"] for step in json.loads(done.stdout)["steps"]}


def test_a_new_version_does_its_stages_again_and_says_whose_the_older_are(env, tmp_path):
    folder = package("tidy", "own", tmp_path)
    env.run(f"pip install -q {folder}", tmp_path)
    first = trained(env, tmp_path, "tidy")
    assert trained(env, tmp_path, "tidy")["skipped"]
    change(folder / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    shutil.rmtree(folder / "build", ignore_errors=True)
    env.run(f"pip install -q {folder}", tmp_path)
    again = trained(env, tmp_path, "tidy")
    assert not again["skipped"]
    assert again["run"] != first["run"]
    older = env.run(f"icectl predict --run {first['run']} --size 64", tmp_path)
    assert "was made by icectl-tidy 0.1.0; icectl-tidy 0.2.0 is used now" in older.stderr
    listed = json.loads(env.run("icectl runs list --json", tmp_path).stdout)
    assert {one["from"] for one in listed} == {"icectl-tidy 0.1.0", "icectl-tidy 0.2.0"}


def test_edited_code_of_an_editable_install_is_not_up_to_date(env, tmp_path):
    folder = package("tidy", "own", tmp_path)
    env.run(f"pip install -q -e {folder}", tmp_path)
    first = trained(env, tmp_path, "tidy")
    assert trained(env, tmp_path, "tidy")["skipped"]
    change(folder / "icectl_tidy" / "network.py", "nn.ReLU()", "nn.SiLU()")
    again = trained(env, tmp_path, "tidy")
    assert not again["skipped"]
    assert again["run"] != first["run"]  # so a half-finished one is not gone on with either


def test_two_distributions_with_one_task_share_nothing(env, tmp_path):
    for name in ("tidy", "other"):
        folder = package(name, "own", tmp_path)
        change(folder / f"icectl_{name}" / "__init__.py", f'task="{name}"', 'task="denoise"')
        env.run(f"pip install -q {folder}", tmp_path)
    one, other = (planned(env, tmp_path, name) for name in ("tidy", "other"))
    assert not set(one.values()) & set(other.values())


def test_a_model_of_our_task_shares_what_it_does_not_override(env, tmp_path):
    for name in ("plain", "overriding"):
        folder = package(name, "snow", tmp_path)
        if name == "overriding":
            network = folder / "icectl_overriding" / "network.py"
            network.write_text(network.read_text() + OWN_PREPARE)
            init = folder / "icectl_overriding" / "__init__.py"
            change(init, "    width: int", CHOICES + "    width: int")
            change(init, "from pydantic", "from typing import ClassVar, Literal\n\nfrom pydantic")
        env.run(f"pip install -q {folder}", tmp_path)
    ours, plain, own = (planned(env, tmp_path, name) for name in ("convlstm", "plain", "overriding"))
    assert ours["fetch"] == plain["fetch"] == own["fetch"]
    assert ours["prepare"] == plain["prepare"]
    assert own["prepare"] != ours["prepare"]
    assert len({one["train"] for one in (ours, plain, own)}) == 3
    folders = {planned(env, tmp_path, "overriding", *flags)["train"] for flags in CHOSEN}
    assert len(folders) == len(CHOSEN)
    steps = json.loads(env.run("icectl train plain --dry-run --json", tmp_path).stdout)["steps"]
    assert all(step["writes"] or step["memory"] for step in steps)  # the task's own estimates
