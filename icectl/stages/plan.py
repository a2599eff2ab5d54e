"""Which folders a verb would use, what decides them, and which are finished; touches nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from icectl import registry
from icectl.contract import VERBS, Options, Plugin
from icectl.errors import UsageError
from icectl.run import Compute, Run
from icectl.settings import Glacier, validate
from icectl.sources.options import resolve_source
from icectl.stages.origin import code_of
from icectl.workspace import Workspace, fingerprint, finished, identify, stage_of

START, MEMBER = "start", "member"
"""Inputs of a training: other weights that it starts from; trainings that it reads, ``member-0`` and on."""

UNTRAINED = "untrained"
"""Stands in place of a run's id where a product needs no trained weights."""

_NOT_IDENTITY = {"title", "note", "model", "options"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asked for, fully resolved. `run` names finished weights to use.

    `start` is a finished run whose weights a training starts from, `pixel_size` the smallest and largest
    pixel that the weights of `run` learnt from, in metres, where that is known.
    A dry run names the folder that weights would be brought into as `home`, and does not bring them.
    `force` does the stage asked for again, `force_all` also those before it.
    """

    plugin: Plugin
    glacier: Glacier
    options: Mapping[str, Options]
    workspace: Workspace
    scenes: Path | None = None
    seed: int = 0
    compute: Compute = field(default_factory=Compute)
    run: Path | None = None
    pixel_size: tuple[float, float] | None = None
    home: Path | None = None
    start: Path | None = None
    force: bool = False
    force_all: bool = False
    chain: bool = True
    quiet: bool = False
    logger: str | None = None
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage of a plan: whose it is, its folder, its identity, and whether it is finished."""

    request: Request
    verb: str
    out: Path
    fingerprint: str
    inputs: Mapping[str, Path]
    done: bool


def plan(request: Request, verb: str) -> list[Step]:
    """Return the steps that lead to `verb`, first to last, touching nothing."""
    with registry.doing(request.plugin, "the plan of its stages"):  # options say what they need, and more
        return _planned(settled(request), verb)


def _planned(request: Request, verb: str) -> list[Step]:
    steps: list[Step] = []
    inputs: dict[str, Path] = {}
    prints: dict[str, str] = {}
    more: dict[str, Path] = {}
    if request.run is not None:
        inputs["train"] = request.run
        prints["train"] = str(stage_of(request.run)["fingerprint"])
    wanted = _needed(request, verb)
    for stage in VERBS:
        if stage in inputs or stage not in wanted:
            continue
        if stage == "train":
            read = [plan(member, "train")[-1] for member in members(request)]
            steps += read
            more = {f"{MEMBER}-{k}": step.out for k, step in enumerate(read)}
            prints |= {name: step.fingerprint for name, step in zip(more, read, strict=True)}
            more |= {START: request.start} if request.start else {}
        prints[stage] = fingerprint(_identity(request, stage, prints))
        out = _folder(request, stage, prints[stage], inputs)
        step = Step(
            request=request,
            verb=stage,
            out=out,
            fingerprint=prints[stage],
            inputs={**inputs, **more} if stage == "train" else dict(inputs),
            done=finished(out, prints[stage]),
        )
        steps.append(step)
        inputs[stage] = out
    return steps


def members(request: Request) -> list[Request]:
    """Return what would be asked for to train the models that a training reads; most read none.

    Raises
    ------
    UsageError
        A member is no model, or does not take the options that it is given.
    """
    found = []
    for name, values in request.options["train"].members():
        plugin = registry.get(name)
        if plugin.task != request.plugin.task or plugin.name == request.plugin.name:
            raise UsageError(
                f"'{name}' cannot be a member of '{request.plugin.name}'",
                f"name another model of the task '{request.plugin.task}'",
            )
        given = {**{v: request.options[v].model_dump() for v in ("fetch", "prepare")}, "train": values}
        options = {
            verb: validate(kind, given.get(verb, {}), f"the member '{name}'")
            for verb, kind in plugin.stages.items()
        }
        found.append(replace(request, plugin=plugin, options=options, run=None, start=None, home=None))
    return found


def _needed(request: Request, verb: str) -> set[str]:
    """Return `verb` and the stages it needs, directly or through others; given weights need nothing."""
    if verb == "train" and request.run is not None:
        return set()
    needs = request.options[verb].needs()
    before = set(VERBS[: VERBS.index(verb)] if needs is None else needs)
    if verb == "evaluate" and needs is None and not trains(request):
        before -= {"train"}
    return {verb}.union(*(_needed(request, stage) for stage in before))


def trains(request: Request) -> bool:
    """Tell whether what is predicted reads trained weights; some products need no network."""
    needs = request.options["predict"].needs()
    return needs is None or any("train" in _needed(request, stage) for stage in needs) or "train" in needs


def _identity(request: Request, stage: str, prints: Mapping[str, str]) -> dict[str, Any]:
    """Return all that decides what `stage` makes. Devices and processes do not."""
    options = request.options[stage]
    seed = {"seed": seed_of(request, stage)} if options.seeded() else {}
    identity: dict[str, Any] = {
        "stage": stage,
        "task": request.plugin.task,
        "code": code_of(request.plugin, stage),
        "options": options.model_dump(mode="json"),
        "files": [[name, identify(path)] for name, path in _files(request, stage)],
        **seed,
    }
    if stage == "fetch":
        place = request.glacier.model_dump(mode="json", exclude=_NOT_IDENTITY)
        scenes = [str(request.scenes), identify(request.scenes)] if request.scenes else []
        return {**identity, "glacier": place, "scenes": scenes}
    if stage == "prepare":
        return {**identity, "fetch": prints.get("fetch")}
    identity |= {"model": request.plugin.name, "schema": request.plugin.schema}
    if stage == "train" and request.start is not None:
        identity["start"] = stage_of(request.start)["fingerprint"]
    if stage == "train" and (members := [prints[name] for name in prints if name.startswith(MEMBER)]):
        identity["members"] = members
    if stage == "train":
        return {**identity, "prepare": prints.get("prepare"), "precision": request.compute.precision}
    read = _needed(request, stage) | {"train"}  # others may be planned for a later stage: they change nothing
    return {
        **identity,
        "from": [prints[s] for s in ("prepare", "train", "predict") if s in prints and s in read],
    }


def settled(request: Request) -> Request:
    """Return the request with the source that ``auto`` stands for, where the fetch has such an option."""
    options = request.options["fetch"]
    if request.scenes is not None or getattr(options, "source", None) != "auto":
        return request
    source = source_of(request)
    if source not in get_args(type(options).model_fields["source"].annotation):
        return request
    fetch = options.model_copy(update={"source": source})
    return replace(request, options={**request.options, "fetch": fetch})


def seed_of(request: Request, stage: str) -> int:
    """Return the seed that a stage is handed: 0 where it decides nothing."""
    return request.seed if request.options[stage].seeded() else 0


def options_of(request: Request, stage: str) -> dict[str, Options]:
    """Return the options that a stage is handed: its own, and those of the stages before it."""
    return {verb: request.options[verb] for verb in VERBS[: VERBS.index(stage) + 1]}


def run_for(step: Step, out: Path | None = None) -> Run:
    """Return all that a stage is handed, to work in `out` (by default in the step's own folder)."""
    request = settled(step.request)
    return Run(
        verb=step.verb,
        plugin=request.plugin,
        glacier=request.glacier,
        out=out or step.out,
        inputs=step.inputs,
        options=options_of(request, step.verb),
        scenes=request.scenes,
        seed=seed_of(request, step.verb),
        compute=request.compute,
        quiet=request.quiet,
        logger=request.logger,
    )


def _files(request: Request, stage: str) -> Iterator[tuple[str, Path]]:
    """Yield the user's files that a stage may read: those that its options name, and the glacier's own."""
    options, glacier = request.options[stage], request.glacier
    for name in ("outline", "dem", "centre_line") if stage != "train" else ():
        path = getattr(glacier, name)
        if path is not None and path.exists():  # what is not there is said by the stage that reads it
            yield f"glacier {name}", path
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
    home = (
        request.home or inputs.get("train") or space.run(plugin.name, glacier, identity).with_name(UNTRAINED)
    )
    return home / kind / f"{glacier}-{identity[:10]}"


def source_of(request: Request) -> str:
    """Return the name of the source that a fetch uses, which is also in the folder's name."""
    return resolve_source(request.scenes, getattr(request.options["fetch"], "source", "own"), request.glacier)


def run_folder(steps: list[Step], chosen: Path | None) -> Path | None:
    """Return the folder of the weights that a plan trains or uses, or of products that need none."""
    if chosen is not None:
        return chosen
    trained = (step.out for step in reversed(steps) if step.verb == "train")  # after those of its members
    return next(trained, None) or next((s.out.parents[1] for s in steps if s.verb == "predict"), None)
