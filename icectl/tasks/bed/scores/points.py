"""Thickness at measured points: tables of errors by answer and glacier, with intervals."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from icectl import intervals
from icectl.arrays import F64, Bools
from icectl.contract import Column, Row, Table
from icectl.errors import DataError
from icectl.raster import Info, grid_of, read, utm_crs
from icectl.run import Run
from icectl.tasks.bed.metrics import doubts, sample, score
from icectl.tasks.bed.options import EvaluateOptions
from icectl.tasks.bed.products import OTHERS, place_of, read_table
from icectl.tasks.bed.readers.outlines import gap
from icectl.tasks.bed.readers.points import Points, read_points
from icectl.workspace import RECORD, stage_of

ERRORS = (
    Column(key="bias", label="bias", unit="m", better=""),
    Column(key="rmse", label="RMSE", unit="m"),
    Column(key="mae", label="MAE", unit="m"),
    Column(key="median", label="median", unit="m", better=""),
    Column(key="within", label="within the error of measurement", unit="%", better="higher"),
    Column(key="volume", label="volume", unit="km³", better=""),
)
MEAN = "measured mean"
BLOCK = 200.0
"""Side in metres of the blocks of points that are drawn together for intervals."""

BASELINES = ("no ice", "biharmonic", "harmonic", "inverse distance", "plasticity")


@dataclass(frozen=True, slots=True)
class AtPoints:
    """What comparing with measured points gives: tables, sentences, details for the report, and the
    thickness at each point (NaN off the glaciers) with the glacier it lies on.
    """

    points: Points
    tables: list[Table]
    notes: list[str]
    details: dict[str, Any]
    predicted: F64
    glacier: NDArray[np.str_]
    hit: Bools


def score_points(run: Run, options: EvaluateOptions, folder: Path, source: Path) -> AtPoints:
    """Compare the predictions in `folder` with the points of `source`: all glaciers together, then each."""
    points = read_points(source, options.points_field, since=options.since, crs=options.points_crs)
    found, glacier = at_points(folder, points)
    hit = np.isfinite(found["thickness"])
    if not hit.any():
        lon, lat = _lonlat(points, ~hit)
        raise DataError(
            f"none of the {len(points)} points of {source} lies on a predicted glacier",
            f"they lie near longitude {lon:.4g} and latitude {lat:.4g}: check --points-crs, order and unit, "
            "and that --dem and --outlines show the same place",
        )
    found = {name: values for name, values in found.items() if np.isfinite(values[hit]).all()}
    low, high = found.pop("low"), found.pop("high")
    inside = float(100 * ((points.thickness >= low) & (points.thickness <= high))[hit].mean())
    width = float((high - low)[hit].mean())
    notes = [
        _said(points, hit),
        f"{inside:.0f} % of the points lie within the predicted 90 % interval, which is {width:.0f} m wide "
        "on average.",
    ]
    if any(points.dropped.values()):
        run.say(notes[0])
    for doubt in doubts(points.thickness[hit], found["thickness"][hit]):
        run.warn(doubt)
        notes.append(doubt)
    noted = stage_of(folder)["notes"].get("epochs", {}) if (folder / RECORD).is_file() else {}
    epochs = {what: float(year) for what, year in noted.items()} if isinstance(noted, dict) else {}
    years = points.year[hit]
    middle = float(np.nanmedian(years)) if np.isfinite(years).any() else None
    if words := gap({**epochs, "what was measured": middle}):
        notes.append(f"{words[0].upper()}{words[1:]}.")
    tables = [
        _point_table(run.plugin.name, "Thickness at measured points", found, points, hit, _sums(folder, None))
    ]
    names = sorted(set(glacier[hit]))
    for name in names if len(names) > 1 else []:
        mine, sums = hit & (glacier == name), _sums(folder, name)
        tables.append(
            _point_table(run.plugin.name, f"Thickness at the points of {name}", found, points, mine, sums)
        )
    details = certainty(run.plugin.name, tables[0], found, points, hit, options.bootstrap, run.seed)
    if gain := details.pop("of the velocity"):
        words = f"{-gain[1]:+.0f} to {-gain[0]:+.0f} %".replace("-", "−")
        notes.append(f"The velocity changes the RMSE by {words} (95 % interval over blocks of points).")
    return AtPoints(points, tables, notes, details, found["thickness"], glacier, hit)


def _said(points: Points, hit: Bools) -> str:
    """Say how many points count, and what was left out before."""
    lost = ", ".join(f"{n} {reason}" for reason, n in points.dropped.items() if n)
    before = f"; left out before: {lost}." if lost else "."
    return (
        f"{int(hit.sum())} of {len(points)} usable points ({points.surveys} "
        f"{'survey' if points.surveys == 1 else 'surveys'}) lie on predicted glaciers, "
        f"{int((~hit).sum())} outside them{before}"
    )


def certainty(
    plugin: str,
    table: Table,
    found: dict[str, F64],
    points: Points,
    hit: Bools,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Return intervals of each RMSE, and of the gain over the strongest baseline, for the report.

    Blocks of `BLOCK` metres are drawn again, since points along a profile see the same ice. All lie on
    the glaciers measured: the intervals say nothing of how glaciers differ.
    """
    utm = utm_crs(*_lonlat(points, hit))
    x, y = Transformer.from_crs(points.crs, utm, always_xy=True).transform(points.x[hit], points.y[hit])
    block = np.unique(np.floor(np.stack([x, y]) / BLOCK), axis=1, return_inverse=True)[1].reshape(-1)
    answers = {**found, "no ice": np.zeros(len(points))}
    units = {
        label: {"rmse": intervals.grouped((answers[name][hit] - points.thickness[hit]) ** 2, block)}
        for name, _, label in line_up(answers, plugin)
    }
    drawn: Any = {"draws": draws, "seed": seed, "of": np.sqrt}
    model, alone = units[table.rows[0].name]["rmse"], units.get(f"{plugin}: law alone")
    moved = None if alone is None else intervals.gain_interval(model, alone["rmse"], **drawn)
    return {**intervals.certainty(table, units, **drawn), "of the velocity": moved}


