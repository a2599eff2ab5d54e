"""Performs the steps of a plan, one after another, each recorded when it is finished."""

import contextlib
import shlex
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from icectl import registry
from icectl.contract import Metrics
from icectl.errors import DataError, UsageError, WorkError
from icectl.model import Model
from icectl.run import Compute, Run
from icectl.settings import available
from icectl.stages.plan import Request, Step, plan, run_folder, run_for, settled
from icectl.stages.records import metrics_record, run_record, score_of, stage_record
from icectl.training.settings import STATE
from icectl.workspace import (
    RECORD,
    RUN,
    adopt,
    building,
    clear_damaged,
    damage,
    expect_intact,
    full_disks_said,
    redoing,
    remove_file,
    run_of,
    sound,
    sweep,
    sweep_beside,
    worded_os_errors,
    write_json,
)

LOG = "log.jsonl"
RESUMABLE = ("fetch", "train")
"""Stages that go on in their folder after a kill, besides those of a model's `resumes`; the others are built
aside and appear whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `perform` leaves behind: the last folder, and the run folder where there is one."""

    out: Path
    run: Path | None
    skipped: bool
    follower: bool = False  # a process that torchrun or SLURM started beside the first: it reports nothing


def perform(request: Request, verb: str) -> Outcome:
    """Perform `verb` and the missing stages before it, after saying so."""
    request = settled(request)
    steps = _intact(request, plan(request, verb))
    missing = [_named(request, step) for step in steps[:-1] if not step.done]
    if missing and not request.chain:
        raise UsageError(
            f"{verb} needs {', '.join(missing)} first, and --no-chain forbids that",
            f"run `icectl {missing[0].partition(' ')[0]} {registry.typed(request.plugin)} {_place(request)}`",
        )
    _check_devices(request, steps)
    talk = run_for(steps[-1])
    if missing:
        counted = ", ".join(f"{n} × {name}" if n > 1 else name for name, n in Counter(missing).items())
        talk.say(f"{verb} of {request.glacier.name} needs {counted} first: doing that now")
    if _is_follower():
        return _follow(request, steps)
    _say_who_made(request, talk)
    for step in steps:
        redo = request.force_all or (request.force and step is steps[-1])
        if step.done and not redo:
            sweep_beside(step.out)  # a process killed after its folder appeared left its box there
            talk.say(f"{step.verb}: up to date in {step.out}")
            if step.verb in ("train", "evaluate") and request.logger:
                talk.say(
                    f"nothing of it is recorded in {request.logger} (`icectl run --force` does all again)"
                )
        else:
            _perform_member(request, step, redo)
    skipped = steps[-1].done and not (request.force or request.force_all)
    return Outcome(out=steps[-1].out, run=run_folder(steps, request.run), skipped=skipped)


def _named(request: Request, step: Step) -> str:
    """Return a step in words: the verb, and whose it is where that is another model."""
    other = step.request.plugin.name
    return step.verb if other == request.plugin.name else f"{step.verb} {other}"


def _say_who_made(request: Request, talk: Run) -> None:
    """Say so where the weights to be used come from another version than the one that would use them."""
    if request.run is None:
        return
    saved, found = run_of(request.run), registry.owner(request.plugin)
    made, here = (saved["distribution"], saved["version"]), (found.distribution, found.version)
    if made != here:
        talk.say(f"{request.run.name} was made by {' '.join(made)}; {' '.join(here)} is used now")


def _intact(request: Request, steps: list[Step]) -> list[Step]:
    """Return the steps, those whose files are not as they were written to be done again."""
    if request.run is not None:
        expect_intact(request.run)
    found = []
    for step in steps:
        wrong = damage(step.out) if step.done else []
        if wrong:
            run_for(step).say(f"{step.verb}: {step.out / wrong[0]} is damaged, so it is made again")
        found.append(replace(step, done=step.done and not wrong))
    return found


def _place(request: Request) -> str:
    """Return the flags that name the place of a request."""
    words = ["--scenes", str(request.scenes)] if request.scenes else []
    if request.glacier.name in available("glaciers"):  # else the folder gave the name
        words = ["--glacier", request.glacier.name, *words]
    return shlex.join(words)


