"""From what was typed to a `Request`: defaults, then files, then flags; the stronger wins.

The layers, weakest first: the plugin's defaults and presets, the glacier's file
(``[options.<task>.<verb>]``), the experiment's file, flags. With ``--run`` the saved options of
that run stand below the flags in place of the files, except for what is fetched: another
place brings its own scenes.
"""

import logging
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from icectl import registry, settings, stages
from icectl.cli.asked import Asked
from icectl.cli.source import Source, chosen_run, start_of
from icectl.contract import VERBS, Options
from icectl.errors import UsageError, redact
from icectl.interrupts import signals_wait
from icectl.run import Compute
from icectl.settings import Glacier
from icectl.sources.options import ARCHIVES, resolve_source
from icectl.training.devices import check_names
from icectl.training.record import check

Saved = Mapping[str, Any] | None
"""The record of the run whose weights are used, if one is."""


def requests(asked: Asked) -> Iterator[tuple[str, Callable[[], stages.Request]]]:
    """Yield the name of each glacier asked for, with a function that builds its `Request`."""
    asked = _region(asked)
    if asked.logger:
        check(asked.logger)
    _say_experiment(asked)
    source, start = chosen_run(asked), start_of(asked)
    for name in glacier_names(asked, source.saved):

        def build(name: str = name) -> stages.Request:
            return request(asked, name, source, start)

        yield name, build


def _say_experiment(asked: Asked) -> None:
    """Say that an experiment was written for another model of the task; refuse one of another task."""
    experiment, plugin = asked.named_experiment, asked.plugin
    if experiment is None:
        return
    meant = registry.get(experiment.model)
    if meant.task != plugin.task:
        raise UsageError(
            f"the experiment '{experiment.name}' is of {meant.name} ({meant.task}), not of {plugin.name} "
            f"({plugin.task})",
            f"write icectl {asked.verb} --experiment {asked.experiment}, or name a model of {meant.task}",
        )
    if registry.owner(meant).whole != registry.owner(plugin).whole:
        logging.getLogger("icectl").info(
            f"the experiment '{experiment.name}' is written for {meant.name}: {plugin.name} takes its options"
        )


def _region(asked: Asked) -> Asked:
    """Hand ``--glaciers rgi:11`` to a model that works through regions itself (option `region`)."""
    chosen = asked.glaciers or ""
    if not chosen.startswith("rgi:") or "region" not in asked.plugin.stages["predict"].model_fields:
        return asked
    return replace(asked, glaciers=None, own={**asked.own, "region": chosen.removeprefix("rgi:")})


def request(asked: Asked, name: str, source: Source, start: Source) -> stages.Request:
    """Build the request of the glacier called `name`."""
    glacier = _glacier(asked, name, source.saved)
    if source.ships and not own_place(asked) and _synthetic(asked, glacier):
        source = Source(unfit=source.weights)
    saved, before = source.saved, start.saved
    own = saved is not None and not asked.scenes and glacier.name == saved["glacier"]["name"]
    scenes = asked.scenes or (Path(saved["scenes"]) if own and saved and saved["scenes"] else None)
    made = stages.Request(
        plugin=asked.plugin,
        glacier=glacier,
        options={
            verb: _options(asked, verb, glacier, before if verb == "train" and before else saved, own)
            for verb in VERBS
        },
        workspace=asked.space,
        scenes=checked_scenes(scenes),
        seed=_seed(asked, saved),
        compute=compute(asked),
        start=start.run,
        force=asked.force,
        force_all=asked.force and asked.verb in ("run", "demo"),
        chain=asked.chain,
        quiet=asked.quiet,
        logger=asked.logger,
        command=redact(asked.command or shlex.join(["icectl", *sys.argv[1:]])),
    )
    named = asked.run or asked.from_export or asked.weights
    return source.use(asked, made) if named or stages.trains(made) else made


def _synthetic(asked: Asked, glacier: Glacier) -> bool:
    """Tell whether what is fetched of a glacier is made, and not measured."""
    source = getattr(_options(asked, "fetch", glacier, None, False), "source", "own")
    return resolve_source(None, source, glacier) == "synthetic"


