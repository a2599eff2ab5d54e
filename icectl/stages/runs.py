"""Finds finished runs: the newest of a model, or the one that a user names."""

from __future__ import annotations

from pathlib import Path

from icectl import registry
from icectl.contract import Plugin
from icectl.errors import UsageError, WorkError
from icectl.workspace import RECORD, RUN, Workspace, run_of


def newest_run(workspace: Workspace, plugin: Plugin) -> Path | None:
    """Return the newest finished run of a model, if there is one."""
    runs = workspace.finished_runs(plugin.name)
    if sum(found.name == plugin.name for found in registry.announced()) > 1:
        own = registry.owner(plugin).distribution
        runs = [run for run in runs if run_of(run)["distribution"] == own]
    return runs[-1] if runs else None


def find_run(workspace: Workspace, chosen: str) -> Path:
    """Return the finished run that `chosen` names: a folder, or the (start of the) id of one."""
    path = Path(chosen).expanduser()
    if (path / RUN).is_file():
        return _finished_run(path.absolute())
    found = sorted((workspace.root / "runs").glob(f"*/*/{chosen}*/{RUN}")) if "/" not in chosen else []
    if len(found) > 1:
        raise UsageError(f"several runs start with '{chosen}'", "write more of the id, or the folder")
    if not found:
        raise UsageError(f"no run '{chosen}' in {workspace.root}", "name a folder under runs/, or its id")
    return _finished_run(found[0].parent)


def _finished_run(path: Path) -> Path:
    if not (path / RECORD).is_file():
        raise WorkError(
            f"the run in {path} is not finished", "start the same train command again: it goes on"
        )
    return path
