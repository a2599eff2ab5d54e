"""From what was typed to a `Request`: defaults, then files, then flags; the stronger wins.

The layers, weakest first: the plugin's defaults and presets, the glacier's file
(``[options.<task>.<verb>]``), the experiment's file, flags. With ``--run`` the saved options of
that run stand below the flags in place of the files, except for what is fetched: another
place brings its own scenes.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from icectl import registry, settings, stages
from icectl.cli import flags
from icectl.contract import VERBS, Options, Plugin
from icectl.errors import UsageError, redact
from icectl.run import Compute
from icectl.settings import Experiment, Glacier
from icectl.training.devices import check_names
from icectl.workspace import RUN, Workspace, read_json


@dataclass(frozen=True)
class Layer:
    """Values of one stage from one place; `where` words its errors."""

    values: Mapping[str, Any]
    where: str


def requests(
    verb: str, model: str | None, shared: Mapping[str, Any], typed: Mapping[str, Any]
) -> Iterator[Any]:
    """Yield a function that builds the `Request` of each glacier asked for, with its name."""
    experiment = settings.load_experiment(shared["experiment"]) if shared.get("experiment") else None
    plugin = registry.get(model or (experiment.model if experiment else "convlstm"))
    shared, typed = _region(plugin, shared, typed)
    workspace = Workspace.locate(shared.get("workspace"))
    run = chosen_run(verb, plugin, workspace, shared, typed, experiment)
    for name in glacier_names(shared, experiment, plugin, run):

        def build(name: str = name) -> stages.Request:
            made = request(plugin, name, workspace, run, experiment, shared, typed)
            return replace(made, force_all=made.force and verb in ("run", "demo"))

        yield name, build


def _region(
    plugin: Plugin, shared: Mapping[str, Any], typed: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Hand ``--glaciers rgi:11`` to a model that works through regions itself (option `region`)."""
    chosen = str(shared.get("glaciers") or "")
    if not chosen.startswith("rgi:") or "region" not in plugin.stages["predict"].model_fields:
        return shared, typed
    return {**shared, "glaciers": None}, {**typed, "region": chosen.removeprefix("rgi:")}


def request(
    plugin: Plugin,
    glacier_name: str,
    workspace: Workspace,
    run: Path | None,
    experiment: Experiment | None,
    shared: Mapping[str, Any],
    typed: Mapping[str, Any],
) -> stages.Request:
    """Build the request of one glacier."""
    saved = read_json(run / RUN) if run else None
    glacier = _glacier(glacier_name, saved, shared)
    own = saved is not None and not shared.get("scenes") and glacier.name == saved["glacier"]["name"]
    scenes = shared.get("scenes") or (Path(saved["scenes"]) if own and saved and saved["scenes"] else None)
    return stages.Request(
        plugin=plugin,
        glacier=glacier,
        options={v: _options(plugin, v, glacier, experiment, saved, own, typed) for v in VERBS},
        workspace=workspace,
        scenes=checked_scenes(scenes),
        seed=_seed(shared, saved, experiment),
        compute=compute(shared),
        run=run,
        force=bool(shared.get("force")),
        chain=bool(shared.get("chain", True)),
        quiet=bool(shared.get("quiet")),
        command=redact(shlex.join(["icectl", *sys.argv[1:]])),
    )


def _seed(shared: Mapping[str, Any], saved: Mapping[str, Any] | None, experiment: Experiment | None) -> int:
    """Return the seed: the flag's, else the saved run's, else the experiment's, else 0."""
    if shared.get("seed") is not None:
        return int(shared["seed"])
    if saved is not None:
        return int(saved["seed"])
    return experiment.seed if experiment is not None else 0


def _glacier(name: str, saved: Mapping[str, Any] | None, shared: Mapping[str, Any]) -> Glacier:
    """Return a glacier by name; that of a run may stand in its record only, that of a folder nowhere."""
    if name in settings.available("glaciers"):
        return settings.load_glacier(name)
    if saved and saved["glacier"]["name"] == name:
        return settings.validate(Glacier, saved["glacier"], f"the record of run on {name}")
    scenes = shared.get("scenes")
    if scenes and not shared.get("glacier") and place_of(scenes) == name:
        return Glacier(name=name, title=Path(scenes).absolute().name)
    return settings.load_glacier(name)


