"""Step (a): ground below ice, holes and voids filled by a trained network."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import Point
from writing import tif

from icectl import registry, stages
from icectl.errors import DataError
from icectl.run import Compute, Run
from icectl.settings import load_glacier
from icectl.tasks.bed.baselines import baselines
from icectl.tasks.bed.fill.answer import Filler
from icectl.tasks.bed.fill.smooth import biharmonic
from icectl.tasks.bed.thickness.solve import Scene
from icectl_inpaint_gan.learner import InpaintGAN

from .conftest import request


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
    degrees = Affine(3e-4, 0, 8.0, 0, -3e-4, 46.5)  # warped, whose corners lie beyond the file
    tif(tmp_path / "degrees.tif", holed, degrees, "EPSG:4326", nodata=-9999)
    asked = request(root, run=done.run, predict=dict.fromkeys(("dem", "fill"), tmp_path / "degrees.tif"))
    with rasterio.open(stages.perform(asked, "predict").out / "filled.tif") as source:
        ground, filled, *_ = source.read()
    np.testing.assert_array_equal(filled > 0, holed < 0)
    np.testing.assert_array_equal(ground[holed > 0], heights[holed > 0])
    assert np.abs(ground - heights)[holed < 0].mean() < 60
    empty = request(
        root, run=done.run, predict={"dem": test_world / "dem.tif", "fill": test_world / "dem.tif"}
    )
    with pytest.raises(DataError, match="names no pixel"):
        stages.perform(empty, "predict")
