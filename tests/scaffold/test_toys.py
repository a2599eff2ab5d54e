"""Three packages of third parties: small, of the right shape, whole when installed."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from icectl.raster import read
from icectl.registry import check_descriptor
from icectl.tasks.model import check_network

TOYS = Path(__file__).parents[1] / "toys"
NETWORKS = {"simvp-toy": "SimVP", "hed-toy": "HED"}
NAMES = [*NETWORKS, "melt-toy"]


def package(name: str) -> str:
    return f"icectl_{name.replace('-', '_')}"


@pytest.fixture
def toy(monkeypatch):
    """Return ``load(name)``: the descriptor and the model's module of a toy."""

    def load(name):
        monkeypatch.syspath_prepend(TOYS / f"icectl-{name}")
        described = importlib.import_module(package(name)).plugin
        return described, importlib.import_module(described.model.partition(":")[0])

    return load


@pytest.mark.parametrize("name", NAMES)
def test_descriptors_are_sound(toy, name):
    described, _ = toy(name)
    assert check_descriptor(described, name) == ""


@pytest.mark.parametrize("name", NETWORKS)
def test_at_most_fifteen_lines_beside_the_network(code_lines, name):
    folder = TOYS / f"icectl-{name}" / package(name)
    network = (folder / "network.py").read_text()
    imports = sum(line.startswith("from icectl") for line in network.splitlines())
    beside = code_lines((folder / "__init__.py").read_text()) + code_lines(
        network[network.index("class Model") :]
    )
    assert beside + imports <= 15


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_fit_their_tasks_and_learn(toy, name):
    described, module = toy(name)
    model, options = module.Model(), described.stages["train"]()
    check_network(None, model, options, {})  # would name the run's plugin
    network = model.network(model.ports(options, {}), options)
    inputs, shape = model.example(network, model.ports(options, {}))
    made = network(*(torch.rand_like(one) for one in inputs))
    assert tuple(made.shape) == shape
    made.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.fixture(scope="module")
def installed(new_environment, tmp_path_factory):
    """Return an environment into which pip has put all three, and an empty folder."""
    folder = tmp_path_factory.mktemp("toys")
    env = new_environment(folder / "venv")
    for name in NAMES:
        copy = folder / name
        shutil.copytree(TOYS / f"icectl-{name}", copy, ignore=shutil.ignore_patterns("__pycache__"))
        env.run(f"pip install -q ./{name}", folder)
        shutil.rmtree(copy)  # only what is installed counts
    return env, folder


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("name", NAMES)
def test_installed_they_pass_every_check(installed, name):
    env, folder = installed
    done = env.run(f"icectl plugins validate {name} --full --json", folder, check=False)
    found = json.loads(done.stdout)
    assert [(one["check"], one["reason"]) for one in found if not one["passed"]] == []
    assert len(found) >= 17


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_task_of_its_own_is_taken_to_the_end(installed):
    env, folder = installed
    done = env.run("icectl run melt-toy --glacier demo --updates 100 --json", folder)
    made = json.loads(done.stdout)
    (table,) = made["metrics"]["tables"]
    rows = {row["name"]: row["values"]["rmse"] for row in table["rows"]}
    assert rows["melt-toy"] < 0.7 * rows["mean of the north"]
    env.run(
        f"icectl report {made['run']} --out page.html && icectl export {made['run']} --out it.zip", folder
    )
    page = (folder / "page.html").read_text()
    assert "Melt of the southern half" in page
    assert "mean of the north" in page
    again = env.run("icectl predict --from it.zip --glacier demo --json", folder)
    (melt,) = Path(json.loads(again.stdout)["folder"]).glob("melt.tif")
    assert read(melt).shape == (64, 64)


def test_a_listing_of_twenty_more_costs_little_beside_their_imports(tmp_path):
    """At most twice the processor time of importing the same descriptors without icectl's registry."""
    text = (TOYS / "icectl-melt-toy" / "icectl_melt_toy" / "__init__.py").read_text()
    names = [f"many-{chr(97 + k)}" for k in range(20)]
    for name in names:
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(text.replace("melt-toy", name))
    places = ",".join(f"{name}={name.replace('-', '_')}:plugin" for name in names)
    bare = "; ".join(f"import {name.replace('-', '_')}" for name in names)

    def seconds(work: str) -> float:
        code = f"""
import os, sys, time, importlib
sys.path.insert(0, {str(tmp_path)!r})
os.environ["ICECTL_PLUGINS"] = {places!r}
from icectl import registry
from icectl.registry import announced
known = [f for f in announced() if f.distribution != "$ICECTL_PLUGINS"]
for one in known:
    registry.resolve(one.value)
began = time.process_time()
{work}
print(time.process_time() - began)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(done.stdout)

    alone = min(seconds(bare) for _ in range(3))
    listed = min(seconds("assert len(registry.plugins()) >= 20") for _ in range(3))
    assert listed <= 2 * alone, f"{listed:.3f} s against {alone:.3f} s"