def _options(
    plugin: Plugin,
    verb: str,
    glacier: Glacier,
    experiment: Experiment | None,
    saved: Mapping[str, Any] | None,
    own: bool,
    typed: Mapping[str, Any],
) -> Options:
    layers = []
    file = Layer(glacier.options.get(plugin.task, {}).get(verb, {}), f"glacier '{glacier.name}', [{verb}]")
    if saved is None or (verb == "fetch" and not own):
        layers.append(file)
    else:
        carried = registry.upgrade_options(plugin, saved["options"], int(saved["schema"]))
        layers.append(Layer(carried.get(verb, {}), f"the saved run, [{verb}]"))
    if experiment is not None:
        layers.append(Layer(experiment.stage(verb), f"experiment '{experiment.name}', [{verb}]"))
    layers.append(Layer(flags.given(typed, plugin.stages[verb]), "flag"))
    return merge(plugin.stages[verb], layers)


def merge(kind: type[Options], layers: list[Layer]) -> Options:
    """Validate the layers together; an error names the place of the value that is wrong."""
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in layers:
        if "preset" in layer.values and layer.values["preset"] != values.get("preset"):
            for name in kind.presets.get(str(layer.values["preset"]), {}):
                values.pop(name, None)  # a preset chosen here outranks what weaker layers said
        values.update(layer.values)
        origin.update(dict.fromkeys(layer.values, layer.where))
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        key = str(error.errors(include_url=False)[0]["loc"][0]) if error.errors()[0]["loc"] else ""
        where = origin.get(key, kind.__name__)
        if where != "flag":
            raise settings.worded(error, where, list(kind.model_fields)) from error
        first = error.errors(include_url=False)[0]
        flag = f"--{key.replace('_', '-')}"
        raise UsageError(
            f"{flag} {first['input']} is not allowed", first["msg"].removeprefix("Value error, ")
        ) from error


def compute(shared: Mapping[str, Any]) -> Compute:
    """Return the devices asked for."""
    gpus, device = shared.get("gpus"), shared.get("device") or "auto"
    if gpus is not None and device not in ("auto", "cuda"):
        raise UsageError(f"--gpus {gpus} and --device {device} contradict each other", "give one of them")
    asked = Compute(
        device="cuda" if gpus is not None else device,
        processes=gpus or shared.get("processes") or 1,
        precision=shared.get("precision") or "32-true",
        cluster=shared.get("cluster"),
    )
    check_names(asked)
    return asked


def checked_scenes(scenes: Path | None) -> Path | None:
    """Return an absolute folder of scenes, or fail."""
    if scenes is None:
        return None
    if not scenes.is_dir():
        raise UsageError(f"--scenes {scenes} is not a folder", "name the folder that holds your rasters")
    return scenes.absolute()


def chosen_run(
    verb: str,
    plugin: Plugin,
    workspace: Workspace,
    shared: Mapping[str, Any],
    typed: Mapping[str, Any],
    experiment: Experiment | None,
) -> Path | None:
    """Return the weights that predict or evaluate use; None trains (or finds) what the options say."""
    if verb not in ("predict", "evaluate"):
        return None
    if shared.get("from_export"):
        from icectl.imports import import_run

        return import_run(Path(shared["from_export"]), workspace)
    if shared.get("run"):
        return stages.find_run(workspace, shared["run"])
    says_training = bool(flags.given(typed, plugin.stages["train"])) or experiment is not None
    return None if says_training else stages.newest_run(workspace, plugin)


def glacier_names(
    shared: Mapping[str, Any], experiment: Experiment | None, plugin: Plugin, run: Path | None
) -> list[str]:
    """Return the glaciers asked for: by flag, file of names, experiment, folder, run, else the default.

    A run's own folder of scenes shows the run's glacier; any other folder is a place of its own.
    """
    if shared.get("glacier"):
        return list(dict.fromkeys(shared["glacier"]))
    if shared.get("glaciers"):
        return many(shared["glaciers"])
    if experiment is not None and experiment.glacier:
        return [experiment.glacier]
    scenes = shared.get("scenes")
    saved = read_json(run / RUN) if run is not None else None
    if saved is not None and (not scenes or saved["scenes"] == str(scenes.absolute())):
        return [str(saved["glacier"]["name"])]
    return [place_of(scenes)] if scenes else [plugin.default_glacier]


def place_of(scenes: Path) -> str:
    """Return a folder of scenes as a glacier's name: somebody's own scenes show no default glacier."""
    words = re.findall(r"[a-z0-9]+", Path(scenes).absolute().name.lower())
    return "-".join(words)[:80].rstrip("-") or "scenes"


def many(chosen: str) -> list[str]:
    """Return the names in a file, one a line, or the known glaciers of an RGI region (``rgi:11``)."""
    if chosen.startswith("rgi:"):
        region = chosen.removeprefix("rgi:").zfill(2)
        known = (settings.load_glacier(name) for name in settings.available("glaciers"))
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
