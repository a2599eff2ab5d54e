"""Evaluate: measured points, the exact bed of the synthetic world, ice-free holes, published figures."""

from pathlib import Path
from typing import Any

from icectl.contract import Column, Metrics, Row, Table
from icectl.report.panels import pack
from icectl.run import Run
from icectl.sources.published import resolve
from icectl.tasks.bed.dataset import Dataset, open_dataset
from icectl.tasks.bed.figures import figures
from icectl.tasks.bed.fill.patches import sentence
from icectl.tasks.bed.model import Answers, answers_of
from icectl.tasks.bed.options import EvaluateOptions, PredictOptions
from icectl.tasks.bed.products import FILLED, PRIOR_ONLY, by_region, read_table
from icectl.tasks.bed.scores import holes as hole_scores
from icectl.tasks.bed.scores import published
from icectl.tasks.bed.scores.pixels import compare
from icectl.tasks.bed.scores.points import AtPoints, score_points
from icectl.tasks.model import TaskModel


def evaluate(run: Run, model: TaskModel, options: EvaluateOptions) -> Metrics:
    """Score the prediction in ``run.inputs["predict"]``, and step (a) on ice-free holes."""
    folder, answers = run.inputs["predict"], answers_of(model, run)
    dataset = open_dataset(run.inputs["prepare"]) if "prepare" in run.inputs else None
    notes: list[str] = []
    scored: AtPoints | None = None
    tables: list[Table] = []
    details: dict[str, Any] = {}
    rows: list[dict[str, str]] = []
    if not (folder / FILLED).is_file():
        rows = read_table(folder)
        tables, scored = _thickness(run, options, folder)
        notes += scored.notes if scored else []
        details = dict(scored.details) if scored else {}
    if dataset is not None:
        tables += _holes(run, options, dataset, answers, notes)
        details |= {"data": _facts(dataset), "audit": _audit(dataset)}
    tables += _volumes(rows) if rows else []
    tables += published.tables(rows)
    if answers.law is None or (answers.law.kind == "synthetic" and _synthetic(run, "dem.tif") is None):
        notes.append(f"{PRIOR_ONLY[0].upper()}{PRIOR_ONLY[1:]}.")
    panels = figures(run, scored, _synthetic(run, "truth/thickness.tif")) if rows else []
    details |= {"panels": pack(panels, run.out)}
    dem = run.given(PredictOptions).dem
    if dem is not None:  # the elevation model is the place, not the glacier of the training
        details["place"] = dem.stem
    return Metrics(tables=tuple(tables), notes=tuple(notes), details=details)


def _thickness(run: Run, options: EvaluateOptions, folder: Path) -> tuple[list[Table], AtPoints | None]:
    source = resolve(options.points, run.say) if options.points else _synthetic(run, "points.csv")
    scored = None if source is None else score_points(run, options, folder, source)
    tables = list(scored.tables) if scored else []
    truth = _synthetic(run, "truth/thickness.tif")
    if truth is not None:
        tables.append(compare(run.plugin.name, folder, truth, "Against the exact thickness", "exact"))
    for name, path in (("Farinotti 2019", options.farinotti), ("Millan 2022", options.millan)):
        if path is not None:
            theirs = resolve(path, run.say)
            tables.append(
                compare(run.plugin.name, folder, theirs, f"Pixel by pixel against {name}", "modelled")
            )
    return tables, scored


def _synthetic(run: Run, name: str) -> Path | None:
    fetched = run.inputs.get("fetch")
    path = fetched / "test" / name if fetched is not None else None
    own = run.options.get("predict")
    if path is None or not path.is_file() or getattr(own, "dem", None) is not None:
        return None
    return path


def _holes(
    run: Run, options: EvaluateOptions, dataset: Dataset, answers: Answers, notes: list[str]
) -> list[Table]:
    """Return the tables of ice-free holes: by size, and by elevation model."""
    rounds = run.given(PredictOptions).rounds
    scores = list(
        hole_scores.score_holes(dataset, answers.filler, options.holes, options.holes_each, rounds, run.seed)
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
        tables.append(_hole_table(run.plugin.name, f"Ice-free holes of {hole} pixels", mine, columns, places))
    for terrain in sorted({s.terrain for s in scores}):
        mine = [s for s in scores if s.terrain == terrain]
        tables.append(
            _hole_table(run.plugin.name, f"Ice-free holes on {terrain}", mine, columns, f"{len(mine)} holes")
        )
    return tables


def _hole_table(
    plugin: str, title: str, scores: list[hole_scores.Score], columns: tuple[Column, ...], note: str
) -> Table:
    rows = []
    for name in hole_scores.FILLS:
        values = hole_scores.pooled(scores, name)
        if values:
            label = f"{plugin}: inpaint (a)" if name == "inpaint" else f"{name} fill"
            rows.append(Row(name=label, kind="model" if name == "inpaint" else "baseline", values=values))
    return Table(title=title, columns=columns, rows=tuple(rows), primary="rmse", note=note)


def _volumes(rows: list[dict[str, str]]) -> list[Table]:
    """Return the table of area, volume, thickness and sea level of the largest glaciers and of all."""
    rows = [r for r in rows if not r["note"]]
    keys = ("area_km2", "volume_km3", "volume_low_km3", "volume_high_km3", "mean_m", "max_m", "sle_mm")
    labels = ("area", "volume", "low", "high", "mean", "greatest", "sea level")
    units = ("km²", "km³", "km³", "km³", "m", "m", "mm")
    columns = tuple(
        Column(key=k, label=n, unit=u, better="") for k, n, u in zip(keys, labels, units, strict=True)
    )
    largest = sorted(rows, key=lambda r: -float(r["area_km2"]))[:20]
    made = [Row(name=r["id"], kind="model", values={k: float(r[k]) for k in keys}) for r in largest]
    if len(rows) > 1:
        total = by_region(rows)[""]
        made.append(Row(name=f"all {len(rows)}", kind="model", values={k: total[k] for k in keys}))
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


def _facts(dataset: Dataset) -> dict[str, Any]:
    kinds = [g["kind"] for g in dataset.facts["glaciers"]]
    found = {f"glaciers of {k} thickness": kinds.count(k) for k in sorted(set(kinds))}
    return {**found, "elevation models": len(dataset.facts["terrains"])}


def _audit(dataset: Dataset) -> dict[str, Any]:
    """Return what each rule rejected of each elevation model and the glaciers held out."""
    said = {
        t["name"]: f"{sentence(t['toll'])}; {t['toll']['kept']:,} of the rest kept; {t['rule']}"
        for t in dataset.facts["terrains"]
    }
    return {**said, "held out": ", ".join(dataset.facts["held_out"])}