def _seed(asked: Asked, saved: Saved) -> int:
    """Return the seed: the flag's, else the saved run's, else the experiment's, else 0."""
    if asked.seed is not None:
        return asked.seed
    if saved is not None:
        return int(saved["seed"])
    return asked.named_experiment.seed if asked.named_experiment is not None else 0


def _glacier(asked: Asked, name: str, saved: Saved) -> Glacier:
    """Return a glacier by name; that of a run may stand in its record only, that of a folder nowhere."""
    if name in asked.files.glaciers:
        return asked.files.glacier(name)
    if saved and saved["glacier"]["name"] == name:
        return settings.validate(Glacier, saved["glacier"], f"the record of run on {name}")
    own = own_place(asked)
    if own is not None and not asked.glacier and place_of(own) == name:
        return Glacier(name=name, title=titled(own))
    return asked.files.glacier(name)


def _options(asked: Asked, verb: str, glacier: Glacier, saved: Saved, own: bool) -> Options:
    plugin, experiment = asked.plugin, asked.named_experiment
    layers = []
    file = Layer(glacier.options.get(plugin.task, {}).get(verb, {}), f"glacier '{glacier.name}', [{verb}]")
    if saved is None or (verb == "fetch" and not own):
        layers.append(file)
    else:
        carried = registry.upgrade_options(plugin, saved["options"], int(saved["schema"]))
        told = set() if own else plugin.stages[verb].of_the_images
        kept = {name: value for name, value in carried.get(verb, {}).items() if name not in told}
        layers.append(Layer(kept, f"the saved run, [{verb}]"))
    if experiment is not None:
        layers.append(Layer(experiment.stage(verb), f"experiment '{experiment.name}', [{verb}]"))
    layers.append(Layer(asked.given(plugin.stages[verb]), FLAG))
    return merge(plugin.stages[verb], layers)


def compute(asked: Asked) -> Compute:
    """Return the devices asked for."""
    device = asked.device or "auto"
    if asked.gpus is not None and device not in ("auto", "cuda"):
        raise UsageError(
            f"--gpus {asked.gpus} and --device {device} contradict each other", "give one of them"
        )
    wanted = Compute(
        device="cuda" if asked.gpus is not None else device,
        processes=asked.gpus or asked.processes or 1,
        precision=asked.precision or "32-true",
        cluster=asked.cluster,
    )
    check_names(wanted)
    return wanted


def checked_scenes(scenes: Path | None) -> Path | None:
    """Return an absolute folder of scenes, or fail."""
    if scenes is None:
        return None
    if not scenes.is_dir() and not (scenes.is_file() and scenes.name.lower().endswith(ARCHIVES)):
        raise UsageError(f"--scenes {scenes} is not a folder", "name the folder that holds your rasters")
    return scenes.absolute()


def glacier_names(asked: Asked, saved: Saved) -> list[str]:
    """Return the glaciers asked for: by flag, file of names, experiment, folder, run, else the default.

    A run's own folder of scenes shows the run's glacier; any other folder is a place of its own.
    """
    if asked.glacier:
        return list(dict.fromkeys(asked.glacier))
    if asked.glaciers:
        return many(asked, asked.glaciers)
    if asked.named_experiment is not None and asked.named_experiment.glacier:
        return [asked.named_experiment.glacier]
    own = own_place(asked)
    trained_here = saved is not None and "weights" not in saved
    if saved is not None and trained_here and (own is None or saved["scenes"] == str(own.absolute())):
        return [str(saved["glacier"]["name"])]
    if own is None and asked.run and not trained_here:
        raise UsageError(
            f"the run '{asked.run}' holds weights that were trained elsewhere",
            "say where: --glacier or --scenes",
        )
    about = next((name for name in ("outlines", "labels", "points") if name in asked.own), None)
    # They would be laid on the synthetic glacier.
    if about and own is None and asked.named_experiment is None:
        place = "--dem" if "dem" in asked.plugin.stages["predict"].model_fields else "--scenes"
        raise UsageError(f"--{about} is given and no {place}", f"give {place} as well, or name a --glacier")
    return [place_of(own)] if own else [asked.plugin.default_glacier]


