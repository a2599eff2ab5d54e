"""One typed request of the terminal: the verb, its model, and all that was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from icectl import registry, settings
from icectl.cli.options import Shared
from icectl.contract import Options, Plugin
from icectl.errors import UsageError, did_you_mean
from icectl.settings import Experiment, Glacier
from icectl.tasks import TASKS
from icectl.workspace import Workspace


class Files:
    """The settings files of one command, each looked for and read once."""

    def __init__(self) -> None:
        self._glaciers: dict[str, Glacier] = {}
        self._experiments: dict[str, Experiment] = {}

    @cached_property
    def glaciers(self) -> Mapping[str, Path]:
        """The file of every known glacier."""
        return settings.available("glaciers")

    def glacier(self, name: str) -> Glacier:
        """Return the glacier called `name`, or fail with the nearest known one."""
        if name not in self._glaciers:
            self._glaciers[name] = _of_known_tasks(settings.load_glacier(name))
        return self._glaciers[name]

    def experiment(self, name: str) -> Experiment:
        """Return the experiment called `name`, or the one in that TOML file."""
        if name not in self._experiments:
            self._experiments[name] = settings.load_experiment(name)
        return self._experiments[name]


def _of_known_tasks(glacier: Glacier) -> Glacier:
    """Return a glacier if its file sets options of tasks that there are; others would do nothing."""
    unknown = set(glacier.options) - set(TASKS)
    found = registry.plugins() if unknown else ()
    known = {*TASKS, *(one.plugin.task for one in found if one.plugin)}
    if unknown - known and all(one.plugin for one in found):  # the task of a broken plugin is not known
        name = min(unknown - known)
        raise UsageError(
            f"glacier '{glacier.name}', [options.{name}]: there is no task '{name}'",
            did_you_mean(name, known),
        )
    return glacier


@dataclass(frozen=True, kw_only=True)
class Asked(Shared):
    """What a user asks of one verb of one model.

    `verb` and `plugin`: what is to be done, by whom. `own`: the model's own options that were typed, by
    name. `files`: the settings files that parsing has read already. `command`: what to write down as the
    command; by default what was typed.
    """

    verb: str
    plugin: Plugin
    own: Mapping[str, Any] = field(default_factory=dict)
    files: Files = field(default_factory=Files)
    command: str = ""

    @classmethod
    def of(cls, verb: str, plugin: Plugin, values: Mapping[str, Any], files: Files | None = None) -> Asked:
        """Sort parsed `values` into the options that verbs share and the model's own."""
        names = {f.name for f in fields(Shared)}
        shared = {name: value for name, value in values.items() if name in names}
        own = {n: v for n, v in values.items() if n not in names and v not in (None, ())}
        return cls(verb=verb, plugin=plugin, own=own, files=files or Files(), **shared)

    @property
    def space(self) -> Workspace:
        """The workspace that was named, or the usual one."""
        return Workspace.locate(self.workspace)

    @property
    def named_experiment(self) -> Experiment | None:
        """The experiment that was named, if one was."""
        return self.files.experiment(self.experiment) if self.experiment else None

    def given(self, options: type[Options]) -> dict[str, Any]:
        """Return the typed flags that are fields of `options`."""
        return {name: value for name, value in self.own.items() if name in options.model_fields}
