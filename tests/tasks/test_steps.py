"""The four tasks have the same steps, and one function calls each of them."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pytest

from icectl.contract import VERBS
from icectl.tasks import STEPS, TASKS, step
from icectl.tasks.model import TaskModel

FOLDER = Path(inspect.getfile(TaskModel)).parent


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_every_task_has_one_name_and_one_signature(task, name):
    function, first = STEPS[name]
    found = step(task, name)
    assert found.__name__ == function
    assert found.__module__ == f"icectl.tasks.{task}.{name}"
    assert tuple(inspect.signature(found).parameters)[: len(first)] == first


@pytest.mark.parametrize("task", TASKS)
def test_a_tasks_folder_has_no_files_but_the_steps(task):
    found = {path.stem for path in (FOLDER / task).glob("*.py")}
    assert found == {"__init__", "options", "model", *STEPS}


@pytest.mark.parametrize(("task", "most"), [("snow", 42), ("flow", 48), ("front", 51), ("bed", 43)])
def test_a_task_has_no_more_options_than_planned(task, most):
    """Fields of the five classes, counted once by name, with those of sources that they share."""
    stages = vars(import_module(f"icectl.tasks.{task}"))
    kinds = [stages[f"{verb.capitalize()}Options"] for verb in VERBS]
    names = {name for kind in kinds for name in kind.model_fields}
    print(f"{task}: {len(names)} options")
    assert len(names) <= most


class Anything(TaskModel):
    task = "snow"

    def network(self, ports, options):
        raise AssertionError("not asked for")

    def ports(self, options, facts):
        raise AssertionError("not asked for")

    def learner(self, network, options, facts):
        raise AssertionError("not asked for")


@pytest.mark.parametrize("task", TASKS)
def test_the_verbs_call_the_steps_of_their_task(task, monkeypatch):
    calls = []

    def spy(of: str, name: str):
        return lambda *given: calls.append((of, name, len(given))) or Path("made")

    monkeypatch.setattr("icectl.tasks.model.step", spy)
    model = Anything()
    monkeypatch.setattr(Anything, "task", task)
    run = type("Run", (), {"inputs": {"prepare": Path("prepared")}})()
    for verb in ("fetch", "prepare", "train", "predict", "evaluate"):
        assert getattr(model, verb)(run, None) == Path("made")
    model.dataset(run)
    model.split(None, None, 0)
    names = ("fetch", "prepare", "train", "predict", "evaluate", "dataset", "split")
    assert [call[:2] for call in calls] == [(task, name) for name in names]
    assert [call[2] for call in calls] == [len(STEPS[name][1]) for name in names]


def test_the_network_that_answers_is_taken_out_of_all_that_was_saved():
    state = {"mean.a": 1, "network.a": 2}
    assert Anything().kept(state, {}) == state
    assert Anything().kept(state, {"kept": "mean"}) == {"a": 1}
