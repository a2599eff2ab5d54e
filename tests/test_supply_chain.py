"""Licences of dependencies, the bill of materials, secrets in the repository, code that data could run."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def chain():
    spec = importlib.util.spec_from_file_location("supply_chain", ROOT / ".ci" / "supply_chain.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_dependency_has_a_licence_that_fits(chain):
    assert list(chain.unfitting()) == []


def test_a_licence_that_does_not_fit_is_seen(chain):
    assert chain.FITTING.search("GNU Affero General Public License v3") is None
    assert chain.FITTING.search("Other/Proprietary License") is None


def test_the_bill_names_every_direct_dependency(chain):
    names = {part["name"].lower() for part in chain.bill()["components"]}
    assert {"icectl", "torch", "numpy", "rasterio", "pystac-client", "safetensors"} <= names


SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a key of AWS": r"\bAKIA[0-9A-Z]{16}\b",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36}",
    "a token of Hugging Face": r"\bhf_[A-Za-z]{34}\b",
    "a token of PyPI": r"\bpypi-AgE[A-Za-z0-9_-]{50}",
    "a signature of Azure": r"[?&]sig=[A-Za-z0-9%+/]{40,}",
    "a web token": r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.",
}


def test_no_secret_is_in_the_repository():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file() or path.stat().st_size > 5_000_000:
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{name}: {what}" for what, pattern in SECRETS.items() if re.search(pattern, text)]
    assert not found


@pytest.mark.parametrize("what", SECRETS)
def test_a_secret_would_be_seen(what):
    example = {
        "a private key": "-----BEGIN " + "RSA PRIVATE KEY-----", "a key of AWS": "AKIA" + "A" * 16,
        "a token of GitHub": "ghp_" + "a" * 36, "a token of Hugging Face": "hf_" + "a" * 34,
        "a token of PyPI": "pypi-AgE" + "a" * 50, "a signature of Azure": "?sig=" + "a" * 44,
        "a web token": ".".join(["eyJ" + "a" * 20] * 2) + ".x",
    }[what]  # fmt: skip
    assert re.search(SECRETS[what], example)


RUNS = {"eval", "exec", "compile", "__import__", "loads", "load", "system", "popen"}
OWNERS = {"pickle", "marshal", "shelve", "dill", "joblib", "yaml", "os"}


def test_nothing_that_is_read_is_run():
    """Weights are safetensors, settings TOML and JSON: no call that could run what they hold."""
    wrong = []
    for path in [*(ROOT / "icectl").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            owner, _, name = called.rpartition(".")
            bare = not owner and name in {"eval", "exec", "compile", "__import__"}
            if bare or (name in RUNS and owner in OWNERS) or called == "torch.load":
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {called}")
            if any(k.arg == "shell" and getattr(k.value, "value", None) is True for k in node.keywords):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} a shell")
            if any(
                k.arg == "allow_pickle" and getattr(k.value, "value", 1) is not False for k in node.keywords
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} allow_pickle")
    assert not wrong, "\n".join(wrong)