def own_place(asked: Asked) -> Path | None:
    """Return the user's own folder of scenes, or elevation model, that a request is about."""
    dem = asked.own.get("dem")
    return asked.scenes or (Path(dem) if dem else None)


_SAY_NOTHING = frozenset(
    ["images", "image", "scenes", "data", "rasters", "tif", "tiff", "tifs", "dem", "dtm", "surface"]
)
"""Names of folders and files that say what they hold, and not where it is."""

_EMPTY = "|".join(sorted(_SAY_NOTHING))
_EMPTY_ENDS = re.compile(rf"^({_EMPTY})[ _-]+|[ _-]+({_EMPTY})$", re.IGNORECASE)


def titled(own: Path) -> str:
    """Return what a user's own folder or file calls its place, by the folder above if it says nothing.

    >>> titled(Path("/data/South Glacier/images")), titled(Path("/data/dem_South.tif"))
    ('South Glacier', 'South')
    >>> titled(Path("my-images"))  # "my" says nothing
    'my-images'
    """
    path = own.absolute()
    names = [path.stem if path.suffix.lower() in (".tif", ".tiff") else path.name, path.parent.name]
    telling = ((name, _EMPTY_ENDS.sub("", name)) for name in names if name.lower() not in _SAY_NOTHING)
    return next((short if len(short) > 2 else name for name, short in telling if short), names[0])


def place_of(own: Path) -> str:
    """Return a user's own folder or file as a glacier's name: it shows no default glacier."""
    words = re.findall(r"[a-z0-9]+", titled(own).lower())
    return "-".join(words)[:80].rstrip("-") or "scenes"


def many(asked: Asked, chosen: str) -> list[str]:
    """Return the names in a file, one a line, or the known glaciers of an RGI region (``rgi:11``)."""
    if chosen.startswith("rgi:"):
        region = chosen.removeprefix("rgi:").zfill(2)
        known = (asked.files.glacier(name) for name in asked.files.glaciers)
        found = [g.name for g in known if g.rgi and f"-{region}" in g.rgi]
        hint = "add them: icectl glaciers add NAME --outline FILE, with rgi = '…' in the file"
    else:
        path = Path(chosen)
        if not path.is_file():
            raise UsageError(
                f"--glaciers {chosen} is neither rgi:REGION nor a file of names", "one name a line"
            )
        found = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        hint = "write one name a line"
    if not found:
        raise UsageError(f"--glaciers {chosen} names no glacier", hint)
    return found


@dataclass(frozen=True)
class Layer:
    """Values of one stage from one place; `where` words its errors."""

    values: Mapping[str, Any]
    where: str


FLAG = "flag"
"""Where what was typed comes from."""


def merge(kind: type[Options], layers: list[Layer]) -> Options:
    """Validate the layers together, weakest first; an error names the place of the value that is wrong."""
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in layers:
        if "preset" in layer.values and layer.values["preset"] != values.get("preset"):
            for name in kind.presets.get(str(layer.values["preset"]), {}):
                values.pop(name, None)  # a preset chosen here outranks what weaker layers said
        values.update(layer.values)
        origin.update(dict.fromkeys(layer.values, layer.where))
    try:
        with signals_wait():
            return kind.model_validate(values)
    except ValidationError as error:
        raise _worded(error, kind, origin) from error


def _worded(error: ValidationError, kind: type[Options], origin: Mapping[str, str]) -> UsageError:
    first = error.errors(include_url=False)[0]
    said = settings.wanted(first)
    if not first["loc"]:
        return UsageError(f"options do not go together: {said}", "change one of them, or leave it out")
    key = str(first["loc"][0])
    where = origin.get(key, kind.__name__)
    if where != FLAG:
        return settings.worded(error, where, kind)
    if first["type"] == "string_pattern_mismatch":
        said = f"{said}: {kind.model_fields[key].description}"
    return UsageError(f"--{key.replace('_', '-')} {first['input']} is not allowed", said)
