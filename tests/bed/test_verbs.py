"""The five verbs on the synthetic glacier: what they write, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from icectl import registry, stages
from icectl.errors import DataError, UsageError, WorkError
from icectl.raster import Grid, ground_areas
from icectl.tasks.bed.products import read_table
from icectl.workspace import read_json

from .conftest import TINY, request


def test_evaluation_lists_the_model_and_every_baseline(done: stages.Outcome) -> None:
    metrics = read_json(done.out / "metrics.json")
    first = metrics["tables"][0]
    kinds = {row["name"]: row["kind"] for row in first["rows"]}
    assert first["title"] == "Thickness at measured points"
    assert {
        "no ice",
        "biharmonic fill",
        "harmonic fill",
        "inverse distance fill",
        "perfect plasticity",
    } <= set(kinds)
    assert kinds["measured mean"] == "mark"
    values = {row["name"]: row["values"] for row in first["rows"]}
    assert values["no ice"]["bias"] < 0
    assert values["measured mean"]["bias"] == pytest.approx(0, abs=1e-6)
    titles = [t["title"] for t in metrics["tables"]]
    assert any("exact thickness" in t for t in titles)
    assert any("Ice-free holes of 12 pixels" in t for t in titles)
    assert not any("published" in t for t in titles)  # the synthetic glacier concerns no region
    assert metrics["details"]["panels"]
    for name, bounds in metrics["details"]["intervals"][first["title"]].items():
        low, high = bounds["rmse"]
        assert low <= values[name]["rmse"] <= high, name
    bar = min(row["values"]["rmse"] for row in first["rows"] if row["kind"] == "baseline")
    low, high = metrics["details"]["gain"]
    assert low <= 100 * (1 - first["rows"][0]["values"]["rmse"] / bar) <= high


def test_only_step_a_takes_updates(done: stages.Outcome) -> None:
    lines = [json.loads(line) for line in (done.run / "log.jsonl").read_text().splitlines()]
    assert max(one["step"] for one in lines if "train/inpaint" in one) == TINY["train"]["updates"]


def test_bed_and_thickness_add_up_and_nothing_is_negative(prediction: Path, test_world: Path) -> None:
    rows = [r for r in read_table(prediction) if not r["note"]]
    assert rows
    with rasterio.open(test_world / "dem.tif") as source:
        surface, grid = source.read(1), source.transform
    for row in rows:
        layers = {}
        for name in ("bed", "thickness", "low", "high", "others"):
            with rasterio.open(prediction / row["id"] / f"{name}.tif") as source:
                layers[name] = source.read()
                assert source.transform.a == grid.a
                corner = ~grid * (source.transform.c, source.transform.f)
        col, line = round(corner[0]), round(corner[1])
        height, width = layers["bed"].shape[1:]
        part = surface[line : line + height, col : col + width]
        depth = layers["thickness"][0]
        ice = np.isfinite(depth)
        assert (depth[ice] >= 0).all()
        low, high = layers["low"][0], layers["high"][0]
        assert ((low <= depth + 1e-3) & (depth <= high + 1e-3))[ice].all()
        assert low[ice].min() >= 0
        assert np.nanmin(layers["others"]) >= 0
        np.testing.assert_allclose((layers["bed"][0] + depth)[ice], part[ice], atol=1e-2)
        np.testing.assert_allclose(layers["bed"][0][~ice], part[~ice], atol=1e-2)
        with rasterio.open(prediction / row["id"] / "thickness.tif") as source:
            pixels = ground_areas(Grid(source.shape, source.transform, source.crs))
        volume = float(np.nansum(depth * pixels)) / 1e9
        assert float(row["volume_km3"]) == pytest.approx(volume, rel=1e-4)
        assert float(row["volume_low_km3"]) < float(row["volume_km3"]) < float(row["volume_high_km3"])


def test_the_table_of_outlines_carries_the_numbers(prediction: Path) -> None:
    frame = gpd.read_file(prediction / "glaciers.gpkg")
    assert {"volume_km3", "mean_m", "sle_mm", "plasticity_km3"} <= set(frame.columns)
    assert (frame["volume_km3"] > 0).all()


def test_points_off_the_glacier_are_refused(
    root: Path, done: stages.Outcome, test_world: Path, tmp_path: Path
) -> None:
    path = tmp_path / "p.csv"
    path.write_text("POINT_LAT,POINT_LON,THICKNESS\n10,10,50\n")
    with pytest.raises(DataError, match="none of the 1 points"):
        stages.perform(request(root, run=done.run, evaluate={"points": path}), "evaluate")


def test_missing_halves_are_refused(root: Path, done: stages.Outcome, test_world: Path) -> None:
    with pytest.raises(UsageError, match="--outlines FILE is missing"):
        stages.perform(request(root, run=done.run, predict={"dem": test_world / "dem.tif"}), "predict")
    twice = {
        "train_dem": (test_world / "dem.tif",) * 3,
        "train_outlines": (test_world / "outlines.gpkg",) * 2,
    }
    with pytest.raises(UsageError, match="do not match"):
        stages.perform(request(root, fetch=twice), "prepare")


def test_evaluate_takes_up_what_predict_made_with_given_weights(
    root: Path, done: stages.Outcome, test_world: Path
) -> None:
    own = {"dem": test_world / "dem.tif", "outlines": test_world / "outlines.gpkg"}
    asked = request(root, run=done.run, predict=own)
    alone = stages.plan(asked, "predict")[-1]
    within = next(step for step in stages.plan(asked, "evaluate") if step.verb == "predict")
    assert within.out == alone.out


def test_fetch_brings_published_data_and_refuses_unknown_names(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ICECTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ICECTL_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="rgi has no 20"):
        stages.perform(request(tmp_path, fetch={"published": ("rgi:11", "rgi:20")}), "fetch")
    with pytest.raises(WorkError, match="could not be fetched"):
        stages.perform(request(tmp_path, fetch={"published": ("rgi:11",)}), "fetch")


def test_no_more_options_than_planned() -> None:
    names = {name for kind in registry.get("inpaint-gan").stages.values() for name in kind.model_fields}
    assert len(names) <= 50