def _check_devices(request: Request, steps: list[Step]) -> None:
    """Refuse devices that are not here before anything is fetched or prepared for them."""
    training = any(step.verb == "train" and not step.done for step in steps)
    if training and request.compute.processes > 1 and not request.plugin.multi_device:
        raise UsageError(
            f"'{request.plugin.name}' trains in one process, not {request.compute.processes}",
            "leave out --processes and --gpus",
        )
    computing = any(step.verb in ("train", "predict") and not step.done for step in steps)
    if computing and request.compute != Compute(cluster=request.compute.cluster):
        from icectl.training.devices import resolve

        resolve(request.compute)


def _is_follower() -> bool:
    """Tell whether ``torchrun`` or SLURM started this process as one of several, and not as the first."""
    from icectl.training.devices import outer_rank

    return bool(outer_rank())


def _follow(request: Request, steps: list[Step]) -> Outcome:
    """Take part in the training that rank 0 leads; lock and write nothing, and wait for the rest."""
    for step in steps:
        redo = request.force_all or (request.force and step is steps[-1])
        if step.verb == "train" and (redo or not step.done):
            _wait_for(step.out / RUN)
            model = registry.load_model(step.request.plugin)
            model.train(run_for(step), step.request.options["train"])
        else:
            _wait_for(step.out / RECORD)
    return Outcome(out=steps[-1].out, run=run_folder(steps, request.run), skipped=False, follower=True)


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 24 * 3600
    while not file.exists():
        if time.monotonic() > deadline:
            raise WorkError(f"the first process never wrote {file}", "look at the log of rank 0")
        time.sleep(0.2)


def _perform_member(request: Request, step: Step, redo: bool) -> None:
    """Perform a step; where it is another model's, its error says that a member failed."""
    try:
        _perform_step(step.request, step, redo)
    except (DataError, WorkError) as error:
        if step.request.plugin is request.plugin or error.interrupted:
            raise
        name = step.request.plugin.name
        raise type(error)(
            f"the member '{name}' could not be trained: {error.message}",
            f"{error.hint}; or leave it out: name the others with --member",
        ) from error


def _perform_step(request: Request, step: Step, redo: bool) -> None:
    from icectl.report.panels import moved  # listings and completions need none of these
    from icectl.stages.products import finish, said_of
    from icectl.training.meters import Meter

    model = registry.load_model(request.plugin)
    with request.workspace.lock(step.out), worded_os_errors(request.workspace.root):
        if not redo and sound(step.out, step.fingerprint):  # another process did it meanwhile
            return
        with _folder_of_work(step, redo, (*RESUMABLE, *getattr(model, "resumes", ()))) as out:
            run = run_for(step, out)
            run.say(f"{step.verb} {request.plugin.name} on {request.glacier.name} …")
            if step.verb == "train":
                write_json(out / RUN, run_record(request, step))
            elif step.verb == "predict" and "train" not in step.inputs:
                write_json(step.out.parents[1] / RUN, run_record(request, step))
            predicts = step.verb == "predict"
            with Meter() as meter, said_of(request, step) if predicts else contextlib.nullcontext():
                result = _called(request, model, step.verb, run)
            if predicts:
                finish(request, step, model, run)
            if isinstance(result, Metrics):
                metrics = metrics_record(result)
                if isinstance(panels := metrics["details"].get("panels"), list):
                    metrics["details"]["panels"] = moved(panels, out, step.out)
                run.notes["score"] = score_of(metrics)  # for listings, which metrics are too long for
                write_json(out / "metrics.json", metrics)
                if request.logger:
                    from icectl.training.record import follow_scores

                    follow_scores(run, result)
            write_json(out / RECORD, stage_record(request, step, out, run, meter.facts()))


def _called(request: Request, model: Model, verb: str, run: Run) -> Path | Metrics:
    """Call one verb of a model; what its code does wrong is said to be its code's."""
    with registry.doing(request.plugin, verb), full_disks_said(run.out):
        result: Path | Metrics = getattr(model, verb)(run, request.options[verb])
    if verb == "evaluate" and not isinstance(result, Metrics):
        raise registry.fault(request.plugin, f"returned a {type(result).__name__} from evaluate, not Metrics")
    return result


@contextlib.contextmanager
def _folder_of_work(step: Step, redo: bool, resumable: tuple[str, ...]) -> Iterator[Path]:
    """Yield the folder to work in: the stage's own where it can resume, else one aside."""
    if step.verb not in resumable:
        with building(step.out) as aside:
            yield aside
        return
    if redo:
        with redoing(step.out):
            yield step.out
        return
    adopt(step.out)
    clear_damaged(step.out, (STATE, LOG, RUN) if step.verb == "train" else ())
    remove_file(step.out / RECORD)
    sweep(step.out)
    yield step.out
