"""Finds plugins, keeps broken ones apart, and imports a model only when a stage runs.

One entry-point group is read through `importlib.metadata`. Work that is not packaged yet is
named in ``ICECTL_PLUGINS=name=module:attribute`` (several separated by commas), and what is named in
``ICECTL_DISABLE`` is left out. A plugin that does not load or was written for another API version is
listed with its distribution and the reason; only its own commands fail.
"""

import importlib
import keyword
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from icectl.contract import API_VERSION, ENTRY_POINT_GROUP, RESERVED, VERBS, Options, Plugin
from icectl.errors import ContractError, UsageError, WorkError, brief, did_you_mean, worded
from icectl.guard import PluginError, Seen, attributed, plugin_error, watched_import
from icectl.model import Model

ENVIRONMENT = "ICECTL_PLUGINS"
DISABLED = "ICECTL_DISABLE"

NAME = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
"""Names of plugins: small letters, digits and single hyphens, 40 at most; they become folders."""

_DISTRIBUTION = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")


@dataclass(frozen=True, slots=True)
class Found:
    """An announced plugin: where it comes from, and either its descriptor or what is wrong.

    `note` says what is odd with one that works: another of its name comes first, or its import is slow.
    """

    name: str
    value: str
    distribution: str
    version: str
    plugin: Plugin | None = None
    problem: str = ""
    note: str = ""

    @property
    def whole(self) -> str:
        """The long form of the name, which is never ambiguous."""
        return f"{self.distribution}:{self.name}"


@lru_cache(maxsize=1)
def announced() -> tuple[Found, ...]:
    """Return every announced plugin that is not disabled by name, none of them imported yet.

    Of one name the first counts: what ``ICECTL_PLUGINS`` names, then icectl's own, then others by their
    distributions' names.
    """
    found = [*_from_environment(), *(_from_entry_point(e) for e in entry_points(group=ENTRY_POINT_GROUP))]
    disabled = {one.strip() for one in os.environ.get(DISABLED, "").split(",")}
    unique = {(f.name, f.value, f.distribution): f for f in found if not disabled & {f.name, f.whole}}
    return tuple(sorted(unique.values(), key=lambda f: (f.name, _rank(f), f.distribution)))


def _rank(found: Found) -> int:
    return {f"${ENVIRONMENT}": 0, "icectl": 1}.get(found.distribution, 2)


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
    loaded = [_load(found) for found in announced()]
    working = [found for found in loaded if not found.problem]
    first: dict[str, Found] = {}
    for found in working:
        first.setdefault(found.name, found)
    for found in sorted(working, key=lambda f: (_rank(f), f.distribution)):
        for alias in found.plugin.aliases if found.plugin else ():
            first.setdefault(alias, found)
    return tuple(_placed(found, first) for found in loaded)


def usable() -> list[Plugin]:
    """Return the descriptors of all plugins that are not broken."""
    return [found.plugin for found in plugins() if found.plugin and not found.problem]


def _placed(found: Found, first: Mapping[str, Found]) -> Found:
    """Note which of a plugin's name and aliases mean another plugin where they stand alone."""
    if found.problem or found.plugin is None:
        return found
    notes = [
        f"'{name}' means {_of(first[name], name)}: write '{found.distribution}:{name}' for this one"
        for name in (found.name, *found.plugin.aliases)
        if first[name].whole != found.whole
    ]
    return replace(found, note="; ".join(filter(None, [*notes, found.note])))


def _of(found: Found, name: str) -> str:
    """Return whose a name is, and which of their plugins where it is an alias."""
    return f"{found.distribution}'s" + ("" if name == found.name else f" {found.name}")


@lru_cache(maxsize=256)
def _load(found: Found) -> Found:
    """Import one descriptor; any failure becomes its `problem`."""
    seen = Seen()
    try:
        with watched_import() as seen:
            plugin = resolve(found.value)
    except Exception as error:
        return replace(found, problem=f"{type(error).__name__}: {brief(error)}")
    problem = check_descriptor(plugin, found.name)
    return replace(
        found,
        plugin=plugin if isinstance(plugin, Plugin) else None,
        problem=problem,
        note=seen.sentence(),
    )


