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


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_installed_they_pass_every_check(new_environment, tmp_path):
    env = new_environment(tmp_path / "venv")
    for name in NAMES:
        shutil.copytree(
            TOYS / f"icectl-{name}", tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
        )
        env.run(f"pip install -q ./{name}", tmp_path)
        shutil.rmtree(tmp_path / name)  # only what is installed counts
    for name in NAMES:
        found = json.loads(env.run(f"icectl plugins validate {name} --json", tmp_path).stdout)
        assert [(one["check"], one["reason"]) for one in found if not one["passed"]] == []
    words = "run melt-toy --glacier demo --updates 100 --json"
    (table,) = json.loads(env.run(f"icectl {words}", tmp_path).stdout)["metrics"]["tables"]
    rows = {row["name"]: row["values"]["rmse"] for row in table["rows"]}
    assert rows["melt-toy"] < 0.7 * rows["mean of the north"]


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
