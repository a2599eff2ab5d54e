"""Turns the fields of a plugin's options into command-line flags, and flags back into values."""

import inspect
import types
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from icectl.cli.options import AFTER, DATA, NETWORK, OPTIMISATION, OUTPUT
from icectl.contract import Options, Plugin

_OF_STAGE = {"fetch": DATA, "prepare": DATA, "train": NETWORK, "predict": AFTER, "evaluate": OUTPUT}
_OF_WORD = {
    DATA: "split test valid train past future patch stride crop guides normalise mix filled dem points ids "
    "region smallest since",
    OPTIMISATION: "updates epochs lr rate schedule weight decay average batch validate patience draw draws "
    "balance augment share loss beta adversarial step",
    OUTPUT: "product moments parts",
}
_GROUPS = {word: group for group, words in _OF_WORD.items() for word in words.split()}
"""The groups of words in names of options, whichever plugin they come from."""

_SCALARS = (bool, str, Path)
_NUMBERS = {int: "INTEGER", float: "NUMBER"}


def parameters(plugin: Plugin, verbs: Sequence[str]) -> list[inspect.Parameter]:
    """Return one keyword parameter for each option of `verbs`; a name in two stages is one flag."""
    found: dict[str, inspect.Parameter] = {}
    for verb in reversed(verbs):  # the verb itself first, then what it may chain
        for name, field in plugin.stages[verb].model_fields.items():
            kind, choices = flag_type(field.annotation)
            if kind is None or name in found:
                continue
            metavar = f"[{'|'.join(choices)}]" if choices else _metavar(field.annotation)
            option = typer.Option(
                f"--{name.replace('_', '-')}" + (f"/--no-{name.replace('_', '-')}" if kind is bool else ""),
                help=describe(field, default_of(plugin.stages[verb], name)).replace("[", r"\["),  # no markup
                rich_help_panel=group(verb, name, field),
                show_default=False,
                metavar=metavar,
                autocompletion=(lambda some: lambda: some)(choices) if choices else None,
            )
            annotation = Annotated[kind | None, option]  # type: ignore[valid-type]
            keyword = inspect.Parameter.KEYWORD_ONLY
            found[name] = inspect.Parameter(name, keyword, default=None, annotation=annotation)
    return list(found.values())


def group(verb: str, name: str, field: FieldInfo) -> str:
    """Return the help's group of an option: files are data; else a word of the name decides, else the stage.

    >>> from icectl.tasks.front.options import TrainOptions as Train
    >>> [group("train", name, Train.model_fields[name]) for name in ("crop", "edge_width", "weight_decay")]
    ['Data', 'Network', 'Optimisation']
    """
    if _OF_STAGE[verb] == DATA or flag_type(field.annotation)[0] in (Path, list[Path]):
        return DATA
    return next((_GROUPS[word] for word in name.split("_") if word in _GROUPS), _OF_STAGE[verb])


def _metavar(annotation: Any) -> str | None:
    """Return what stands for a number in the help; numbers are parsed by pydantic, with its bounds."""
    parts = [a for a in (get_args(annotation) or (annotation,)) if a not in (type(None), Ellipsis)]
    words = [_NUMBERS[a] for a in parts if a in _NUMBERS]
    return " ".join(words) if words and len(words) == len(parts) else None


def flag_type(annotation: Any) -> tuple[Any, list[str]]:
    """Return the type a flag parses to and its choices; (None, []) for what only files can hold."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return flag_type(inside[0])
    if origin in (Union, types.UnionType):
        rest = [a for a in inside if a is not type(None)]
        return flag_type(rest[0]) if len(rest) == 1 else _any_of(rest)
    if origin is Literal:
        return str, [str(choice) for choice in inside]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return str, [str(member.value) for member in annotation]
    if origin in (list, tuple, set, frozenset):
        return _several(origin, inside)
    if annotation in _SCALARS:
        return annotation, []
    if annotation in _NUMBERS:
        return str, []
    if isinstance(annotation, type) and annotation.__module__ == "datetime":
        return str, []
    return None, []


def _any_of(rest: list[Any]) -> tuple[Any, list[str]]:
    """Read a union such as ``int | Literal["auto"]`` as text; pydantic finds the member."""
    kinds = [flag_type(a) for a in rest]
    return (str, []) if all(kind is not None for kind, _ in kinds) else (None, [])


def _several(origin: Any, inside: tuple[Any, ...]) -> tuple[Any, list[str]]:
    """``list[X]`` and ``tuple[X, ...]`` are flags given again; ``tuple[X, Y]`` takes two values."""
    if origin is tuple and inside and inside[-1] is not Ellipsis:
        kinds = tuple(flag_type(a)[0] for a in inside)
        return (tuple[kinds], []) if all(k is not None for k in kinds) else (None, [])  # type: ignore[valid-type]
    kind, choices = flag_type(inside[0]) if inside else (str, [])
    return (list[kind], choices) if kind is not None else (None, [])  # type: ignore[valid-type]


def word(name: str, field: FieldInfo) -> str:
    """Return what a user types for an option; what no flag can hold is a key of a file.

    >>> from icectl.tasks.front.options import FetchOptions
    >>> [word(name, FetchOptions.model_fields[name]) for name in ("labels", "wrs_glaciers")]
    ['--labels', 'wrs_glaciers (in a file)']
    """
    kind, _ = flag_type(field.annotation)
    return f"--{name.replace('_', '-')}" if kind is not None else f"{name} (in a file)"


def default_of(options: type[Options], name: str) -> Any:
    """Return what an option is if nobody sets it: the value of the default preset, else its own default."""
    fields = options.model_fields
    preset = fields["preset"].default if "preset" in fields else None
    field = fields[name]
    own = None if field.is_required() else field.get_default(call_default_factory=True)
    return options.presets.get(str(preset), {}).get(name, own)


def describe(field: FieldInfo, default: Any = None) -> str:
    """Return the help of a flag: the description, then bounds and `default` in brackets."""
    facts = [bounds(field)] if bounds(field) else []
    if default not in (None, (), [], {}, "") and not isinstance(default, Options):
        several = default if isinstance(default, list | tuple) else [default]
        facts.append(f"default {', '.join(_shown(one) for one in several)}")
    brackets = f"({'; '.join(facts)})" if facts else ""
    return f"{field.description or ''} {brackets}".strip()


def _shown(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def bounds(field: FieldInfo) -> str:
    """Return the bounds of a field as text, e.g. ``1 ≤ x ≤ 100``."""
    low, high = "", ""
    for rule in field.metadata:
        for attribute, sign in (("ge", "≤"), ("gt", "<")):
            if (value := getattr(rule, attribute, None)) is not None:
                low = f"{value} {sign} "
        for attribute, sign in (("le", "≤"), ("lt", "<")):
            if (value := getattr(rule, attribute, None)) is not None:
                high = f" {sign} {value}"
    return f"{low}x{high}" if low or high else ""
