"""The five verbs by hand-made runs: a folder of images, the synthetic fjord, splits that do not leak."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import torch
from rasterio.transform import from_origin

from icectl.errors import DataError, UsageError
from icectl.registry import load_model
from icectl.run import Run
from icectl.settings import Glacier
from icectl.tasks.front.dataset import Entry, FrontData, open_dataset
from icectl.tasks.front.line.lines import draw
from icectl.tasks.front.split import audit, split
from icectl.training import save_weights
from icectl_front_unet import plugin

VERBS = ("fetch", "prepare", "train", "predict", "evaluate")
SHAPE = (64, 80)


def front(shift):
    columns = np.arange(12.0, 68.0)
    return np.stack([32 + 4 * np.sin(columns / 9) + shift, columns], axis=1)


def write_folder(root, count=10, georeferenced=False, bare=()):
    """Two glaciers, a bright edge between dark sea and grey ice, labels as black lines."""
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        stem = f"{'ab'[number % 2]}_{2000 + number}0601"
        line = front(float(rng.uniform(-14, 14)))
        rows = np.arange(SHAPE[0])[:, None]
        ice = rows > np.interp(np.arange(SHAPE[1]), line[:, 1], line[:, 0])
        image = np.where(ice, 150, 60) + rng.normal(0, 6, SHAPE)
        label = np.full(SHAPE, 255, np.uint8)
        if number not in bare:
            image[draw(line, SHAPE, 3)] = 230
            label[draw(line, SHAPE, 3)] = 0
        write_image(root / "images" / f"{stem}_Subset.tif", image.astype(np.uint8), georeferenced)
        cv2.imwrite(str(root / "labels" / f"{stem}_Front.png"), label)
    names = "\n".join(f"{'ab'[n % 2]}_{2000 + n}0601,glacier-{'ab'[n % 2]}" for n in range(count))
    (root / "table.csv").write_text(f"image,glacier\n{names}\n")


def write_image(path, image, georeferenced):
    if not georeferenced:
        cv2.imwrite(str(path), image)
        return
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:32624"}
    profile |= {"height": SHAPE[0], "width": SHAPE[1], "transform": from_origin(500_000, 7_400_000, 30, 30)}
    with rasterio.open(path, "w", **profile) as target:
        target.write(image, 1)


def run_all(tmp_path, verbs=VERBS, scenes=None, glacier="here", **options):
    """Run stages by hand and return their results by verb."""
    chosen = {verb: plugin.stages[verb](**options.get(verb, {})) for verb in VERBS}
    folders = {verb: tmp_path / verb for verb in VERBS}
    results, runs = {}, {}
    for verb in verbs:
        folders[verb].mkdir(parents=True, exist_ok=True)
        before = {v: folders[v] for v in VERBS[: VERBS.index(verb)]}
        runs[verb] = Run(
            verb=verb, plugin=plugin, glacier=Glacier(name=glacier, source="synthetic"), out=folders[verb],
            inputs=before, options=chosen, scenes=scenes, quiet=True,
        )  # fmt: skip
        results[verb] = getattr(load_model(plugin), verb)(runs[verb], chosen[verb])
    return results, runs


PACKAGES = ("fronts", "fronts_pixels")

TINY = {
    "width": 8, "crop": (64, 64), "batch_size": 4, "updates": 140, "validate_every": 70, "augment": "calfin",
    "lr": 5e-3, "average": 0.9, "edge_share": 0.7,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One tiny training on one glacier, predicted and scored on the other."""
    root = tmp_path_factory.mktemp("front")
    write_folder(root, georeferenced=True)
    options = {
        "fetch": {"labels": root / "labels", "table": root / "table.csv"},
        "prepare": {"held_out": ("glacier-b",), "flow": "up", "resolution": 30},
        "train": TINY,
    }
    results, runs = run_all(root, scenes=root / "images", **options)
    return root, results, runs, options


def test_a_network_learns_and_beats_the_straight_line(trained):
    _, results, _, _ = trained
    table = results["evaluate"].tables[0]
    rows = {row.name: row for row in table.rows}
    assert len(results["evaluate"].details["images"]) == 5
    assert rows["front-unet"].values["missed"] == 0
    assert rows["front-unet"].values["mean_px"] < rows["straight line"].values["mean_px"]
    assert rows["front-unet"].values["mean_m"] == pytest.approx(
        30 / 0.9996 * rows["front-unet"].values["mean_px"], rel=1e-4
    )  # on the ground: 0.9996 is the scale of UTM at its central meridian
    assert rows["previous date"].values["missed"] == 1  # nothing comes before the first date
    assert {row.kind for row in table.rows} >= {"model", "baseline"}


