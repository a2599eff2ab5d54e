"""A fresh environment that sees the packages of this one, as a user's own would."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Environment:
    """A virtual environment with `icectl`, `pip` and `pytest` on its path."""

    folder: Path

    def run(
        self, command: str, cwd: Path, check: bool = True, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "ICECTL_ENERGY": "estimate", **extra}
        env.pop("PYTHONPATH", None)
        done = subprocess.run(
            ["bash", "-ec", command], cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def make(folder: Path) -> Environment:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    site = next((folder / "lib").glob("python*/site-packages"))
    ours = sysconfig.get_paths()["purelib"]
    tested = [str(Path(find_spec(name).origin).parents[1]) for name in ("icectl", "icectl_convlstm")]
    first = f"import sys; sys.path[:0] = {tested!r}"  # the code that these tests are about, wherever it lies
    (site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n{first}\n")
    pip = f'exec {sys.executable} -m pip --python {python} "$@"'
    commands = {
        "icectl": "from icectl.cli import main; main()",
        "pytest": "import pytest, sys; sys.exit(pytest.main())",
    }
    for name, code in commands.items():  # guarded, as pip writes them: training processes import the script
        script(folder / "bin" / name, f"#!{python}\nif __name__ == '__main__':\n    {code}\n")
    flags = "PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_NO_BUILD_ISOLATION=0 PIP_DISABLE_PIP_VERSION_CHECK=1"
    script(folder / "bin" / "pip", f"#!/bin/sh\nexport {flags}\n{pip}\n")
    return Environment(folder)


@pytest.fixture(scope="session")
def new_environment():
    """The function that makes an environment, for tests that want one of their own."""
    return make


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One environment for the tests of this room that install something."""
    return make(tmp_path_factory.mktemp("venv"))


@pytest.fixture
def code_lines():
    """The function that counts lines of Python which are neither blank, nor comment, nor docstring."""
    return _code_lines


def _code_lines(text: str) -> int:
    """Lines of Python that are neither blank, nor comment, nor docstring."""
    tree = ast.parse(text)
    documented = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                documented.update(range(first.lineno, first.end_lineno + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(
        1 for n, line in lines if line.strip() and not line.strip().startswith("#") and n not in documented
    )