def check_descriptor(plugin: Any, name: str) -> str:
    """Return what is wrong with a descriptor, or an empty string."""
    if not isinstance(plugin, Plugin):
        return f"the entry point does not name an icectl.contract.Plugin but a {type(plugin).__name__}"
    if plugin.api != API_VERSION:
        newer = "icectl" if plugin.api > API_VERSION else "the plugin"
        return f"written for plugin API {plugin.api}, this icectl has {API_VERSION}: upgrade {newer}"
    for word in (name, *plugin.aliases):
        if wrong := name_problem(word):
            return wrong
    if plugin.name != name:
        return f"announced as '{name}' but calls itself '{plugin.name}'"
    missing = [verb for verb in VERBS if verb not in plugin.stages]
    if missing:
        return f"no options class for {', '.join(missing)}"
    bad = [v for v, o in plugin.stages.items() if not (isinstance(o, type) and issubclass(o, Options))]
    return f"the options of {', '.join(bad)} are not icectl.contract.Options" if bad else ""


def name_problem(name: str) -> str:
    """Return why no plugin may be called so, or an empty string.

    >>> name_problem("glacier")
    "'glacier' is no name for a plugin: it is a reserved word"
    """
    if not NAME.match(name) or len(name) > 40:
        return f"'{name}' is no name for a plugin: small letters, digits and single hyphens, 40 at most"
    if keyword.iskeyword(name) or name in RESERVED:
        return f"'{name}' is no name for a plugin: it is a reserved word"
    return ""


def get(name: str) -> Plugin:
    """Return the plugin called `name` (or by an alias), or ``distribution:name`` for one of several.

    UsageError: no such model; the hint names the nearest one. WorkError: every plugin of that name is
    broken.
    """
    distribution, _, plain = name.rpartition(":")
    candidates = [_load(found) for found in announced() if found.name == plain] or [
        found for found in plugins() if found.plugin and plain in found.plugin.aliases
    ]
    candidates = [one for one in candidates if distribution in ("", one.distribution)]
    return _first(sorted(candidates, key=lambda f: (_rank(f), f.distribution)), name)


def _first(candidates: list[Found], name: str) -> Plugin:
    if not candidates:
        known = [*names(), *(a for f in plugins() if f.plugin for a in f.plugin.aliases)]
        raise UsageError(f"unknown model '{name}'", did_you_mean(name, known))
    working = [one for one in candidates if not one.problem and one.plugin is not None]
    if not working:
        first = candidates[0]
        raise WorkError(
            f"the plugin '{first.name}' of {first.distribution} {first.version} is broken: {first.problem}",
            f"report it to the authors of {first.distribution}, or uninstall it",
        )
    chosen = working[0]
    plain = name.rpartition(":")[2]
    for other in working[1:]:
        whose = _of(chosen, plain)
        _say_once(
            f"'{name}' is {whose}; write '{other.distribution}:{plain}' for that of {other.distribution}"
        )
    assert chosen.plugin is not None
    return chosen.plugin


@lru_cache(maxsize=256)
def _say_once(sentence: str) -> None:
    if "_ICECTL_COMPLETE" not in os.environ:  # a Tab prints nothing but names
        logging.getLogger("icectl").warning(sentence)


def maker(saved: Mapping[str, Any]) -> Plugin:
    """Return the plugin that made a run, by the run's record.

    WorkError: its distribution is not installed; the hint says how to get it.
    """
    name, distribution = str(saved["model"]), str(saved.get("distribution", ""))
    if any(found.whole == f"{distribution}:{name}" for found in announced()):
        return get(f"{distribution}:{name}")
    never_installed = distribution in ("", "icectl") or not _DISTRIBUTION.match(distribution)
    if name in names() and distribution != "icectl" and never_installed:
        return get(name)  # named in an environment: any of its name will do
    if never_installed:
        raise UsageError(f"unknown model '{name}'", did_you_mean(name, names()))
    version = saved.get("version", "?")
    raise WorkError(
        f"the run was made by {distribution} {version}, which is not installed", f"pip install {distribution}"
    )


def since_then(saved: Mapping[str, Any]) -> str:
    """Return what became of the plugin that made a run: gone, or of another version; else nothing."""
    name, distribution, version = (str(saved.get(key, "?")) for key in ("model", "distribution", "version"))
    there = [f for f in announced() if (f.name, f.distribution) == (name, distribution)]
    if not there:
        known = distribution != "icectl" and _DISTRIBUTION.match(distribution)
        return "not installed" + (f": pip install {distribution}" if known else "")
    return "" if there[0].version == version else f"{there[0].version} is installed"


