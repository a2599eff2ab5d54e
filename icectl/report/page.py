"""Writes the report of a run, and the page that compares runs: one self-contained file each."""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import geopandas
import pyogrio
import shapely
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from icectl import __version__
from icectl.errors import UsageError
from icectl.raster.regions import NAMES, region_at
from icectl.report import comparing, contents
from icectl.report.contents import PANELS, prediction_context
from icectl.report.painter import arrange, draw_all, palettes
from icectl.report.pictures import maps_of
from icectl.report.record import read_run, stages_behind
from icectl.report.scale import degrees
from icectl.workspace import RECORD, is_own, read_record, stage_of, sweep_beside, writing

REPORT = "report.html"
COMPARISON = "comparison.html"


def write_report(run_folder: Path, out: Path | None = None) -> Path:
    """Write the report of one run and return its path; before it is evaluated, that of its newest prediction.

    It is made from the run folder's files alone, so it can be rebuilt at any time; a figure whose
    files are gone becomes a sentence.

    `run_folder`: a folder under ``runs/MODEL/GLACIER/``. `out`: where to write it; ``report.html`` in the
    run folder by default.

    UsageError: `run_folder` is no run. DataError: one of its records is damaged.
    """
    run = read_run(Path(run_folder))
    views: list[dict[str, Any]] = []
    made = sorted(run.folder.glob(f"predictions/*/{RECORD}"), key=lambda path: path.stat().st_mtime)
    if made and not run.evaluations:
        return write_prediction(made[-1].parent, out)
    if run.evaluations:
        newest = run.evaluations[0]
        panels = contents.details(newest).get("panels", [])
        views = draw_all(panels if isinstance(panels, list) else [], [newest.folder, run.folder])
    page = _render("run.html.j2", {**contents.run_context(run), **_figures(views, run.stages())})
    return _save(page, out or run.folder / REPORT)


def write_prediction(folder: Path, out: Path | None = None) -> Path:
    """Write the page of what was predicted in `folder` and return its path.

    `folder`: a folder ``predictions/…`` of a run. `out`: where to write it; ``report.html`` in `folder` by
    default.

    DataError: one of its records is damaged.
    """
    run, record = read_run(folder.parents[1]), stage_of(folder)
    shown = (folder / PANELS).is_file()
    panels = read_record(folder / PANELS, {"panels": [dict]}, "record of panels")["panels"] if shown else []
    views = draw_all(panels, [folder])
    stages = stages_behind(folder, {**record, "stage": "predict"})
    page = _render(
        "prediction.html.j2", {**prediction_context(run, folder, record), **_figures(views, stages)}
    )
    return _save(page, out or folder / REPORT)


def compare(run_folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write a page that sets runs of one task side by side and return its path.

    `run_folders`: two runs or more. `out`: where to write it; ``comparison.html`` in the nearest folder
    that holds all of them by default.

    UsageError: there are less than two runs, or their tasks differ.
    """
    if len({Path(f).absolute() for f in run_folders}) < 2:
        raise UsageError("a comparison needs two runs or more", "name their folders or ids")
    runs = [read_run(Path(folder)) for folder in run_folders]
    target = out or Path(os.path.commonpath([run.folder for run in runs])) / COMPARISON
    context = comparing.context(runs, target.absolute().parent)
    groups = [*context["together"], *(group for item in context["figures"] for group in item["groups"])]
    views = [view for group in groups for view in group]
    return _save(_render("compare.html.j2", {**context, "palettes": palettes(views)}), target)


def _figures(views: list[dict[str, Any]], stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a template needs of figures; a synthetic glacier lies nowhere."""
    made_up = stages.get("fetch", {}).get("options", {}).get("source") == "synthetic"
    place = None if made_up else locate(views)
    return {"groups": arrange(views), "palettes": palettes(views), "place": place}


def _save(page: str, path: Path) -> Path:
    if path.parent.is_dir() and is_own(path.parent):
        sweep_beside(path)
    with writing(path) as file:
        file.write(page)
    return path


def _render(template: str, context: Mapping[str, Any]) -> str:
    """Fill a template; its script is allowed by its digest, so that no other script can run."""
    script, style = _asset("page.js"), _asset("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        _environment()
        .get_template(template)
        .render(
            version=__version__,
            script=Markup(script),
            style=Markup(style),
            script_hash=Markup(f"'sha256-{digest}'"),
            **context,
        )
    )


@cache
def _environment() -> Environment:
    """Return the templates; everything that is put in is escaped."""
    return Environment(loader=PackageLoader("icectl", "report"), autoescape=True, trim_blocks=True)


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


COASTS = "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"
"""Natural Earth's countries (public domain) in pyogrio's wheels; without them a graticule stands alone."""

COARSE = 1.0
"""Degrees by which coasts are simplified."""

_STEP = 30
"""Degrees between the lines of the graticule."""


def locate(views: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the place of the first map that has one, for the template; None where none has.

    `views`: figures as `icectl.report.painter.draw_all` returns them.
    """
    centres = (drawn["frame"].centre for view in views for drawn in maps_of(view))
    centre = next((one for one in centres if one is not None), None)
    if centre is None:
        return None
    lon, lat = (centre[0] + 180) % 360 - 180, centre[1]
    return {
        "words": degrees(lon, lat, 2),
        "region": f"RGI region {region}, {NAMES[region]}" if (region := region_at(lon, lat)) else "",
        "x": lon,
        "y": -lat,
        "land": _land(),
        "lines": "".join(f"M{x} -90V90" for x in range(-180, 181, _STEP))
        + "".join(f"M-180 {y}H180" for y in range(-90, 91, _STEP)),
    }


@cache
def _land() -> str:
    """Return the continents as an SVG path in degrees, y down; empty where no coasts are installed."""
    file = Path(pyogrio.__file__).parent / COASTS
    if not file.is_file():
        return ""
    whole = geopandas.read_file(file).geometry.union_all().simplify(COARSE)
    rings = (part.exterior.coords for part in shapely.get_parts(whole))
    return "".join("M" + "L".join(f"{x:.1f} {-y:.1f}" for x, y in ring) + "Z" for ring in rings)
