"""Checks that train nothing: the descriptor, its options, and what a listing costs."""

import os
import subprocess
import sys
from types import NoneType
from typing import Any, Union, get_args, get_origin

from icectl import registry
from icectl.contract import RESERVED, VERBS, Options, Plugin
from icectl.guard import HEAVY


def descriptor_is_light(value: str) -> None:
    """Check that importing the descriptor at ``module:attribute`` imports nothing heavy."""
    code = (
        "import sys\nfrom icectl import registry\n"
        f"before = set(sys.modules)\nregistry.resolve({value!r})\n"
        f"print(*sorted({set(HEAVY)!r} & (set(sys.modules) - before)))"
    )
    done = subprocess.run(  # a fresh interpreter, since this one has everything loaded
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.returncode == 0, f"the descriptor does not import: {done.stderr.strip().splitlines()[-1:]}"
    found = done.stdout.split()
    assert not found, f"importing the descriptor imports {', '.join(found)}: import them where they are used"


def _environment() -> dict[str, str]:
    """Let a fresh interpreter find what this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}


def descriptor_is_valid(plugin: Plugin, name: str) -> None:
    """Check that the descriptor answers to its name, the contract's version, and its schema's upgrades."""
    problem = registry.check_descriptor(plugin, name)
    assert not problem, problem
    assert plugin.summary.strip(), "the summary is empty: listings show it"
    assert "\n" not in plugin.summary, "the summary is one line for listings"
    assert plugin.schema >= 1, f"schema {plugin.schema}: count from 1"
    lacking = [step for step in range(1, plugin.schema) if step not in plugin.upgrades]
    assert not lacking, f"runs of schema {lacking} cannot be carried over: add them to upgrades"
    for step, dotted in plugin.upgrades.items():
        assert callable(registry.resolve(dotted)), f"the upgrade of schema {step}, {dotted}, is no function"


def model_has_the_verbs(plugin: Plugin) -> None:
    """Check that the model imports, is made without arguments, and has the five verbs."""
    registry.load_model(plugin)


def options_are_typed_and_documented(plugin: Plugin) -> None:
    """Check that every option has a type, a description, and a default that its bounds allow."""
    for verb in VERBS:
        kind = plugin.stages[verb]
        for name, field in kind.model_fields.items():
            where = f"option '{name}' of {verb}"
            assert field.annotation not in (None, Any, object), f"{where} has no type"
            assert (field.description or "").strip(), f"{where} has no description: --help shows it"
        assert kind.model_config.get("extra") == "forbid", f"the options of {verb} accept unknown names"
        assert kind.model_config.get("frozen"), f"the options of {verb} can be changed after the fact"
        kind()  # every option needs a default that its own bounds allow
    presets_are_valid(plugin)


def presets_are_valid(plugin: Plugin) -> None:
    """Check that each preset names options that exist, with values that they allow."""
    for verb in VERBS:
        kind = plugin.stages[verb]
        for preset, values in kind.presets.items():
            unknown = sorted(set(values) - set(kind.model_fields))
            assert not unknown, f"preset '{preset}' of {verb} sets unknown options: {', '.join(unknown)}"
            kind(**values)


def options_do_not_clash(plugin: Plugin) -> None:
    """Check that no option takes a shared flag's name, and one name means one thing in all stages."""
    seen: dict[str, tuple[str, Any]] = {}
    for verb in VERBS:
        for name, field in plugin.stages[verb].model_fields.items():
            assert name not in RESERVED, f"option '{name}' of {verb}: --{name} belongs to icectl"
            first, annotation = seen.setdefault(name, (verb, field.annotation))
            same = _plain(annotation) == _plain(field.annotation)
            assert same, f"option '{name}' is {annotation} in {first} and {field.annotation} in {verb}"


def _plain(annotation: Any) -> Any:
    """Return a type without its None."""
    if get_origin(annotation) in (Union, type(int | None)):
        return frozenset(part for part in get_args(annotation) if part is not NoneType)
    return frozenset([annotation])


def saved_options_come_back(plugin: Plugin) -> None:
    """Check that options survive the JSON of a run's record unchanged."""
    for verb in VERBS:
        options: Options = plugin.stages[verb]()
        back = plugin.stages[verb].model_validate(options.model_dump(mode="json"))
        assert back == options, f"the options of {verb} do not survive being saved as JSON"


def shipped_weights_hold(plugin: Plugin) -> None:
    """Check that announced weights are there, have a whole card, and are of this model."""
    from icectl import weights

    for found in weights.shipped(plugin):
        weights.check(found, plugin)
