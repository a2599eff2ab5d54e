"""Plans and performs stages: skips what is done, chains what is missing, records what was made.

`plan` is pure and light: it says which folders a verb would use and which of them are
finished, so that ``--dry-run`` and the work itself cannot disagree.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from icectl import registry
from icectl.contract import VERBS, Metrics, Options, Plugin
from icectl.errors import UsageError, WorkError
from icectl.run import Compute, Run
from icectl.settings import Glacier
from icectl.workspace import (
    RECORD,
    RUN,
    Workspace,
    building,
    fingerprint,
    identify,
    read_json,
    redoing,
    sweep,
    worded_os_errors,
    write_json,
)

RESUMABLE = ("fetch", "train")
"""Stages that go on in their folder after a kill; the others are built aside and appear whole."""

_RECORDED_VERSIONS = ("icectl", "torch", "numpy", "rasterio", "opencv-python-headless")
_LATER = {RECORD, "predictions", "evaluations", "report.html"}
"""What stands in a run's folder without being the training's own."""

_NOT_IDENTITY = {"title", "note", "model", "options"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asked for, fully resolved. `run` names finished weights to use."""

    plugin: Plugin
    glacier: Glacier
    options: Mapping[str, Options]
    workspace: Workspace
    scenes: Path | None = None
    seed: int = 0
    compute: Compute = field(default_factory=Compute)
    run: Path | None = None
    force: bool = False
    chain: bool = True
    quiet: bool = False
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage of a plan: its folder, its identity, and whether it is finished."""

    verb: str
    out: Path
    fingerprint: str
    inputs: Mapping[str, Path]
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `perform` leaves behind: the last folder, and the run folder where there is one."""

    out: Path
    run: Path | None
    skipped: bool
    follower: bool = False  # a process that torchrun or SLURM started beside the first: it reports nothing


def plan(request: Request, verb: str) -> list[Step]:
    """Return the steps that lead to `verb`, first to last, touching nothing."""
    steps: list[Step] = []
    inputs: dict[str, Path] = {}
    prints: dict[str, str] = {}
    if request.run is not None:
        inputs["train"] = request.run
        prints["train"] = str(read_json(request.run / RECORD)["fingerprint"])
    wanted = _needed(request, verb)
    for stage in VERBS:
        if stage in inputs or stage not in wanted:
            continue
        prints[stage] = fingerprint(_identity(request, stage, prints))
        out = _folder(request, stage, prints[stage], inputs)
        steps.append(
            Step(
                verb=stage,
                out=out,
                fingerprint=prints[stage],
                inputs=dict(inputs),
                done=finished(out, prints[stage]),
            )
        )
        inputs[stage] = out
    return steps


def _needed(request: Request, verb: str) -> set[str]:
    """Return `verb` and the stages it needs, directly or through others; given weights need nothing."""
    if verb == "train" and request.run is not None:
        return set()
    needs = request.options[verb].needs()
    before = VERBS[: VERBS.index(verb)] if needs is None else needs
    return {verb}.union(*(_needed(request, stage) for stage in before))


def _identity(request: Request, stage: str, prints: Mapping[str, str]) -> dict[str, Any]:
    """Return all that decides what `stage` makes. Devices and processes do not."""
    options = request.options[stage]
    identity: dict[str, Any] = {
        "stage": stage,
        "task": request.plugin.task,
        "options": options.model_dump(mode="json"),
        "files": [[name, identify(path)] for name, path in _files(options)],
    }
    if stage == "fetch":
        place = request.glacier.model_dump(mode="json", exclude=_NOT_IDENTITY)
        return {**identity, "glacier": place, "scenes": _scenes_identity(request.scenes)}
    if stage == "prepare":
        return {**identity, "fetch": prints.get("fetch"), "seed": request.seed}
    identity |= {"model": request.plugin.name, "schema": request.plugin.schema, "seed": request.seed}
    if stage == "train":
        return {**identity, "prepare": prints.get("prepare"), "precision": request.compute.precision}
    return {**identity, "from": [prints[s] for s in ("prepare", "train", "predict") if s in prints]}


