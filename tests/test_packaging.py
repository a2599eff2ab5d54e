"""The wheel holds everything: configs, completions, plugins; an installed icectl works from anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by hatchling from this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder the wheel is installed into, without its dependencies."""
    target = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return target


def test_wheel_holds_configs_completions_plugins_and_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "icectl/configs/glaciers/parvati.toml",
        "icectl/completions/icectl.bash",
        "icectl/py.typed",
        "icectl_convlstm/__init__.py",
        "icectl_inpaint_gan/networks.py",
        "icectl/report/style.css",
        "icectl/scaffold/templates/common/pyproject.toml.j2",
    ):
        assert name in names, name
    assert not [n for n in names if n.startswith(("tests/", "benchmarks/"))]


def test_an_installed_icectl_finds_its_settings_and_models(installed, tmp_path):
    probe = (
        "import icectl, json, sys; from icectl import registry, settings;"
        "print(json.dumps([icectl.__file__, list(settings.available('glaciers')), list(registry.names())]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {probe}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    file, glaciers, models = json.loads(done.stdout)
    assert file.startswith(str(installed))
    assert "parvati" in glaciers
    assert "convlstm" in models


def test_every_requirement_says_why_or_is_plain_and_pins_match():
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {
        line.partition("==")[0].lower().replace("_", "-").replace(".", "-"): line.partition("==")[2].strip()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    for text in project["dependencies"]:
        needed = Requirement(text)
        pin = pins[needed.name.lower().replace("_", "-").replace(".", "-")]
        assert needed.specifier.contains(pin), f"{needed} does not admit the pinned {pin}"


def test_constraints_name_no_address():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert "/" not in line
        assert "@" not in line


def test_the_version_stands_in_one_place(wheel):
    import re

    from icectl import __version__

    assert wheel.name.startswith(f"icectl-{__version__}-")
    assert re.search(rf"(?m)^version: {re.escape(__version__)}$", (ROOT / "CITATION.cff").read_text())


def test_the_environment_for_conda_and_the_image_install_what_is_here():
    """Their pip lines name files of this repository; neither conda nor docker is needed to see that."""
    yaml = pytest.importorskip("yaml")
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"][-1] == {"pip": ["-c constraints.txt", "-e ."]}
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    assert "Dockerfile" not in copied