def _lonlat(points: Points, hit: Bools) -> tuple[float, float]:
    to = Transformer.from_crs(points.crs, "EPSG:4326", always_xy=True)
    lon, lat = to.transform(points.x[hit].mean(), points.y[hit].mean())
    return float(lon), float(lat)


def at_points(folder: Path, points: Points) -> tuple[dict[str, F64], NDArray[np.str_]]:
    """Return every answer at the points (NaN off the glaciers), and the id of the glacier each lies on."""
    found: dict[str, F64] = {}
    glacier = np.full(len(points), "", dtype="U80")
    for identity, place in places(folder):
        grid = grid_of(place / "thickness.tif")
        x, y = Transformer.from_crs(points.crs, grid.crs.to_wkt(), always_xy=True).transform(
            points.x, points.y
        )
        cols, rows = ~grid.affine * (np.asarray(x), np.asarray(y))
        near = (rows > 0) & (cols > 0) & (rows < grid.shape[0]) & (cols < grid.shape[1])
        if not near.any():
            continue
        for name, layer in layers_of(place):
            values = found.setdefault(name, np.full(len(points), np.nan))
            got = sample(layer, rows[near] - 0.5, cols[near] - 0.5)
            mine = np.flatnonzero(near)[np.isfinite(got)]
            values[mine] = got[np.isfinite(got)]
            if name == "thickness":
                glacier[mine] = identity
    if "thickness" not in found:
        found = {n: np.full(len(points), np.nan) for n in ("thickness", "low", "high")}
    return found, glacier


def places(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield id and folder of every glacier of a prediction that was computed."""
    for row in read_table(folder):
        place = folder / place_of(row["id"])
        if not row["note"] and (place / "thickness.tif").is_file():
            yield row["id"], place


def layers_of(place: Path) -> list[tuple[str, F64]]:
    """Return the rasters of one glacier's folder by name, each (rows, columns) in metres."""
    layers = []
    for name in ("thickness", "low", "high", "others"):
        path = place / f"{name}.tif"
        if path.is_file():
            labels = [name] if name != "others" else [str(text) for text in Info(path).descriptions]
            bands = read(path, band=None).filled(np.nan).astype(np.float64)
            layers += list(zip(labels, bands, strict=True))
    return layers


def _point_table(
    plugin: str,
    title: str,
    found: dict[str, F64],
    points: Points,
    mine: Bools,
    volumes: dict[str, float],
) -> Table:
    measured, uncertainty = points.thickness[mine], points.uncertainty[mine]
    answers = {**found, "no ice": np.zeros(len(points))}
    rows = []
    for name, kind, label in line_up(answers, plugin):
        values = score(answers[name][mine], measured, uncertainty)
        shown = {c.key: values.get(c.key) for c in ERRORS} | {"volume": volumes.get(name)}
        rows.append(Row(name=label, kind=kind, values=shown))
    mean = score(np.full(len(measured), measured.mean()), measured, uncertainty)
    shown = {c.key: mean.get(c.key) for c in ERRORS} | {
        "volume": volumes.get("area", np.nan) * measured.mean() / 1e3
    }
    rows.append(Row(name=MEAN, kind="mark", values=shown, note="knows the measurements"))
    note = f"{len(measured)} points, measured mean {measured.mean():.1f} m"
    return Table(title=title, columns=ERRORS, rows=tuple(rows), primary="rmse", note=note)


def line_up(answers: dict[str, F64], plugin: str) -> list[tuple[str, str, str]]:
    """Return (key, kind, label) of the rows in their order: the model, its parts, the baselines."""
    labels = {
        "thickness": f"{plugin}: thickness (b)",
        "inpaint": f"{plugin}: inpaint (a)",
        "law alone": f"{plugin}: law alone",
        "mass conservation": "mass conservation",
        "velocity inversion": "inversion of the velocity",
        "plasticity": "perfect plasticity",
        "biharmonic": "biharmonic fill",
        "harmonic": "harmonic fill",
        "inverse distance": "inverse distance fill",
    }
    order = [
        ("thickness", "model"),
        ("inpaint", "model"),
        ("law alone", "model"),
        *((n, "baseline") for n in (*BASELINES, "mass conservation", "velocity inversion")),
    ]
    return [(n, kind, labels.get(n, n)) for n, kind in order if n in answers]


def _sums(folder: Path, name: str | None) -> dict[str, float]:
    """Return volumes (km³) of every answer and the area (km²), of one glacier or of all."""
    rows = [r for r in read_table(folder) if not r["note"] and name in (None, r["id"])]
    columns = {"thickness": "volume_km3", "area": "area_km2"}
    columns |= {n: f"{n.replace(' ', '_')}_km3" for n in OTHERS}
    return {
        n: sum(float(r[c]) for r in rows)
        for n, c in columns.items()
        if rows and all(r[c] != "" for r in rows)
    }
