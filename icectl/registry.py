"""Finds plugins, keeps broken ones apart, and imports a model only when a stage runs.

One entry-point group is read through `importlib.metadata`. Work that is not packaged yet is
named in ``ICECTL_PLUGINS=name=module:attribute`` (several separated by commas). A plugin that
does not load, was written for another API version, or shares its name with another is listed
with its distribution and the reason; only its own commands fail.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from icectl.contract import API_VERSION, ENTRY_POINT_GROUP, VERBS, Options, Plugin
from icectl.errors import UsageError, WorkError, did_you_mean
from icectl.model import Model

ENVIRONMENT = "ICECTL_PLUGINS"


@dataclass(frozen=True, slots=True)
class Found:
    """An announced plugin: where it comes from, and either its descriptor or what is wrong."""

    name: str
    value: str
    distribution: str
    version: str
    plugin: Plugin | None = None
    problem: str = ""


@lru_cache(maxsize=1)
def announced() -> tuple[Found, ...]:
    """Return every announced plugin by name, none of them imported yet."""
    found = [*_from_environment(), *(_from_entry_point(e) for e in entry_points(group=ENTRY_POINT_GROUP))]
    unique = {(f.name, f.value, f.distribution): f for f in found}
    return tuple(sorted(unique.values(), key=lambda f: (f.name, f.distribution)))


def _from_entry_point(entry: EntryPoint) -> Found:
    dist = entry.dist
    return Found(entry.name, entry.value, dist.name if dist else "?", dist.version if dist else "?")


def _from_environment() -> Iterator[Found]:
    for part in filter(None, os.environ.get(ENVIRONMENT, "").split(",")):
        name, separator, value = part.strip().partition("=")
        if not separator or ":" not in value:
            raise UsageError(f"{ENVIRONMENT} holds '{part}'", "write name=module:attribute")
        yield Found(name, value, f"${ENVIRONMENT}", "-")


def names() -> tuple[str, ...]:
    """Return the announced names, without importing any plugin."""
    return tuple(dict.fromkeys(f.name for f in announced()))


@lru_cache(maxsize=1)
def plugins() -> tuple[Found, ...]:
    """Return every announced plugin with its descriptor, or with what is wrong with it."""
    clashes = _clashes()
    return tuple(_load(f, clashes.get(f.name, ())) for f in announced())


def _clashes() -> Mapping[str, tuple[Found, ...]]:
    by_name: dict[str, list[Found]] = {}
    for found in announced():
        by_name.setdefault(found.name, []).append(found)
    return {name: tuple(group) for name, group in by_name.items() if len(group) > 1}


def _load(found: Found, rivals: tuple[Found, ...] = ()) -> Found:
    """Import one descriptor; any failure becomes its `problem`."""
    try:
        plugin = resolve(found.value)
    except Exception as error:
        return _with(found, None, f"{type(error).__name__}: {error}")
    problem = check_descriptor(plugin, found.name)
    if not problem and rivals:
        others = ", ".join(f"{f.distribution} {f.version}" for f in rivals)
        problem = f"the name '{found.name}' is taken by several distributions: {others}"
    return _with(found, plugin if isinstance(plugin, Plugin) else None, problem)


def _with(found: Found, plugin: Plugin | None, problem: str) -> Found:
    return Found(found.name, found.value, found.distribution, found.version, plugin, problem)


def check_descriptor(plugin: Any, name: str) -> str:
    """Return what is wrong with a descriptor, or an empty string."""
    if not isinstance(plugin, Plugin):
        return f"the entry point does not name an icectl.contract.Plugin but a {type(plugin).__name__}"
    if plugin.api != API_VERSION:
        newer = "icectl" if plugin.api > API_VERSION else "the plugin"
        return f"written for plugin API {plugin.api}, this icectl has {API_VERSION}: upgrade {newer}"
    if plugin.name != name:
        return f"announced as '{name}' but calls itself '{plugin.name}'"
    missing = [verb for verb in VERBS if verb not in plugin.stages]
    if missing:
        return f"no options class for {', '.join(missing)}"
    bad = [v for v, o in plugin.stages.items() if not (isinstance(o, type) and issubclass(o, Options))]
    return f"the options of {', '.join(bad)} are not icectl.contract.Options" if bad else ""


def get(name: str) -> Plugin:
    """Return the plugin called `name` (or by an alias, or as ``distribution:name``).

    Raises
    ------
    UsageError
        No such model; the hint names the nearest one.
    WorkError
        The plugin is broken, or two distributions claim the name.
    """
    distribution, _, plain = name.rpartition(":")
    if distribution:
        return _usable(
            [_load(f) for f in announced() if (f.name, f.distribution) == (plain, distribution)], name
        )
    exact = [f for f in announced() if f.name == name]
    if exact:
        return _usable([_load(f, tuple(exact) if len(exact) > 1 else ()) for f in exact], name)
    return _usable([f for f in plugins() if f.plugin and name in f.plugin.aliases], name)


def _usable(candidates: list[Found], name: str) -> Plugin:
    if not candidates:
        known = [*names(), *(a for f in plugins() if f.plugin for a in f.plugin.aliases)]
        raise UsageError(f"unknown model '{name}'", did_you_mean(name, known))
    first = candidates[0]
    if len(candidates) > 1:
        choices = " or ".join(f"'{f.distribution}:{f.name}'" for f in candidates)
        raise UsageError(f"the name '{name}' is taken by several distributions", f"write {choices}")
    if first.problem or first.plugin is None:
        raise WorkError(
            f"the plugin '{first.name}' of {first.distribution} {first.version} is broken: {first.problem}",
            f"report it to the authors of {first.distribution}, or uninstall it",
        )
    return first.plugin


def owner(plugin: Plugin) -> Found:
    """Return the announcement that `plugin` came from: its distribution and version."""
    same = [found for found in announced() if found.name == plugin.name]
    if len(same) > 1:  # two distributions: the one whose descriptor this is
        same = [found for found in same if _load(found).plugin == plugin] or same
    return same[0] if same else Found(plugin.name, "", "?", "?")


def resolve(dotted: str) -> Any:
    """Import ``"package.module:attribute"``."""
    module, _, attribute = dotted.partition(":")
    value: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        value = getattr(value, part)
    return value


def load_model(plugin: Plugin) -> Model:
    """Import and build the model of `plugin`; this is where torch comes in."""
    try:
        model = resolve(plugin.model)()
    except (ImportError, AttributeError) as error:
        found = owner(plugin)
        raise WorkError(
            f"the model of '{plugin.name}' ({found.distribution} {found.version}) does not import: {error}",
            "run `icectl doctor`: it names mismatched packages",
        ) from error
    if not isinstance(model, Model):
        lacking = [verb for verb in VERBS if not callable(getattr(model, verb, None))]
        raise WorkError(f"the model of '{plugin.name}' lacks {', '.join(lacking)}", "see docs/plugins.md")
    return model


def upgrade_options(plugin: Plugin, saved: Mapping[str, Any], schema: int) -> dict[str, Any]:
    """Carry options saved under an older schema over to the plugin's own.

    Raises
    ------
    WorkError
        The run was saved by a newer plugin, or a step between the schemas is missing.
    """
    if schema > plugin.schema:
        found = owner(plugin)
        raise WorkError(
            f"this run was saved under options schema {schema}, and {found.distribution} {found.version} "
            f"knows only {plugin.schema}",
            f"install a newer {found.distribution}",
        )
    values = {verb: dict(options) for verb, options in saved.items()}
    for step in range(schema, plugin.schema):
        if step not in plugin.upgrades:
            raise WorkError(
                f"'{plugin.name}' cannot carry options from schema {step} to {step + 1}", "train again"
            )
        values = resolve(plugin.upgrades[step])(values)
    return values


def refresh() -> None:
    """Forget what was found; for tests and long-lived processes."""
    announced.cache_clear()
    plugins.cache_clear()
