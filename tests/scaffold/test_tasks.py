"""What ``plugins new --task`` writes for each of icectl's tasks passes every check untouched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from icectl import scaffold
from icectl.tasks import TASKS

CODE = "import sys; from icectl.cli import main; sys.exit(main())"


def icectl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "ICECTL_PLUGINS": "my-net=icectl_my_net:plugin",
        "ICECTL_ENERGY": "off",
    }
    command = [sys.executable, "-c", CODE, *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1200
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("task", TASKS)
def test_a_new_plugin_of_every_task_passes_all_checks(task, tmp_path):
    folder = scaffold.create("my-net", task, tmp_path)
    done = icectl(folder, "plugins", "validate", "my-net", "--full", "--json")
    found = json.loads(done.stdout)
    assert [(one["check"], one["reason"]) for one in found if not one["passed"]] == []
    assert len(found) >= 17


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("front", "returned (2, 1, 64, 96), expected (2, 2, 64, 96) for (2, 3, 64, 96)"),
        ("flow", "returned (2, 1, 1, 16, 16), expected (2, 2, 1, 16, 16)"),
    ],
)
def test_a_network_of_another_shape_is_refused_before_it_is_trained(task, words, tmp_path):
    from icectl.errors import WorkError
    from icectl.tasks.model import check_network

    folder = scaffold.create("my-net", task, tmp_path)
    sys.path.insert(0, str(folder))
    try:
        for name in ("icectl_my_net", "icectl_my_net.network"):
            sys.modules.pop(name, None)
        from icectl_my_net import Train, plugin
        from icectl_my_net.network import Model
    finally:
        sys.path.remove(str(folder))
    options, facts = Train(), {"size": 16}

    class Wrong(Model):
        def network(self, ports, options):
            network = super().network(ports, options)
            whole = network.forward
            network.forward = lambda *given: whole(*given)[:, :1]
            return network

    run = type("Run", (), {"plugin": plugin})()
    check_network(run, Model(), options, facts)
    with pytest.raises(WorkError) as caught:
        check_network(run, Wrong(), options, facts)
    assert words in caught.value.message
