"""The tasks. Each has a folder with the same files, and in each file one function: a step.

================  ================  =========================  ======================================
File              Function          Takes first                Returns
================  ================  =========================  ======================================
``fetch``         ``fetch``         run, options               folder of source data, ``run.out``
``prepare``       ``prepare``       run, options               folder of the data set, ``run.out``
``dataset``       ``open_dataset``  folder                     the task's data set
``split``         ``split``         dataset, options, seed     what is trained, validated and tested on
``train``         ``train``         run, model, options        folder of the weights, ``run.out``
``predict``       ``predict``       run, model, options        folder of the products, ``run.out``
``products``      ``write``         run                        files written
``baselines``     ``baselines``     what it compares           what simple methods answer
``metrics``       ``score``         what it compares           errors of a prediction
``evaluate``      ``evaluate``      run, model, options        `icectl.contract.Metrics`
``figures``       ``figures``       run                        panels of an evaluation
``shown``         ``shown``         run                        panels of what was predicted
``estimate``      ``estimate``      run                        `icectl.contract.Estimate`
================  ================  =========================  ======================================

A function may take more than the table says. ``options.py`` holds the options of the five stages and
``model.py`` a thin `icectl.tasks.model.TaskModel`. What a task knows of its subject lies in folders
named for it, as functions from arrays to arrays.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from icectl.errors import WorkError

TASKS = ("snow", "flow", "front", "bed")

STEPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "fetch": ("fetch", ("run", "options")),
    "prepare": ("prepare", ("run", "options")),
    "dataset": ("open_dataset", ("folder",)),
    "split": ("split", ("dataset", "options", "seed")),
    "train": ("train", ("run", "model", "options")),
    "predict": ("predict", ("run", "model", "options")),
    "products": ("write", ("run",)),
    "baselines": ("baselines", ()),
    "metrics": ("score", ()),
    "evaluate": ("evaluate", ("run", "model", "options")),
    "figures": ("figures", ("run",)),
    "shown": ("shown", ("run",)),
    "estimate": ("estimate", ("run",)),
}
"""Of each step's file: the function's name, and the names of its first parameters."""


def step(task: str, name: str) -> Callable[..., Any]:
    """Return the function of one step of a task, imported on use.

    Parameters
    ----------
    task
        One of `TASKS`.
    name
        A key of `STEPS`, which is also the name of the file.

    Examples
    --------
    >>> step("snow", "estimate").__name__
    'estimate'
    """
    function: Callable[..., Any] = getattr(import_module(f"{__name__}.{task}.{name}"), STEPS[name][0])
    return function


def gone(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse a run of networks that a plugin no longer has; an entry of `Plugin.upgrades`."""
    raise WorkError("this run holds a network that is gone since", "train again")