def typed(plugin: Plugin) -> str:
    """Return what a user types for a plugin: its name, or the long form where the name means another."""
    same = [found for found in announced() if found.name == plugin.name]
    if len(same) < 2:
        return plugin.name
    found = owner(plugin)
    first = next((one for one in same if not _load(one).problem), found)
    return plugin.name if first.whole == found.whole else found.whole


def owner(plugin: Plugin) -> Found:
    """Return the announcement that `plugin` came from: its distribution and version."""
    same = [found for found in announced() if found.name == plugin.name]
    if len(same) > 1:  # two distributions: the one whose descriptor this is
        same = [found for found in same if _load(found).plugin == plugin] or same
    return same[0] if same else Found(plugin.name, "", "?", "?")


def _who(plugin: Plugin) -> tuple[str, str, str]:
    found = owner(plugin)
    return plugin.name, found.distribution, found.version


def doing(plugin: Plugin, what: str) -> AbstractContextManager[None]:
    """Return a block in which an error of the plugin's code names the plugin; see `icectl.guard`."""
    return attributed(*_who(plugin), plugin.model, what)


def fault(plugin: Plugin, what: str) -> PluginError:
    """Return the error that says what a plugin did wrong, e.g. ``"returned a list from evaluate"``."""
    return plugin_error(*_who(plugin), what)


def resolve(dotted: str) -> Any:
    """Import ``"package.module:attribute"``."""
    module, _, attribute = dotted.partition(":")
    value: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        value = getattr(value, part)
    return value


def load_model(plugin: Plugin) -> Model:
    """Import and build the model of `plugin`; this is where torch comes in."""
    found = owner(plugin)
    try:
        with attributed(*_who(plugin), plugin.model, "the construction of its model"):
            model = resolve(plugin.model)()
    except (ImportError, AttributeError) as error:
        if said := worded(error):  # too little memory for torch
            raise said from error
        whose = f"'{plugin.name}' ({found.distribution} {found.version})"
        raise WorkError(
            f"the model of {whose} does not import: {brief(error)}",
            f"`icectl doctor` names mismatched packages; else tell the authors of {found.distribution}",
        ) from error
    if not isinstance(model, Model):
        lacking = [verb for verb in VERBS if not callable(getattr(model, verb, None))]
        raise fault(plugin, f"has a model that lacks {', '.join(lacking)}")
    return model


def upgrade_options(plugin: Plugin, saved: Mapping[str, Any], schema: int) -> dict[str, Any]:
    """Carry options saved under an older schema over to the plugin's own.

    WorkError: the run was saved by a newer plugin, or a step between the schemas is missing.
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
        with attributed(*_who(plugin), plugin.upgrades[step], f"the upgrade of options of schema {step}"):
            values = resolve(plugin.upgrades[step])(values)
            if not isinstance(values, Mapping) or not all(isinstance(v, Mapping) for v in values.values()):
                raise ContractError(
                    f"returned a {type(values).__name__} from the upgrade of options of schema {step}, "
                    "not the options of every verb",
                    "return {**saved, …}",
                )
    return {verb: _known(plugin, verb, options) for verb, options in values.items()}


def _known(plugin: Plugin, verb: str, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the saved options that there still are; refuse if data or weights hang on one that is gone."""
    fields: Mapping[str, Any] = plugin.stages[verb].model_fields if verb in plugin.stages else {}
    tables = {name for name, field in fields.items() if isinstance(field.default, Options)}
    unknown = sorted(
        name for name, value in saved.items()
        if fields and (name not in fields or (name in tables and not isinstance(value, Mapping)))
    )  # fmt: skip
    if unknown and verb in ("prepare", "train"):
        raise WorkError(
            f"the run has options of {verb} that '{plugin.name}' does not have: {', '.join(unknown)}",
            "train again, or use the version that made it",
        )
    if unknown:
        _say_once(f"saved options of {verb} are left out: {', '.join(unknown)}")
    return {name: value for name, value in saved.items() if name not in unknown}


def refresh() -> None:
    """Forget what was found; for tests and long-lived processes."""
    announced.cache_clear()
    plugins.cache_clear()
    _load.cache_clear()
    _say_once.cache_clear()