def test_only_unseen_images_are_scored(trained):
    root, results, _, _ = trained
    data = open_dataset(root / "prepare")
    assert {e.role for e in data.entries if e.glacier == "glacier-b"} == {"test"}
    scored = {row["image"] for row in results["evaluate"].details["images"]}
    assert scored == {e.id for e in data.entries if e.glacier == "glacier-b"}
    assert results["evaluate"].details["audit"]["glaciers both trained and tested on"] == "none"


def test_products_open_with_crs_and_fields(trained):
    root, _, _, _ = trained
    frame = geopandas.read_file(root / "predict" / "fronts.gpkg", layer="fronts")
    assert frame.crs.to_epsg() == 3413
    assert len(frame) == 10
    for name in ("GlacierID", "Center_X", "Latitude", "QualFlag", "Satellite", "Date", "ImageID", "Author"):
        assert name in frame
    assert set(frame.geom_type) == {"LineString"}
    assert frame.Latitude.between(66, 67).all()
    shape = next((root / "predict").glob("termini_*.shp"))
    assert shape.name == "termini_2000-2009_here.shp"
    assert len(geopandas.read_file(shape)) == 10
    images = pyogrio.read_dataframe(root / "predict" / "fronts.gpkg", layer="images")
    assert (images.Status == "found").all()
    back = frame.to_crs("EPSG:32624").total_bounds
    assert back[0] >= 500_000
    assert back[3] <= 7_400_000


def test_report_panels_and_tables_by_condition(trained):
    _, results, _, _ = trained
    metrics = results["evaluate"]
    titles = [t.title for t in metrics.tables]
    assert titles[:4] == ["Calving fronts", "More measures", "By glacier", "By year"]
    assert titles[4:] == ["By doubt", "Published figures, other images"]
    kinds = [panel["kind"] for panel in metrics.details["panels"]]
    assert kinds[:2] == ["image-lines", "bars"]
    assert "curve" in kinds
    low, high = metrics.details["intervals"]["Calving fronts"]["front-unet"]["mean_px"]
    assert low <= metrics.tables[0].rows[0].values["mean_px"] <= high
    low, high = metrics.details["gain"]
    assert low < high <= 100


def test_polygons_come_with_a_fjord(trained, tmp_path):
    _, _, runs, _ = trained
    import shapely

    fjord = shapely.box(500_000 + 10 * 30, 7_400_000 - 64 * 30, 500_000 + 70 * 30, 7_400_000)
    geopandas.GeoDataFrame(geometry=[fjord], crs="EPSG:32624").to_file(tmp_path / "fjord.gpkg")
    chosen = plugin.stages["predict"](fjord=tmp_path / "fjord.gpkg", product_crs="EPSG:3857")
    out = tmp_path / "out"
    out.mkdir()
    load_model(plugin).predict(runs["predict"].at(out=out), chosen)
    frame = geopandas.read_file(out / "fronts.gpkg", layer="polygons")
    assert set(frame.Class) == {"glacier", "ocean"}
    assert frame.geometry.is_valid.all()
    np.testing.assert_allclose(frame.Area, frame.to_crs("EPSG:32624").area, rtol=2e-3)  # not Mercator's
    assert len(geopandas.read_file(next(out.glob("*_closed.shp")))) == len(frame)


def test_a_fjord_that_misses_the_images_costs_no_prediction(trained, tmp_path):
    _, _, runs, _ = trained
    import shapely

    elsewhere = shapely.box(900_000, 7_300_000, 910_000, 7_310_000)
    geopandas.GeoDataFrame(geometry=[elsewhere], crs="EPSG:32624").to_file(tmp_path / "fjord.gpkg")
    chosen = plugin.stages["predict"](fjord=tmp_path / "fjord.gpkg")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DataError, match=r"fjord\.gpkg misses image [ab]_20"):
        load_model(plugin).predict(runs["predict"].at(out=out), chosen)
    assert not list(out.iterdir())


