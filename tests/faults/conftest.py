"""A plugin of five real stages (GeoTIFFs, a training, JSON), and processes that can be killed."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

import victim
from fieldwork import OPTIONS
from smallest_words import words

from icectl import scaffold


@dataclass(frozen=True)
class Field:
    """A working folder with the plugin ``field`` in it."""

    folder: Path

    def start(self, *words: str, workspace: Path, log: Path) -> multiprocessing.Process:
        environment = {
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(self.folder / "icectl-field"), os.environ.get("PYTHONPATH")])
            ),
            "ICECTL_PLUGINS": "field=icectl_field:plugin",
            "ICECTL_ENERGY": "off",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "300",
        }
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            [
                "icectl.cli.app",
                "icectl.cli.work",
                "icectl.training.loop",
                "icectl.report.page",
                "odc.geo.geobox",
            ]
        )
        arguments = ([*words, "--workspace", str(workspace)], str(self.folder), environment, str(log))
        process = context.Process(target=victim.run, args=arguments)
        process.start()
        return process

    def icectl(self, *words: str, workspace: Path) -> tuple[int, str]:
        """Run to the end; return the exit code and all that was printed."""
        log = workspace.with_name(f"{workspace.name}.log")
        log.unlink(missing_ok=True)
        process = self.start(*words, workspace=workspace, log=log)
        process.join(240)
        assert process.exitcode is not None, victim.read_log(log)
        return process.exitcode, victim.read_log(log)


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    folder = tmp_path_factory.mktemp("field")
    scaffold.create("field", "own", folder)
    return Field(folder)


@pytest.fixture(scope="session")
def finished(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which everything was done without a fault."""
    workspace = tmp_path_factory.mktemp("finished") / "workspace"
    code, log = field.icectl("run", "field", *OPTIONS, workspace=workspace)
    assert code == 0, log
    return workspace


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return ``make(model)``: a workspace in which a model was trained and evaluated. Copy it."""
    made: dict[str, Path] = {}

    def make(model: str) -> Path:
        if model not in made:
            from icectl import cli

            folder = tmp_path_factory.mktemp(model) / "workspace"
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ICECTL_WORKSPACE", str(folder))
                command = ["evaluate", model, *words(model, "evaluate"), "--json"]
                patch.setattr(sys, "argv", ["icectl", *command])
                assert cli.call(command) == 0
            made[model] = folder
        return made[model]

    return make
