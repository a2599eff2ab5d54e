"""Evaluate: measured points, the exact bed of the synthetic world, ice-free holes, published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer

from icectl.contract import Column, Metrics, Row, Table
from icectl.errors import DataError
from icectl.raster import grid_of, read_on
from icectl.raster.read import filled
from icectl.run import Run
from icectl.tasks.bed import holes as hole_scores
from icectl.tasks.bed import published, show
from icectl.tasks.bed.glathida import Points, read_points
from icectl.tasks.bed.metrics import errors, sample
from icectl.tasks.bed.networks import Loader, Networks
from icectl.tasks.bed.options import EvaluateOptions
from icectl.tasks.bed.predict import OTHERS, read_table

Floats = NDArray[np.float64]

ERRORS = (
    Column(key="bias", label="bias", unit="m", better=""),
    Column(key="rmse", label="RMSE", unit="m"),
    Column(key="mae", label="MAE", unit="m"),
    Column(key="median", label="median", unit="m", better=""),
    Column(key="within", label="within uncertainty", unit="%", better="higher"),
    Column(key="volume", label="volume", unit="km³", better=""),
)
MEAN = "measured mean"
BASELINES = ("no ice", "biharmonic", "harmonic", "inverse distance", "plasticity")
EXTRA = ("mass conservation", "inpaint")


def evaluate(run: Run, options: EvaluateOptions, loader: Loader, device: str) -> Metrics:
    """Score the prediction in ``run.inputs["predict"]`` and the networks on ice-free holes."""
    folder = run.inputs["predict"]
    networks = loader(run.inputs["train"], device)
    tables: list[Table] = []
    notes: list[str] = []
    panels: list[Any] = []
    source = options.points or _synthetic(run, "points.csv")
    if source is not None:
        tables += _at_points(run, options, folder, source, networks, notes, panels)
    truth = _synthetic(run, "truth/thickness.tif")
    if truth is not None and run.options["predict"].dem is None:  # type: ignore[attr-defined]
        tables.append(_pixelwise(folder, truth, "Against the exact thickness", "exact"))
    for name, path in (("Farinotti 2019", options.farinotti), ("Millan 2022", options.millan)):
        if path is not None:
            tables.append(_pixelwise(folder, path, f"Pixel by pixel against {name}", "modelled"))
    tables += _holes(run, options, networks, notes)
    tables += _volumes(folder)
    tables += published.tables(_region(run))
    if not networks.has_thickness:
        notes.append("Step (b) was not trained: the thickness is step (a)'s.")
    panels += show.maps(folder, run)
    from icectl.report.panels import pack

    home = run.inputs["train"]
    details = {"panels": pack(panels, home), "data": _facts(run), "audit": _audit(run)}
    return Metrics(tables=tuple(tables), notes=tuple(notes), details=details)


def _synthetic(run: Run, name: str) -> Path | None:
    fetched = run.inputs.get("fetch")
    path = fetched / "test" / name if fetched is not None else None
    own = run.options.get("predict")
    if path is None or not path.is_file() or getattr(own, "dem", None) is not None:
        return None
    return path


def _region(run: Run) -> str | None:
    options = run.options["predict"]
    return getattr(options, "region", None)


def _at_points(
    run: Run,
    options: EvaluateOptions,
    folder: Path,
    source: Path,
    networks: Networks,
    notes: list[str],
    panels: list[Any],
) -> list[Table]:
    """Return the tables of thickness at measured points: all glaciers together, then each."""
    points = read_points(source, options.points_field, options.points_uncertainty, options.since)
    found, glacier = at_points(folder, points)
    hit = np.isfinite(found["thickness"])
    if not hit.any():
        raise DataError(
            f"none of the {len(points)} points of {source} lies on a predicted glacier",
            "check that --points, --dem and --outlines show the same place",
        )
    lost = ", ".join(f"{n} {reason}" for reason, n in points.dropped.items() if n)
    notes.append(
        f"{int(hit.sum())} of {len(points)} usable points of {points.surveys} surveys lie on "
        "predicted glaciers, "
        f"{int((~hit).sum())} outside them" + (f"; left out before: {lost}." if lost else ".")
    )
    spread = found.pop("spread")
    within = float(100 * (np.abs(found["thickness"] - points.thickness) <= 1.645 * spread)[hit].mean())
    notes.append(f"{within:.0f} % of the points lie within the predicted 90 % interval (1.645 × spread).")
    tables = [_point_table("Thickness at measured points", found, points, hit, _sums(folder, None))]
    names = sorted(set(glacier[hit]))
    for name in names if len(names) > 1 else []:
        mine = hit & (glacier == name)
        tables.append(
            _point_table(f"Thickness at the points of {name}", found, points, mine, _sums(folder, name))
        )
    panels += show.scatter(points.thickness[hit], found["thickness"][hit])
    panels += show.section(folder, points, glacier, hit)
    return tables


def at_points(folder: Path, points: Points) -> tuple[dict[str, Floats], NDArray[np.str_]]:
    """Return every answer at the points (NaN off the glaciers), and the id of the glacier each lies on."""
    found: dict[str, Floats] = {}
    glacier = np.full(len(points), "", dtype="U80")
    for row in read_table(folder):
        place = folder / "".join(c if c.isalnum() or c in "-._" else "_" for c in row["id"])[:80]
        if row["note"] or not (place / "thickness.tif").is_file():
            continue
        grid = grid_of(place / "thickness.tif")
        x, y = Transformer.from_crs(points.crs, grid.crs.to_wkt(), always_xy=True).transform(
            points.x, points.y
        )
        cols, rows = ~grid.affine * (np.asarray(x), np.asarray(y))
        near = (rows > 0) & (cols > 0) & (rows < grid.shape[0]) & (cols < grid.shape[1])
        if not near.any():
            continue
        for name, layer in _layers(place):
            values = found.setdefault(name, np.full(len(points), np.nan))
            got = sample(layer, rows[near] - 0.5, cols[near] - 0.5)
            mine = np.flatnonzero(near)[np.isfinite(got)]
            values[mine] = got[np.isfinite(got)]
            if name == "thickness":
                glacier[mine] = row["id"]
    if "thickness" not in found:
        found = {"thickness": np.full(len(points), np.nan), "spread": np.full(len(points), np.nan)}
    return found, glacier


def _layers(place: Path) -> list[tuple[str, Floats]]:
    layers = []
    for name in ("thickness", "spread", "others"):
        path = place / f"{name}.tif"
        if path.is_file():
            with rasterio.open(path) as source:
                labels = [name] if name != "others" else list(source.descriptions)
                layers += [(label, source.read(i + 1).astype(np.float64)) for i, label in enumerate(labels)]
    return layers


def _point_table(
    title: str, found: dict[str, Floats], points: Points, mine: NDArray[np.bool_], volumes: dict[str, float]
) -> Table:
    measured, uncertainty = points.thickness[mine], points.uncertainty[mine]
    answers = {**found, "no ice": np.zeros(len(points))}
    rows = []
    for name, kind, label in _line_up(answers):
        values = errors(answers[name][mine], measured, uncertainty)
        shown = {c.key: values.get(c.key) for c in ERRORS} | {"volume": volumes.get(name)}
        rows.append(Row(name=label, kind=kind, values=shown))
    mean = errors(np.full(len(measured), measured.mean()), measured, uncertainty)
    shown = {c.key: mean.get(c.key) for c in ERRORS} | {
        "volume": volumes.get("area", np.nan) * measured.mean() / 1e3
    }
    rows.append(Row(name=MEAN, kind="mark", values=shown, note="knows the measurements"))
    note = f"{len(measured)} points, measured mean {measured.mean():.1f} m"
    return Table(title=title, columns=ERRORS, rows=tuple(rows), primary="rmse", note=note)


def _line_up(answers: dict[str, Floats]) -> list[tuple[str, str, str]]:
    """Return (key, kind, label) of the rows in their order: the model, its parts, the baselines."""
    labels = {
        "thickness": "inpaint-gan, thickness (b)",
        "inpaint": "inpaint-gan, inpaint (a)",
        "mass conservation": "mass conservation, the prior of (b)",
        "plasticity": "perfect plasticity",
        "biharmonic": "biharmonic fill",
        "harmonic": "harmonic fill",
        "inverse distance": "inverse distance fill",
    }
    order = [
        ("thickness", "model"),
        ("inpaint", "model"),
        *((n, "baseline") for n in (*BASELINES, "mass conservation")),
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


def _pixelwise(folder: Path, other: Path, title: str, kind: str) -> Table:
    """Compare every pixel of every glacier with another raster of thickness."""
    off: dict[str, list[Floats]] = {}
    truth: list[Floats] = []
    pixel = 0.0
    for row in read_table(folder):
        place = folder / "".join(c if c.isalnum() or c in "-._" else "_" for c in row["id"])[:80]
        if row["note"] or not (place / "thickness.tif").is_file():
            continue
        grid = grid_of(place / "thickness.tif")
        values = filled(read_on(other, grid, "bilinear")).astype(np.float64)
        layers = dict(_layers(place))
        mine = np.isfinite(layers["thickness"]) & np.isfinite(values) & (values >= 0)
        truth.append(values[mine])
        layers["no ice"] = np.zeros(values.shape)
        for name, layer in layers.items():
            off.setdefault(name, []).append(layer[mine])
        pixel = float(abs(grid.affine.a * grid.affine.e))
    against = np.concatenate(truth) if truth else np.zeros(0)
    answers = {n: np.concatenate(v) for n, v in off.items() if n != "spread"}
    rows = []
    for name, row_kind, label in _line_up(answers):
        values_ = {**errors(answers[name], against), "volume": float(answers[name].sum()) * pixel / 1e9}
        rows.append(Row(name=label, kind=row_kind, values={c.key: values_.get(c.key) for c in ERRORS}))
    note = (
        f"{len(against)} pixels of {kind} thickness, {against.sum() * pixel / 1e9:.4g} km³"
        if len(against)
        else "none"
    )
    return Table(title=title, columns=ERRORS, rows=tuple(rows), primary="rmse", note=note)


def _holes(run: Run, options: EvaluateOptions, networks: Networks, notes: list[str]) -> list[Table]:
    """Return the tables of ice-free holes: by size, and by elevation model."""
    rounds = run.options["predict"].rounds  # type: ignore[attr-defined]
    scores = list(
        hole_scores.score_holes(
            run.inputs["prepare"], networks, options.holes, options.holes_each, rounds, run.seed
        )
    )
    if not scores:
        notes.append(
            "No ice-free hole of the sizes asked for fits the ground kept for the test: see --holes."
        )
        return []
    columns = (
        Column(key="rmse", label="RMSE", unit="m"),
        Column(key="mae", label="MAE", unit="m"),
        Column(key="relative", label="of the height", unit="%"),
        Column(key="ratio", label="of biharmonic"),
    )
    tables = []
    for hole in sorted({s.hole for s in scores}):
        mine = [s for s in scores if s.hole == hole]
        places = "; ".join(
            f"{len([s for s in mine if s.terrain == t])} on {t} ({hole * r:,.0f} m)"
            for t, r in sorted({(s.terrain, s.resolution) for s in mine})
        )
        tables.append(_hole_table(f"Ice-free holes of {hole} pixels", mine, columns, places))
    for terrain in sorted({s.terrain for s in scores}):
        mine = [s for s in scores if s.terrain == terrain]
        tables.append(_hole_table(f"Ice-free holes on {terrain}", mine, columns, f"{len(mine)} holes"))
    return tables


def _hole_table(title: str, scores: list[hole_scores.Score], columns: tuple[Column, ...], note: str) -> Table:
    rows = []
    for name in hole_scores.FILLS:
        values = hole_scores.pooled(scores, name)
        if values:
            label = "inpaint-gan, inpaint (a)" if name == "inpaint" else f"{name} fill"
            rows.append(Row(name=label, kind="model" if name == "inpaint" else "baseline", values=values))
    return Table(title=title, columns=columns, rows=tuple(rows), primary="rmse", note=note)


def _volumes(folder: Path) -> list[Table]:
    """Return the table of area, volume, thickness and sea level of the largest glaciers and of all."""
    rows = [r for r in read_table(folder) if not r["note"]]
    keys = ("area_km2", "volume_km3", "volume_low_km3", "volume_high_km3", "mean_m", "max_m", "sle_mm")
    labels = ("area", "volume", "low", "high", "mean", "greatest", "sea level")
    units = ("km²", "km³", "km³", "km³", "m", "m", "mm")
    columns = tuple(
        Column(key=k, label=n, unit=u, better="") for k, n, u in zip(keys, labels, units, strict=True)
    )
    largest = sorted(rows, key=lambda r: -float(r["area_km2"]))[:20]
    made = [Row(name=r["id"], kind="model", values={k: float(r[k]) for k in keys}) for r in largest]
    if len(rows) > 1:
        total: dict[str, float | None] = {k: sum(float(r[k]) for r in rows) for k in keys}
        total["mean_m"] = 1e3 * float(total["volume_km3"] or 0) / float(total["area_km2"] or 1)
        total["max_m"] = max(float(r["max_m"]) for r in rows)
        made.append(Row(name=f"all {len(rows)}", kind="model", values=total))
    note = "bounds of the sum add up those of the glaciers: their errors are taken as one"
    return [
        Table(
            title="Area, volume and thickness",
            columns=columns,
            rows=tuple(made),
            primary="volume_km3",
            note=note,
        )
    ]


def _facts(run: Run) -> dict[str, Any]:
    from icectl.tasks.bed.dataset import read_facts

    facts = read_facts(run.inputs["prepare"])
    kinds = [g["kind"] for g in facts["glaciers"]]
    found = {f"glaciers of {k} thickness": kinds.count(k) for k in sorted(set(kinds))}
    return {**found, "elevation models": len(facts["terrains"])}


def _audit(run: Run) -> dict[str, Any]:
    """Return the rules' toll of each elevation model and the glaciers held out."""
    from icectl.tasks.bed.dataset import read_facts
    from icectl.tasks.bed.patches import sentence

    facts = read_facts(run.inputs["prepare"])
    said = {
        t["name"]: f"{sentence(t['toll'])}, {t['toll']['kept']} kept; {t['rule']}" for t in facts["terrains"]
    }
    return {**said, "held out": ", ".join(facts["held_out"])}
