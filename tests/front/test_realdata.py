"""Real Landsat crops: pairs, glaciers, labels, and the untrained path as measured."""

from __future__ import annotations

from collections import Counter

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from terminal import terminal

from icectl.settings import load_experiment
from icectl.tasks.front.files.images import read_image
from icectl.tasks.front.files.labels import read_label
from icectl.tasks.front.files.pairs import find_pairs
from icectl.tasks.front.metrics import score
from icectl.tasks.front.pose.pose import posed

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def pairs(shared_data):
    root = shared_data / "fronts_mohajerani2019"
    places = load_experiment("mohajerani2019-jakobshavn").fetch["wrs_glaciers"]
    return find_pairs(root / "images", root / "labels", wrs_glaciers=places)


def test_all_pair_and_name_their_glacier(pairs):
    assert Counter(p.facts["glacier"] for p in pairs) == {
        "jakobshavn": 30,
        "kangerlussuaq": 23,
        "sverdrup": 70,
    }
    assert all(p.dated for p in pairs)
    assert not any(p.facts["slc_off"] == "yes" for p in pairs)


def test_wide_and_thin_labels_are_one_front(pairs):
    for pair in pairs[::20]:
        image, place = read_image(pair.image)
        assert place is None
        assert image.shape == (300, 200)
        thin = pair.label.parents[1] / "labels_1px" / pair.label.name
        wide, fine = (read_label(path, (300, 200), None) for path in (pair.label, thin))
        assert len(wide.lines) == len(fine.lines) == 1
        assert np.mean(score(wide.lines, fine.lines, (300, 200)).pooled) < 0.5


@pytest.mark.slow
def test_the_shipped_weights_find_a_front_in_a_north_up_scene(shared_data, tmp_path, monkeypatch, capfd):
    stem = "LE07_L1TP_022006_20000715_20170210_01_T1_B2"
    root = shared_data / "fronts_mohajerani2019"
    image, _ = read_image(root / "images" / f"{stem}_Subset.png")
    line = read_label(root / "labels_1px" / f"{stem}_Front.png", (300, 200), None).lines[0]
    pose = posed((300, 200), np.diag([49.0, -49.0]), -130.0, 30.0)  # ice now flows to 130° from north
    scene, truth = pose.show(image), pose.to_view(line)
    place = Affine(30, 0, -200_000, 0, -30, -2_188_000)  # 70° N, where a metre of EPSG:3413 is one
    (tmp_path / "scenes").mkdir()
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:3413", "nodata": np.nan}
    profile |= {"height": scene.shape[0], "width": scene.shape[1], "transform": place}
    with rasterio.open(tmp_path / "scenes" / f"{stem}.tif", "w", **profile) as target:
        target.write(scene.astype("float32"), 1)
    call = terminal(monkeypatch, capfd)
    call(
        "predict", "front-unet", "--scenes", str(tmp_path / "scenes"), "--workspace", str(tmp_path / "space")
    )
    (product,) = (tmp_path / "space").rglob("fronts.gpkg")
    (found,) = geopandas.read_file(product, layer="fronts").itertuples()
    assert abs((found.FlowDir - 130 + 180) % 360 - 180) < 40
    x, y = place * tuple((truth + 0.5)[:, ::-1].T)
    points = shapely.points(shapely.get_coordinates(shapely.segmentize(found.geometry, 20)))
    assert shapely.distance(points, shapely.linestrings(x, y)).mean() < 250
    assert found.Confidence > 0.5
    assert found.QualFlag == 10
    assert found.Date.date().isoformat() == "2000-07-15"
    assert len(list(product.parent.glob("fronts.geojson"))) == 1
