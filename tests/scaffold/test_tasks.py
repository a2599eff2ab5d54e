"""What ``plugins new --task`` writes passes every check untouched, as pip installs it."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from icectl import scaffold
from icectl.tasks import TASKS


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("task", TASKS)
def test_a_new_plugin_of_every_task_passes_all_checks(task, tmp_path, new_environment):
    """One that owns its task passes them in test_docs.py, where its own tests are run."""
    env = new_environment(tmp_path / "venv")
    folder = scaffold.create("my-net", task, tmp_path)
    env.run(f"pip install -q ./{folder.name}", tmp_path)
    shutil.rmtree(folder)  # only what is installed counts
    done = env.run("icectl plugins validate my-net --full --json", tmp_path, check=False)
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