def _scenes_identity(scenes: Path | None) -> list[Any]:
    return [str(scenes), identify(scenes)] if scenes else []


def _files(options: Options) -> Iterator[tuple[str, Path]]:
    """Yield the user's files that options name."""
    for name in type(options).model_fields:
        value = getattr(options, name)
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, Path):
                yield name, item


def _folder(request: Request, stage: str, identity: str, inputs: Mapping[str, Path]) -> Path:
    space, glacier, plugin = request.workspace, request.glacier.name, request.plugin
    if stage == "fetch":
        return space.scenes(glacier, source_of(request), identity)
    if stage == "prepare":
        return space.prepared(glacier, plugin.task, identity)
    if stage == "train":
        return space.run(plugin.name, glacier, identity)
    kind = "predictions" if stage == "predict" else "evaluations"
    return inputs["train"] / kind / f"{glacier}-{identity[:10]}"


def source_of(request: Request) -> str:
    """Return the name of the source a fetch would use, for the folder's name."""
    if request.scenes is not None:
        return "folder"
    chosen = getattr(request.options["fetch"], "source", "auto")
    return chosen if chosen != "auto" else request.glacier.source or "default"


def finished(out: Path, identity: str) -> bool:
    """Tell whether `out` holds the finished stage of that identity, with all it wrote."""
    if not (out / RECORD).is_file():
        return False
    record = read_json(out / RECORD)
    return record.get("fingerprint") == identity and all((out / name).exists() for name in record["outputs"])


def perform(request: Request, verb: str) -> Outcome:
    """Perform `verb` and the missing stages before it, after saying so."""
    steps = plan(request, verb)
    missing = [step.verb for step in steps[:-1] if not step.done]
    if missing and not request.chain:
        raise UsageError(
            f"{verb} needs {' and '.join(missing)} first, and --no-chain forbids that",
            f"run `icectl {missing[0]} {request.plugin.name} --glacier {request.glacier.name}`",
        )
    talk = Run(verb=verb, plugin=request.plugin, glacier=request.glacier, out=request.workspace.root)
    if missing:
        talk.say(f"{verb} of {request.glacier.name} needs {', '.join(missing)} first: doing that now")
    if _is_follower():
        return _follow(request, steps)
    for step in steps:
        last = step is steps[-1]
        if step.done and not (request.force and last):
            talk.say(f"{step.verb}: up to date in {step.out}")
        else:
            _perform_step(request, step, redo=request.force and last)
    return Outcome(
        out=steps[-1].out, run=run_folder(steps, request.run), skipped=steps[-1].done and not request.force
    )


def _is_follower() -> bool:
    """Tell whether ``torchrun`` or SLURM started this process as one of several, and not as the first."""
    from icectl.training.devices import outer_rank

    return bool(outer_rank())


def _follow(request: Request, steps: list[Step]) -> Outcome:
    """Take part in the training that rank 0 leads; lock and write nothing, and wait for the rest."""
    for step in steps:
        redo = request.force and step is steps[-1]
        if step.verb == "train" and (redo or not step.done):
            _wait_for(step.out / RUN)
            model = registry.load_model(request.plugin)
            model.train(_run_for(request, step, step.out), request.options["train"])
        else:
            _wait_for(step.out / RECORD)
    return Outcome(out=steps[-1].out, run=run_folder(steps, request.run), skipped=False, follower=True)


def _wait_for(file: Path, seconds: float = 24 * 3600) -> None:
    """Wait until rank 0 has written `file`."""
    import time

    deadline = time.monotonic() + seconds
    while not file.exists():
        if time.monotonic() > deadline:
            raise WorkError(f"the first process never wrote {file}", "look at the log of rank 0")
        time.sleep(0.2)


def run_folder(steps: list[Step], chosen: Path | None) -> Path | None:
    """Return the folder of the weights that a plan trains or uses."""
    if chosen is not None:
        return chosen
    return next((step.out for step in steps if step.verb == "train"), None)


