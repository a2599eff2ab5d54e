"""The five verbs on the synthetic glacier, as a user's files meet them, and what is refused."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from shapely.affinity import translate
from shapely.geometry import Point

from icectl import registry, stages
from icectl.errors import DataError, UsageError, WorkError
from icectl.run import Compute, Run
from icectl.settings import load_glacier
from icectl.tasks.bed.baselines import baselines
from icectl.tasks.bed.fill.answer import Filler
from icectl.tasks.bed.fill.smooth import biharmonic
from icectl.tasks.bed.products import read_table
from icectl.tasks.bed.thickness.solve import Scene
from icectl.workspace import Workspace, read_json
from icectl_inpaint_gan.model import InpaintGAN

TINY = {
    "fetch": {"world_size": 128, "worlds": 3},
    "prepare": {"patch_size": 64, "hole_size": 24, "patches": 60, "synthetic_glaciers": 0,
                "minimum_relief": 50},
    "train": {"preset": "small", "updates": 3, "validate_every": 3, "batch_size": 4, "width": 8,
              "critic_width": 4, "net_size": 32, "begin": "fill"},
    "predict": {"rounds": 2},
    "evaluate": {"holes": (12, 24), "holes_each": 3},
}  # fmt: skip


def request(
    root: Path, *, compute: Compute | None = None, run: Path | None = None, **changes
) -> stages.Request:
    plugin = registry.get("inpaint-gan")
    options = {v: plugin.stages[v].model_validate({**TINY[v], **changes.get(v, {})}) for v in TINY}
    return stages.Request(
        plugin=plugin, glacier=load_glacier("demo"), options=options, workspace=Workspace(root),
        compute=compute or Compute(device="cpu"), run=run, quiet=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bed")


@pytest.fixture(scope="module")
def done(root: Path) -> stages.Outcome:
    return stages.perform(request(root), "evaluate")


@pytest.fixture(scope="module")
def prediction(root: Path, done: stages.Outcome) -> Path:
    return stages.perform(request(root), "predict").out


@pytest.fixture(scope="module")
def test_world(root: Path, done: stages.Outcome) -> Path:
    return next((root / "glaciers" / "demo" / "scenes").glob("*/test"))


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
        volume = float(np.nansum(depth)) * 900 / 1e9
        assert float(row["volume_km3"]) == pytest.approx(volume, rel=1e-4)
        assert float(row["volume_low_km3"]) < float(row["volume_km3"]) < float(row["volume_high_km3"])


def test_the_table_of_outlines_carries_the_numbers(prediction: Path) -> None:
    frame = gpd.read_file(prediction / "glaciers.gpkg")
    assert {"volume_km3", "mean_m", "sle_mm", "plasticity_km3"} <= set(frame.columns)
    assert (frame["volume_km3"] > 0).all()


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
    assert 0.6 < float(row["volume_km3"]) / float(row["mass_conservation_km3"]) < 1.0
    assert row["volume_km3"] != own["volume_km3"]  # the synthetic glacier may be answered
    ratio = float(row["volume_high_km3"]) / float(row["volume_km3"])
    assert ratio == pytest.approx(np.exp(1.645 * 0.54), rel=1e-3)
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


def test_evaluate_takes_up_what_predict_made_with_given_weights(
    root: Path, done: stages.Outcome, test_world: Path
) -> None:
    own = {"dem": test_world / "dem.tif", "outlines": test_world / "outlines.gpkg"}
    asked = request(root, run=done.run, predict=own)
    alone = stages.plan(asked, "predict")[-1]
    within = next(step for step in stages.plan(asked, "evaluate") if step.verb == "predict")
    assert within.out == alone.out


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


def test_fetch_brings_published_data_and_refuses_unknown_names(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ICECTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ICECTL_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="rgi has no 20"):
        stages.perform(request(tmp_path, fetch={"published": ("rgi:11", "rgi:20")}), "fetch")
    with pytest.raises(WorkError, match="could not be fetched"):
        stages.perform(request(tmp_path, fetch={"published": ("rgi:11",)}), "fetch")


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
    with pytest.raises(DataError, match="no glacier could be computed"):
        _predict(root, done, tmp_path, frame[frame["rgi_id"] == "off"], test_world / "dem.tif")


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


def test_excluded_ice_teaches_nothing(root: Path, test_world: Path, tmp_path: Path) -> None:
    from icectl.tasks.bed.fill.ice import Cover
    from icectl.tasks.bed.prepare import covered
    from icectl.tasks.bed.readers.dem import open_dem

    terrain = open_dem(test_world / "dem.tif").whole(30.0)
    left, bottom, right, top = terrain.grid.extent.boundingbox
    blob = Point((left + right) / 2, (bottom + top) / 2).buffer(300)
    gpd.GeoDataFrame(geometry=[blob], crs=terrain.grid.crs.to_wkt()).to_file(tmp_path / "more.gpkg")
    options = request(root, prepare={"exclude": tmp_path / "more.gpkg", "unlisted_ice": "none"}).options[
        "prepare"
    ]
    cover, words = covered(terrain, None, options)
    assert (cover == Cover.EXCLUDED).sum() * 900 == pytest.approx(np.pi * 300**2, rel=0.15)
    assert "complete" in words
    masked, words = covered(
        terrain, test_world / "outlines.gpkg", options.model_copy(update={"unlisted_ice": "mask"})
    )
    assert (masked == Cover.SUSPECTED).any()
    assert "ice suspected above" in words


def test_ground_below_the_ice_changes_no_answer_of_step_a(done: stages.Outcome, test_world: Path) -> None:
    heights, ice = _world(test_world)
    filler = _filler(done)
    filler.share, filler.range = 1.0, {}
    lowered = np.where(ice, heights - 300.0, heights)
    first, second = (filler(h, ice, 30.0, 3, 0) for h in (heights, lowered))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_step_a_falls_back_to_the_biharmonic_fill_beyond_its_range(
    done: stages.Outcome, test_world: Path
) -> None:
    heights, _ice = _world(test_world)
    filler = _filler(done)
    filler.share, filler.range = 1.0, {"resolution": [30.0, 30.0], "hole": [6.0, 24.0]}
    hole = np.zeros(heights.shape, dtype=bool)
    hole[40:52, 40:52] = True
    for resolution, word in ((30.0, ""), (300.0, "pixels of 300 m")):
        made, _, said = filler(heights, hole, resolution, 1)
        assert word in said
        assert bool(said) == bool(word)
        assert np.array_equal(made, biharmonic(heights, hole)) == bool(word)


def _world(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from icectl.tasks.bed.readers.dem import open_dem

    with rasterio.open(folder / "truth" / "thickness.tif") as source:
        return open_dem(folder / "dem.tif").whole(None).heights.astype(float), source.read(1) > 0


def _filler(done: stages.Outcome) -> Filler:
    plugin = registry.get("inpaint-gan")
    run = Run(verb="predict", plugin=plugin, glacier=load_glacier("demo"), out=done.run,
              inputs={"train": done.run}, compute=Compute(device="cpu"))  # fmt: skip
    return InpaintGAN().answering(run)[0].filler


def test_a_glacier_larger_than_the_window_is_filled_on_a_coarser_grid(
    done: stages.Outcome, test_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heights, ice = _world(test_world)
    scene = Scene(heights, ice, ice, 30.0)
    whole, _ = baselines(scene, _filler(done), 1, 0)
    monkeypatch.setattr("icectl.tasks.bed.baselines.MAX_WINDOW", 100)
    coarse, _ = baselines(scene, _filler(done), 1, 0)
    assert coarse["inpaint"].shape == whole["inpaint"].shape
    assert np.abs(coarse["biharmonic"] - whole["biharmonic"]).mean() < 25
    assert min(v.min() for v in coarse.values()) >= 0


def test_a_region_is_chosen_by_its_number(root: Path, done: stages.Outcome, test_world: Path) -> None:
    options = {"dem": test_world / "dem.tif", "outlines": test_world / "outlines.gpkg", "region": "99"}
    made = stages.perform(request(root, run=done.run, predict=options), "predict")
    with (made.out / "table.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(gpd.read_file(test_world / "outlines.gpkg"))


def test_voids_and_masks_of_an_elevation_model_are_filled(
    root: Path, done: stages.Outcome, test_world: Path, tmp_path: Path
) -> None:
    with rasterio.open(test_world / "dem.tif") as source:
        heights, profile = source.read(1), source.profile
    holed = heights.copy()
    holed[30:42, 50:66] = -9999
    with rasterio.open(tmp_path / "holed.tif", "w", **{**profile, "nodata": -9999}) as target:
        target.write(holed, 1)
    mask = np.zeros(heights.shape, dtype="uint8")
    mask[80:90, 20:31] = 1
    with rasterio.open(tmp_path / "mask.tif", "w", **{**profile, "dtype": "uint8", "nodata": None}) as target:
        target.write(mask, 1)
    for fill, hidden in (
        (tmp_path / "holed.tif", holed < 0),
        (tmp_path / "mask.tif", (holed < 0) | (mask > 0)),
    ):
        asked = request(root, run=done.run, predict={"dem": tmp_path / "holed.tif", "fill": fill})
        out = stages.perform(asked, "predict").out
        with rasterio.open(out / "filled.tif") as source:
            ground, filled, *_ = source.read()
            assert source.transform == profile["transform"]
        assert np.array_equal(filled > 0, hidden)
        np.testing.assert_allclose(ground[~hidden], heights[~hidden], atol=1e-3)
        smooth = biharmonic(np.where(hidden, 0.0, heights), hidden)
        assert np.abs(ground - heights)[hidden].mean() < 1.1 * np.abs(smooth - heights)[hidden].mean() + 1
    empty = request(
        root, run=done.run, predict={"dem": test_world / "dem.tif", "fill": test_world / "dem.tif"}
    )
    with pytest.raises(DataError, match="names no pixel"):
        stages.perform(empty, "predict")


def test_outlines_that_overlap_and_a_velocity_of_another_unit_are_said(
    root: Path, done: stages.Outcome, test_world: Path, tmp_path: Path
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


def test_no_more_options_than_planned() -> None:
    names = {name for kind in registry.get("inpaint-gan").stages.values() for name in kind.model_fields}
    assert len(names) <= 50
