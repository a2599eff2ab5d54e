"""Trained weights on files of a user's own: other outlines, names, regions, machines."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize
from shapely.affinity import translate

from icectl import stages
from icectl.errors import DataError
from icectl.run import Compute
from icectl.tasks.bed.products import place_of, read_table
from icectl.workspace import Workspace, read_json

from .conftest import request


def test_trained_weights_serve_any_other_dem(root: Path, done: stages.Outcome, test_world: Path) -> None:
    outlines = gpd.read_file(test_world / "outlines.gpkg")
    ids = tuple(outlines["rgi_id"][:1])
    options = {"dem": test_world / "dem.tif", "outlines": test_world / "outlines.gpkg", "ids": ids}
    made = stages.perform(request(root, run=done.run, predict=options), "predict")
    rows = read_table(made.out)
    assert [r["id"] for r in rows] == list(ids)


def test_what_was_learnt_from_synthetic_ice_alone_is_not_told_of_real_glaciers(
    root: Path, done: stages.Outcome, prediction: Path, test_world: Path
) -> None:
    own = read_table(prediction)[0]
    options = {"dem": test_world / "dem.tif", "outlines": test_world / "outlines.gpkg", "ids": (own["id"],)}
    made = stages.perform(request(root, run=done.run, predict=options), "predict")
    row = read_table(made.out)[0]
    # that of mass conservation, but for what thins out at the margin and three metres of the logarithm
    assert 0.5 < float(row["volume_km3"]) / float(row["mass_conservation_km3"]) < 1.0
    assert row["volume_km3"] != own["volume_km3"]  # the synthetic glacier may be answered
    ratio = float(row["volume_high_km3"]) / float(row["volume_km3"])
    assert ratio == pytest.approx(np.exp(1.645 * 0.50), rel=1e-3)
    scored = stages.perform(request(root, run=done.run, predict=options), "evaluate")
    assert any("no real glacier" in note.lower() for note in read_json(scored.out / "metrics.json")["notes"])


def test_exported_weights_predict_without_fetching_or_preparing(
    done: stages.Outcome, test_world: Path, tmp_path: Path
) -> None:
    from icectl.export import export_run
    from icectl.imports import import_run

    archive = export_run(done.run, tmp_path / "weights.zip")
    elsewhere = Workspace(tmp_path / "elsewhere")
    own = {"dem": test_world / "dem.tif", "outlines": test_world / "outlines.gpkg"}
    asked = request(elsewhere.root, run=import_run(archive, elsewhere), predict=own)
    assert [step.verb for step in stages.plan(asked, "predict")] == ["predict"]
    assert len(read_table(stages.perform(asked, "predict").out)) == len(gpd.read_file(own["outlines"]))
    assert not (elsewhere.root / "glaciers").exists()
    assert [s.verb for s in stages.plan(request(elsewhere.root), "predict")][:2] == ["fetch", "prepare"]


def test_outlines_come_by_name_into_a_prediction(
    root: Path, done: stages.Outcome, test_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the region's archive had been fetched before: the cache holds it whole."""
    folder = tmp_path / "cache" / "published"
    folder.mkdir(parents=True)
    gpd.read_file(test_world / "outlines.gpkg").to_file(tmp_path / "o.shp")
    with zipfile.ZipFile(folder / "11_rgi60_CentralEurope.zip", "w") as archive:
        for part in tmp_path.glob("o.*"):
            archive.write(part, f"11_rgi60_CentralEurope/{part.name}")
    monkeypatch.setenv("ICECTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ICECTL_MIRROR", "http://127.0.0.1:9")
    own = {"dem": test_world / "dem.tif", "outlines": Path("rgi:11")}
    made = stages.perform(request(root, run=done.run, predict=own), "predict").out
    assert {r["id"] for r in read_table(made)} == set(gpd.read_file(tmp_path / "o.shp")["rgi_id"])


@pytest.mark.slow
def test_a_cluster_writes_the_same_table(root: Path, done: stages.Outcome, prediction: Path) -> None:
    other = request(
        root, run=done.run, compute=Compute(device="cpu", cluster="local:2"), predict={"smallest": 0.011}
    )
    made = stages.perform(other, "predict").out
    before = {r["id"]: r for r in read_table(prediction)}
    assert {r["id"]: r for r in read_table(made)} == before


def _predict(
    root: Path, done: stages.Outcome, folder: Path, frame: gpd.GeoDataFrame, dem: Path
) -> list[dict[str, str]]:
    frame.to_file(folder / "o.gpkg")
    options = {"dem": dem, "outlines": folder / "o.gpkg"}
    return read_table(stages.perform(request(root, run=done.run, predict=options), "predict").out)


