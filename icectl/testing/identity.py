"""Checks that what a stage makes depends on its identity alone, whatever was made before it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from icectl import stages
from icectl.contract import VERBS, Options
from icectl.run import Compute
from icectl.testing.subject import Subject
from icectl.workspace import RECORD, Workspace

SEEDS = (3, 4)


def stages_see_their_identity_alone(subject: Subject) -> None:
    """Check that two seeds and two values of each later option give the same files in both orders."""
    asked = [_request(subject, SEEDS[0], {}), _request(subject, SEEDS[1], later_options(subject))]
    with subject.told_once("the preparation of data"):
        forward, backward = (_made(subject, order, asked) for order in ((0, 1), (1, 0)))
    for verb in VERBS[:2]:
        for number, seed in enumerate(SEEDS):
            assert forward[verb, number] == backward[verb, number], (
                f"what {verb} makes with seed {seed} depends on what was made before: "
                "use the stage's own options, those before it, and run.seed"
            )


def _made(subject: Subject, order: tuple[int, ...], asked: list[stages.Request]) -> Mapping[Any, str]:
    """Perform fetch and prepare of all requests in one workspace; return digests by verb and request."""
    space = Workspace(subject.folder / f"order-{'-'.join(map(str, order))}")
    found = {}
    for number in order:
        request = replace(asked[number], workspace=space)
        for step in stages.plan(request, "prepare"):
            stages.perform(request, step.verb)
            found[step.verb, number] = digest(step.out, space.root)
    return found


def digest(folder: Path, root: Path) -> str:
    """Return a digest of a folder's names and contents, without records and without where `root` is."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != RECORD):
        if not path.name.startswith("."):
            content = _content(path).replace(str(root).encode(), b"")
            total.update(path.relative_to(folder).as_posix().encode() + b"\0" + content)
    return total.hexdigest()


def _content(path: Path) -> bytes:
    """Return what a file says; a GeoPackage also holds the time of its last change, which says nothing."""
    if path.suffix != ".gpkg":
        return path.read_bytes()
    from pyogrio import list_layers, read_dataframe

    layers = [(str(name), read_dataframe(path, layer=str(name))) for name, _ in list_layers(path)]
    return "".join(f"{name}\n{frame.to_csv()}" for name, frame in layers).encode()


def later_options(subject: Subject) -> dict[str, dict[str, Any]]:
    """Return another value for each simple option of the stages after ``prepare``."""
    options = subject.options()
    return {verb: others(options[verb]) for verb in VERBS[2:]}


def others(options: Options) -> dict[str, Any]:
    """Return for each switch and choice of `options` another value than it has, where that is allowed."""
    found: dict[str, Any] = {}
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if isinstance(value, bool):
            wanted: list[Any] = [not value]
        elif get_origin(field.annotation) is Literal and name != "preset":
            wanted = [one for one in get_args(field.annotation) if one != value]
        else:
            continue
        for one in wanted:
            if _allowed(type(options), {**options.model_dump(), **found, name: one}):
                found[name] = one
                break
    return found


def _allowed(kind: type[Options], values: Mapping[str, Any]) -> bool:
    try:
        kind.model_validate(values)
    except ValueError:
        return False
    return True


def _request(subject: Subject, seed: int, changes: Mapping[str, Mapping[str, Any]]) -> stages.Request:
    options = {
        verb: type(one).model_validate({**one.model_dump(), **changes.get(verb, {})})
        for verb, one in subject.options().items()
    }
    return stages.Request(
        plugin=subject.plugin,
        glacier=subject.glacier,
        options=options,
        workspace=Workspace(subject.folder),
        seed=seed,
        compute=Compute(device="cpu"),
        quiet=True,
    )