def predicted_there(folder, root, **options):
    """Predict what was prepared in `folder` with the weights in `root`; return the run."""
    run = Run(
        verb="predict", plugin=plugin, glacier=Glacier(name="there"), out=folder / "out", quiet=True,
        inputs={"prepare": folder / "prepare", "train": root / "train"},
    )  # fmt: skip
    run.out.mkdir()
    load_model(plugin).predict(run, plugin.stages["predict"](**options))
    return run


def test_without_labels_or_crs_prediction_still_works(trained, tmp_path, caplog):
    root, _, _, _ = trained
    write_folder(tmp_path, count=2)
    run_all(tmp_path, ("fetch", "prepare"), scenes=tmp_path / "images")
    caplog.set_level("INFO", "icectl")
    run = predicted_there(tmp_path, root)
    assert "2 fronts in 2 images, 2 of them in doubt" in caplog.messages
    assert any("no CRS" in warning for warning in run.notes["warnings"])
    frame = geopandas.read_file(run.out / "fronts.gpkg", layer="fronts")
    assert len(frame) == 2
    assert frame.total_bounds[1] >= -SHAPE[0]
    with pytest.raises(DataError, match="none of the 2 images has a label"):
        load_model(plugin).evaluate(
            run.at(inputs={**run.inputs, "predict": run.out}), plugin.stages["evaluate"]()
        )


def test_a_folder_of_images_with_and_without_crs_gives_files_for_each(trained, tmp_path):
    root, _, _, _ = trained
    write_folder(tmp_path / "plain", count=2)
    write_folder(tmp_path, count=3, georeferenced=True)
    (tmp_path / "plain" / "images" / "a_20000601_Subset.tif").rename(
        tmp_path / "images" / "a_20100601_Subset.tif"
    )
    run_all(tmp_path, ("fetch", "prepare"), scenes=tmp_path / "images")
    run = predicted_there(tmp_path, root, least_confidence=0.0)
    assert any("1 of 4 images have no CRS" in warning for warning in run.notes["warnings"])
    images = {name: geopandas.read_file(run.out / f"{name}.gpkg", layer="images") for name in PACKAGES}
    assert [len(table) for table in images.values()] == [3, 1]
    assert images["fronts"].crs.to_epsg() == 3413
    side = np.hypot(*np.diff(shapely.get_coordinates(images["fronts"].geometry[0])[:2], axis=0)[0])
    assert side / 30 == pytest.approx(SHAPE[0], rel=0.05) or side / 30 == pytest.approx(SHAPE[1], rel=0.05)
    assert images["fronts_pixels"].total_bounds.tolist() == [0, -SHAPE[0], SHAPE[1], 0]
    assert list(run.out.glob("termini_2010-2010_*_pixels.shp"))


def test_radar_images_are_in_doubt_where_the_training_had_none(trained, tmp_path):
    root, _, _, _ = trained
    (tmp_path / "images").mkdir()
    for word in ("VV", "B5"):
        name = f"S_20200601_{word}.tif"
        shutil.copy(root / "images" / "a_20000601_Subset.tif", tmp_path / "images" / name)
    run_all(tmp_path, ("fetch", "prepare"), scenes=tmp_path / "images")
    run = predicted_there(tmp_path, root, least_confidence=0.0)
    fronts = geopandas.read_file(run.out / "fronts.gpkg", layer="fronts").set_index("ImageID")
    radar = fronts.Doubt.str.contains("a radar image, unlike those of the training")
    assert radar.to_dict() == {"S_20200601_VV": True, "S_20200601_B5": False}
    assert fronts.QualFlag[radar].tolist() == [20]


def test_weights_of_other_input_layers_are_refused(trained, tmp_path):
    _, _, runs, _ = trained
    model = load_model(plugin)
    network, facts = model.load(runs["predict"])
    first = next(layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d))
    first.weight = torch.nn.Parameter(first.weight[:, :1])  # of one band, not three
    save_weights(tmp_path / "weights.safetensors", network, facts)
    with pytest.raises(DataError, match="do not fit the network of 'front-unet'"):
        model.load(runs["predict"].at(inputs={"train": tmp_path}))


def test_no_front_anywhere_is_an_empty_layer(trained, tmp_path):
    root, _, _, _ = trained
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "flat_20010101.png"), np.full(SHAPE, 90, np.uint8))
    run_all(tmp_path, ("fetch", "prepare"), scenes=tmp_path / "images")
    run = predicted_there(tmp_path, root, least_confidence=0.999)
    assert len(pyogrio.read_dataframe(run.out / "fronts.gpkg", layer="fronts")) == 0
    assert "QualFlag" in pyogrio.read_info(run.out / "fronts.gpkg", layer="fronts")["fields"]
    images = pyogrio.read_dataframe(run.out / "fronts.gpkg", layer="images")
    assert images.Status.tolist() == ["no front"]


