"""Finds finished runs: the newest of a model, or the one that a user names."""

from __future__ import annotations

from pathlib import Path

from icectl import registry
from icectl.contract import Plugin
from icectl.errors import UsageError, WorkError
from icectl.stages.plan import UNTRAINED
from icectl.workspace import RECORD, RUN, Workspace, run_of


def newest_run(workspace: Workspace, plugin: Plugin) -> Path | None:
    """Return the newest finished run of a model, if something was trained here."""
    runs = [run for run in workspace.finished_runs(plugin.name) if "weights" not in run_of(run)]
    if sum(found.name == plugin.name for found in registry.announced()) > 1:
        own = registry.owner(plugin).distribution
        runs = [run for run in runs if run_of(run)["distribution"] == own]
    return runs[-1] if runs else None


LAST = "last"
"""What stands for the newest run of a workspace, or of a model."""


def runs(workspace: Workspace) -> list[Path]:
    """Return every run of a workspace that can be used or shown, oldest first.

    Those are finished trainings, weights that were brought in, and products that needed no training.
    """
    found = [path.parent for path in (workspace.root / "runs").glob(f"*/*/*/{RUN}")]
    whole = [run for run in found if (run / RECORD).is_file() or run.name == UNTRAINED]
    return sorted(whole, key=_changed)


def _changed(run: Path) -> float:
    """Return when a run was last added to: trained, predicted with or evaluated."""
    return max(path.stat().st_mtime for path in (run / RUN, *run.glob(f"*/*/{RECORD}")))


def find_run(workspace: Workspace, chosen: str, plugin: Plugin | None = None) -> Path:
    """Return the finished run that `chosen` names: a folder, the (start of the) id of one, or ``last``.

    `plugin` bounds ``last`` to one model.
    """
    if chosen == LAST:
        newest = newest_run(workspace, plugin) if plugin else next(reversed(runs(workspace)), None)
        if newest is None:
            raise UsageError(f"there is no run in {workspace.root} yet", "icectl demo makes one")
        return newest
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
    if not (path / RECORD).is_file() and path.name != UNTRAINED:
        raise WorkError(
            f"the run in {path} is not finished", "start the same train command again: it goes on"
        )
    return path
