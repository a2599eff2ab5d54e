"""What is written beside products once they are made: figures, a STAC item, styles."""

from contextlib import AbstractContextManager
from typing import Any

from icectl import __version__, registry
from icectl.errors import DataError
from icectl.model import Model, ShowsProducts
from icectl.report.panels import pack
from icectl.run import Run
from icectl.stages.plan import UNTRAINED, Request, Step
from icectl.workspace import ID_LENGTH, read_record, run_of, write_json

MAX_SCENES = 50
_LICENCE = "SPDX-License-Identifier:"


def said_of(request: Request, step: Step) -> AbstractContextManager[None]:
    """Let every raster and data set that is written meanwhile say what made it."""
    from icectl.raster.provenance import made_by

    return made_by(provenance(request, step))


def provenance(request: Request, step: Step) -> dict[str, str]:
    """Return what products say of their making: software, model, run, weights, place, scenes, licence."""
    found = registry.owner(request.plugin)
    home = step.inputs.get("train") or step.out.parents[1]
    facts = {
        "software": f"icectl {__version__}",
        "model": f"{request.plugin.name} ({found.distribution} {found.version})",
        "run": home.name if home.name == UNTRAINED else home.name[:ID_LENGTH],
        "prediction": step.fingerprint[:ID_LENGTH],
        "place": request.glacier.title or request.glacier.name,
        "scenes": ", ".join(_named(list(_scenes(step)))),
    }
    if "train" in step.inputs:
        facts["weights"] = str(run_of(home).get("weights") or f"trained as {home.name}")
        if (home / "LICENSE").is_file():
            facts["licence_of_weights"] = (home / "LICENSE").read_text().partition(_LICENCE)[2].strip()
    return {key: value for key, value in facts.items() if value}


_TIME = (str, None)
_ITEMS = {"features": [{"id": str, "properties": {"datetime?": _TIME, "start_datetime?": _TIME}}]}


def _scenes(step: Step) -> dict[str, str]:
    """Return the ids of the scenes that were fetched, with their dates."""
    path = step.inputs.get("fetch", step.out) / "items.json"
    if not path.is_file():
        return {}
    found = {}
    for item in read_record(path, _ITEMS, "catalogue of scenes")["features"]:
        when = item["properties"].get("datetime") or item["properties"].get("start_datetime") or ""
        found[str(item["id"])] = str(when)
    return found


def _named(names: list[str]) -> list[str]:
    left = len(names) - MAX_SCENES
    return names if left <= 0 else [*names[:MAX_SCENES], f"and {left} more"]


def _flag_scale(request: Request, run: Run) -> None:
    """Warn where products have pixels that the weights never saw; a task that resamples leaves no raster."""
    from icectl.raster import grid_of, ground_metres

    path = next(iter(sorted(run.out.rglob("*.tif"))), None)
    if request.pixel_size is None or path is None:
        return
    low, high = request.pixel_size
    try:
        side = ground_metres(grid_of(path))
    except DataError:  # no CRS
        run.warn(f"pixels of unknown size: the weights learnt from pixels of {low:g} to {high:g} m")
        return
    if not 0.98 * low <= side <= 1.02 * high:
        run.warn(
            f"pixels of {side:.3g} m: the weights learnt from pixels of {low:g} to {high:g} m, and were "
            "tested on no others"
        )


def finish(request: Request, step: Step, model: Model, run: Run) -> None:
    """Write ``panels.json``, ``item.json`` and QGIS styles into ``run.out``, beside what was predicted."""
    from icectl.raster.chunks import gather
    from icectl.report.contents import PANELS
    from icectl.report.sidecars import write_item, write_styles

    gather(run.out)
    _flag_scale(request, run)
    panels: list[Any] = []
    if isinstance(model, ShowsProducts):
        with registry.doing(request.plugin, "shown"):
            panels = list(model.shown(run))
    packed = pack(panels, run.out, step.out)
    write_json(run.out / PANELS, {"panels": packed})
    facts = provenance(request, step)
    title = f"{request.plugin.name} on {facts['place']}"
    write_item(run.out, step.out.name, facts, [date for date in _scenes(step).values() if date], title)
    write_styles(run.out, panels)