def test_training_needs_labels(tmp_path):
    write_folder(tmp_path, count=3)
    with pytest.raises(DataError, match="no labelled image is left to train on"):
        run_all(tmp_path, ("fetch", "prepare", "train"), scenes=tmp_path / "images")


def test_empty_labels_are_told_and_kept(tmp_path):
    write_folder(tmp_path, count=4, bare=(1,))
    fetch = {"labels": tmp_path / "labels"}
    _, runs = run_all(tmp_path, ("fetch", "prepare"), scenes=tmp_path / "images", fetch=fetch)
    assert any("1 labels hold no front" in w for w in runs["prepare"].notes["warnings"])
    assert [e.lines == () for e in open_dataset(tmp_path / "prepare").entries] == [False, True, False, False]


def test_masks_beside_rock_and_images_dated_by_a_year_are_told(tmp_path):
    """The walls of a tongue counted as front, and the first of January as the day, without a word."""
    write_folder(tmp_path, count=2)
    tongue = np.zeros(SHAPE, np.uint8)
    tongue[: SHAPE[0] // 2, 20:40] = 255
    for folder, end in (("images", "Subset.tif"), ("labels", "Front.png")):
        (tmp_path / folder / f"a_20000601_{end}").rename(tmp_path / folder / f"a_2000_{end}")
    cv2.imwrite(str(tmp_path / "labels" / "a_2000_Front.png"), tongue)
    fetch = {"labels": tmp_path / "labels"}
    _, runs = run_all(tmp_path, ("fetch", "prepare"), scenes=tmp_path / "images", fetch=fetch)
    assert "1 images are dated by a month or a year alone (a_2000)" in runs["fetch"].notes["warnings"][0]
    assert any(
        "1 labels are masks whose edge begins and ends at one side" in w
        for w in runs["prepare"].notes["warnings"]
    )


def test_the_synthetic_fjord_gives_lines_and_masks(tmp_path):
    options = {"fetch": {"world": {"count": 1, "size": 64, "years": 1}}}
    run_all(tmp_path, ("fetch", "prepare"), **options)
    data = open_dataset(tmp_path / "prepare")
    assert len(data.entries) >= 3
    assert all(entry.has_mask and len(entry.lines) >= 1 for entry in data.entries)
    assert all(entry.place.crs == "EPSG:32622" for entry in data.entries)


def moments():
    start = datetime(2000, 1, 1, tzinfo=UTC)
    return [
        Entry(
            str(n), start + timedelta(days=20 * n), SHAPE, lines=(front(0),), facts={"glacier": "ab"[n % 2]}
        )
        for n in range(40)
    ]


def roles_of(entries, **chosen):
    given = plugin.stages["prepare"](valid_share=0.2, **chosen)
    return split(FrontData(Path(), tuple(entries)), given, 0)


def test_held_out_glaciers_are_never_trained_on():
    all_ = moments()
    roles = roles_of(all_, held_out=("b",))
    assert {r for m, r in zip(all_, roles, strict=True) if m.glacier == "b"} == {"test"}
    assert {r for m, r in zip(all_, roles, strict=True) if m.glacier == "a"} == {"train", "valid"}
    with pytest.raises(UsageError, match="held out glacier 'c'"):
        roles_of(all_, held_out=("c",))


def test_unlabelled_images_of_elsewhere_need_no_held_out_glacier():
    assert roles_of([replace(e, lines=None) for e in moments()], held_out=("c",)) == ["unlabelled"] * 40


def test_dates_near_validation_or_test_are_left_out():
    all_ = moments()
    roles = roles_of(all_, guard=45)
    for glacier in "ab":
        own = [(m.time, r) for m, r in zip(all_, roles, strict=True) if m.glacier == glacier]
        train = [t for t, r in own if r == "train"]
        others = [t for t, r in own if r in ("valid", "test")]
        assert min(abs((a - b).days) for a in train for b in others) > 45
        assert max(train) < max(others)
    done = audit([replace(m, role=r) for m, r in zip(all_, roles, strict=True)])
    assert done["least days between a training and a test image of one glacier"] > 45