def test_outlines_off_and_across_the_border_are_noted_and_the_rest_goes_on(
    root: Path, done: stages.Outcome, test_world: Path, tmp_path: Path
) -> None:
    frame = gpd.read_file(test_world / "outlines.gpkg").iloc[[0, 0, 0]].reset_index(drop=True)
    frame["rgi_id"] = ["inside", "off", "across"]
    west = frame.geometry[0].bounds[0] - rasterio.open(test_world / "dem.tif").bounds.left
    frame.geometry = [
        frame.geometry[0],
        translate(frame.geometry[1], 1e5),
        translate(frame.geometry[2], -west - 200),
    ]
    rows = {r["id"]: r for r in _predict(root, done, tmp_path, frame, test_world / "dem.tif")}
    assert rows["inside"]["note"] == ""
    assert "lies outside" in rows["off"]["note"]
    assert "crosses the border" in rows["across"]["note"]
    warned = [
        one for path in root.rglob("stage.json") for one in read_json(path)["notes"].get("warnings", [])
    ]
    assert (
        "2 of 3 glaciers could not be computed (table.csv): the outline lies outside dem (1); the outline "
        "crosses the border of dem (1)" in warned
    )
    with pytest.raises(DataError, match="no glacier could be computed"):
        _predict(root, done, tmp_path, frame[frame["rgi_id"] == "off"], test_world / "dem.tif")
    with pytest.raises(DataError, match=r"'a/1' and 'a_1' of o\.gpkg would share one folder"):
        _predict(root, done, tmp_path, frame.assign(rgi_id=["a/1", "a_1", "b"]), test_world / "dem.tif")
    assert [place_of(name) for name in ("..", "a/../b", ".x")] == ["_", "a_.._b", "x"]
    with rasterio.open(test_world / "dem.tif") as dem:
        about, heights = {**dem.profile, "dtype": "uint8", "nodata": None}, dem.read(1)
    with rasterio.open(tmp_path / "shaded.tif", "w", **about) as shaded:
        shaded.write((heights % 255).astype("uint8"), 1)
    with pytest.raises(DataError, match="a picture such as a hillshade") as refused:
        _predict(root, done, tmp_path, frame[frame["rgi_id"] == "inside"], tmp_path / "shaded.tif")
    assert "-units m" in refused.value.hint  # of the fault itself


def test_a_region_is_chosen_by_its_number(root: Path, done: stages.Outcome, test_world: Path) -> None:
    options = {"dem": test_world / "dem.tif", "outlines": test_world / "outlines.gpkg", "region": "99"}
    made = stages.perform(request(root, run=done.run, predict=options), "predict")
    with (made.out / "table.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(gpd.read_file(test_world / "outlines.gpkg"))


def test_outlines_that_overlap_and_a_velocity_of_another_unit_are_said(
    root: Path,
    done: stages.Outcome,
    test_world: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = gpd.read_file(test_world / "outlines.gpkg").iloc[[0, 0]].reset_index(drop=True)
    frame["rgi_id"] = ["one", "other"]
    frame.to_file(tmp_path / "twice.gpkg")
    with rasterio.open(test_world / "vx.tif") as source:
        vx, profile = source.read(1), source.profile
    with rasterio.open(tmp_path / "daily.tif", "w", **profile) as target:
        target.write(vx / 365.25 / 10, 1)
    own = {
        "dem": test_world / "dem.tif",
        "outlines": tmp_path / "twice.gpkg",
        "velocity": (tmp_path / "daily.tif",),
    }
    made = stages.perform(request(root, run=done.run, predict=own), "predict")
    warnings = " ".join(read_json(made.out / "stage.json")["notes"]["warnings"])
    assert "one and other overlap" in warnings
    assert "perhaps it is in metres a day" in warnings
    assert read_table(made.out)[0]["velocity_inversion_km3"] == ""
    few = gpd.read_file(test_world / "outlines.gpkg").iloc[:2]
    few.to_file(tmp_path / "few.gpkg")
    with rasterio.open(tmp_path / "daily.tif", "r+") as target:  # slow ice on the other glacier alone
        here = rasterize([few.geometry.iloc[0]], target.shape, transform=target.transform)
        target.write(np.where(here, 100, target.read(1)).astype(np.float32), 1)
    caplog.clear()
    caplog.set_level("INFO", "icectl")
    own |= {"outlines": tmp_path / "few.gpkg"}
    made = stages.perform(request(root, run=done.run, predict=own), "predict")
    assert "metres a day" not in caplog.text
    assert "below 1 m a year on the ice and is not used on 1 of 2 glaciers" in caplog.text
    assert [row["velocity_inversion_km3"] == "" for row in read_table(made.out)] == [False, True]