def _perform_step(request: Request, step: Step, redo: bool) -> None:
    from icectl.training.meters import Meter

    model = registry.load_model(request.plugin)
    with request.workspace.lock(step.out), worded_os_errors(request.workspace.root):
        if finished(step.out, step.fingerprint) and not redo:  # another process did it meanwhile
            return
        with _folder_of_work(step, redo) as out:
            run = _run_for(request, step, out)
            run.say(f"{step.verb} {request.plugin.name} on {request.glacier.name} …")
            if step.verb == "train":
                write_json(out / RUN, run_record(request, step))
            with Meter() as meter:
                result = getattr(model, step.verb)(run, request.options[step.verb])
            if isinstance(result, Metrics):
                write_json(out / "metrics.json", metrics_record(result))
            write_json(out / RECORD, _record(request, step, out, run, meter.facts()))


@contextlib.contextmanager
def _folder_of_work(step: Step, redo: bool) -> Iterator[Path]:
    """Yield the folder to work in: the stage's own where it can resume, else one aside."""
    if step.verb not in RESUMABLE:
        with building(step.out) as aside:
            yield aside
        return
    if redo:
        with redoing(step.out):
            yield step.out
        return
    (step.out / RECORD).unlink(missing_ok=True)
    step.out.mkdir(parents=True, exist_ok=True)
    sweep(step.out)
    yield step.out


def _run_for(request: Request, step: Step, out: Path) -> Run:
    return Run(
        verb=step.verb,
        plugin=request.plugin,
        glacier=request.glacier,
        out=out,
        inputs=step.inputs,
        options=request.options,
        scenes=request.scenes,
        seed=request.seed,
        compute=request.compute,
        quiet=request.quiet,
    )


def run_record(request: Request, step: Step) -> dict[str, Any]:
    """Return what a run needs to be used again: plugin, schema, options, glacier."""
    found = registry.owner(request.plugin)
    return {
        "model": request.plugin.name,
        "task": request.plugin.task,
        "distribution": found.distribution,
        "version": found.version,
        "schema": request.plugin.schema,
        "api": request.plugin.api,
        "glacier": request.glacier.model_dump(mode="json"),
        "scenes": str(request.scenes) if request.scenes else None,
        "options": {verb: options.model_dump(mode="json") for verb, options in request.options.items()},
        "seed": request.seed,
        "fingerprint": step.fingerprint,
        "command": request.command,
        "inputs": {verb: str(path) for verb, path in step.inputs.items()},
    }


def _record(request: Request, step: Step, out: Path, run: Run, meter: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stage": step.verb,
        "model": request.plugin.name,
        "task": request.plugin.task,
        "glacier": request.glacier.name,
        "fingerprint": step.fingerprint,
        "options": request.options[step.verb].model_dump(mode="json"),
        "inputs": {verb: str(path) for verb, path in step.inputs.items()},
        "seed": request.seed,
        "command": request.command,
        "versions": versions(),
        "meter": dict(meter),
        "notes": run.notes,
        "outputs": sorted(p.name for p in out.iterdir() if p.name not in _LATER and p.name[0] != "."),
    }


def versions() -> dict[str, str]:
    """Return the versions that a result depends on most."""
    found = {"python": platform.python_version()}
    for name in _RECORDED_VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def metrics_record(metrics: Metrics) -> dict[str, Any]:
    """Return `metrics` as plain JSON data."""
    return {
        "tables": [
            {
                "title": table.title,
                "primary": table.primary,
                "note": table.note,
                "columns": [
                    {"key": c.key, "label": c.label, "unit": c.unit, "better": c.better}
                    for c in table.columns
                ],
                "rows": [
                    {"name": r.name, "kind": r.kind, "values": dict(r.values), "note": r.note}
                    for r in table.rows
                ],
            }
            for table in metrics.tables
        ],
        "notes": list(metrics.notes),
        "details": dict(metrics.details),
    }


def newest_run(workspace: Workspace, plugin: Plugin) -> Path | None:
    """Return the newest finished run of a model, if there is one."""
    runs = workspace.finished_runs(plugin.name)
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
