"""Finds finished runs: the newest of a model, or the one that a user names."""

from pathlib import Path

from icectl import registry, settings
from icectl.contract import Plugin
from icectl.errors import UsageError, WorkError
from icectl.run import Run
from icectl.stages.plan import UNTRAINED
from icectl.workspace import RECORD, RUN, Workspace, dated, run_of


def newest_run(workspace: Workspace, plugin: Plugin, seed: int | None = None) -> Path | None:
    """Return the newest finished run of a model, of those with `seed` where there are any."""
    runs = [run for run in workspace.finished_runs(plugin.name) if "weights" not in run_of(run)]
    newest = [run for run in reversed(runs) if _made_by(run, plugin)]
    of_seed = [run for run in newest if seed is not None and run_of(run)["seed"] == seed]
    return next(iter(of_seed or newest), None)


def _made_by(run: Path, plugin: Plugin | None) -> bool:
    """Tell whether a run is of a plugin, where several distributions have one of its name."""
    if plugin is None or sum(found.name == plugin.name for found in registry.announced()) < 2:
        return True
    return bool(run_of(run)["distribution"] == registry.owner(plugin).distribution)


LAST = "last"
"""What stands for the newest run of a workspace, or of a model."""


def runs(workspace: Workspace, home: str = "runs/*") -> list[Path]:
    """Return every run of a workspace (in folders `home` of models) that can be used or shown, oldest first.

    Those are finished trainings, weights that were brought in, and products that needed no training.
    """
    found = [one for place in workspace.root.glob(f"{home}/*") for one in dated(place, RUN)]
    whole = [(when, run) for when, run in found if (run / RECORD).is_file() or run.name == UNTRAINED]
    return [run for _, run in sorted((_changed(when, run), run) for when, run in whole)]


def _changed(when: float, run: Path) -> float:
    """Return when a run was last added to: trained (`when`), predicted with or evaluated."""
    made = (one for kind in ("predictions", "evaluations") for one in dated(run / kind, RECORD))
    return max([when, *(time for time, _ in made)])


def find_run(workspace: Workspace, chosen: str, plugin: Plugin | None = None, weights: bool = False) -> Path:
    """Return the finished run that `chosen` names: a folder, the (start of the) id of one, or ``last``.

    `plugin` bounds ``last`` to one model; `weights` asks for a run that holds trained weights, which
    products that needed no training do not.

    UsageError: there is no such run, or several start with `chosen`, or it holds no weights. WorkError: it
    is not finished.
    """
    if chosen == LAST:
        home = f"runs/{plugin.name if plugin else '*'}"
        found = [run for run in runs(workspace, home) if not weights or run.name != UNTRAINED]
        found = [run for run in found if _made_by(run, plugin)]
        if not found:
            what = f"run of {plugin.name}" if plugin else "run"
            with_weights = " with trained weights" if weights else ""
            raise UsageError(
                f"there is no {what}{with_weights} in {workspace.root}",
                "icectl demo makes one; --workspace names another place to look in",
            )
        return found[-1]
    path = Path(chosen).expanduser()
    if (path / RUN).is_file():
        return _finished_run(path.absolute(), weights)
    found = sorted((workspace.root / "runs").glob(f"*/*/{chosen}*/{RUN}")) if "/" not in chosen else []
    if len(found) > 1:
        raise UsageError(f"several runs start with '{chosen}'", "write more of the id, or the folder")
    if not found:
        raise UsageError(
            f"no run '{chosen}' in {workspace.root}", "`icectl runs list` names those that are there"
        )
    return _finished_run(found[0].parent, weights)


def run_of_weights(folder: Path, out: Path) -> Run:
    """Return what a model is handed to work in `out` with the trained weights in `folder`."""
    saved = run_of(folder)
    glacier = settings.validate(settings.Glacier, saved["glacier"], f"the record of {folder}")
    return Run(
        verb="predict", plugin=registry.maker(saved), glacier=glacier, out=out, inputs={"train": folder}
    )


def _finished_run(path: Path, weights: bool) -> Path:
    if path.name == UNTRAINED and weights:
        raise UsageError(
            f"{path} holds products that needed no training, so no weights", "name a run that was trained"
        )
    if not (path / RECORD).is_file() and path.name != UNTRAINED:
        raise WorkError(
            f"the run in {path} is not finished", "start the same train command again: it goes on"
        )
    return path
