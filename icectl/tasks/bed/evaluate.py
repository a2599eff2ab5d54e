"""Evaluate: measured points, the exact bed of the synthetic world, ice-free holes, published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icectl.contract import Column, Metrics, Row, Table
from icectl.run import Run
from icectl.sources.published import resolve
from icectl.tasks.bed import figures as show
from icectl.tasks.bed.networks import Loader, Networks, PriorAlone, suited
from icectl.tasks.bed.options import EvaluateOptions
from icectl.tasks.bed.predict import PRIOR_ONLY, read_table
from icectl.tasks.bed.readers.points import Points
from icectl.tasks.bed.scores import holes as hole_scores
from icectl.tasks.bed.scores import published
from icectl.tasks.bed.scores.pixels import compare
from icectl.tasks.bed.scores.points import score_points

Floats = NDArray[np.float64]


def evaluate(run: Run, options: EvaluateOptions, loader: Loader, device: str) -> Metrics:
    """Score the prediction in ``run.inputs["predict"]`` and the networks on ice-free holes."""
    folder = run.inputs["predict"]
    networks = loader(run.inputs["train"], device)
    tables: list[Table] = []
    notes: list[str] = []
    panels: list[Any] = []
    details: dict[str, Any] = {}
    points: Points | None = None
    source = resolve(options.points, run.say) if options.points else _synthetic(run, "points.csv")
    if source is not None:
        scored = score_points(run, options, folder, source)
        tables, notes, panels, details = scored.tables, scored.notes, scored.panels, scored.details
        points = scored.points
    truth = _synthetic(run, "truth/thickness.tif")
    if truth is not None and run.options["predict"].dem is None:  # type: ignore[attr-defined]
        tables.append(compare(folder, truth, "Against the exact thickness", "exact"))
    for name, path in (("Farinotti 2019", options.farinotti), ("Millan 2022", options.millan)):
        if path is not None:
            theirs = resolve(path, run.say)
            tables.append(compare(folder, theirs, f"Pixel by pixel against {name}", "modelled"))
    tables += _holes(run, options, networks, notes)
    tables += _volumes(folder)
    tables += published.tables(_region(run))
    if not networks.has_thickness:
        notes.append("Step (b) was not trained: the thickness is step (a)'s.")
    elif isinstance(suited(networks, _synthetic(run, "dem.tif") is None), PriorAlone):
        notes.append(f"{PRIOR_ONLY[0].upper()}{PRIOR_ONLY[1:]}.")
    panels += show.maps(folder, points)
    from icectl.report.panels import pack

    home = run.inputs["train"]
    details |= {"panels": pack(panels, home), "data": _facts(run), "audit": _audit(run)}
    dem: Path | None = run.options["predict"].dem  # type: ignore[attr-defined]
    if dem is not None:  # the elevation model is the place, not the glacier of the training
        details["place"] = dem.stem
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
    from icectl.tasks.bed.fill.patches import sentence

    facts = read_facts(run.inputs["prepare"])
    said = {
        t["name"]: f"{sentence(t['toll'])}, {t['toll']['kept']} kept; {t['rule']}" for t in facts["terrains"]
    }
    return {**said, "held out": ", ".join(facts["held_out"])}
