"""Pose and scale: the ground under pixels of any CRS, views and the way back, and the turn that is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Geod, Transformer
from rasterio.transform import Affine

from icectl.tasks.front.dataset import Entry, Place
from icectl.tasks.front.line.found import Found, Front, Rules
from icectl.tasks.front.line.lines import draw
from icectl.tasks.front.line.passes import Predictor, contrast
from icectl.tasks.front.line.reliability import calibration_error, risk_area, shares_flagged
from icectl.tasks.front.line.walls import within
from icectl.tasks.front.metrics import score
from icectl.tasks.front.options import PredictOptions, PrepareOptions, bearing_of
from icectl.tasks.front.pose.doubt import FLAGGED, confidence, judged, reasons_of
from icectl.tasks.front.pose.frame import bearing_in, frame_of, metres_per_pixel
from icectl.tasks.front.pose.pose import posed
from icectl.tasks.front.pose.search import PoseSearch, Training
from icectl.tasks.front.pose.survey import survey
from icectl.tasks.front.predict import Finder

HELHEIM = (-38.2, 66.38)
CRSES = ["EPSG:4326", "EPSG:3413", "EPSG:3857", "EPSG:32624"]


def placed(crs, metres=30.0, shape=(200, 300), south_up=False):
    """A place of so many metres a pixel around Helheim, whatever the CRS."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*HELHEIM)
    x2, y2 = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(HELHEIM[0], HELHEIM[1] + 1e-3)
    degree = Geod(ellps="WGS84").inv(*HELHEIM, HELHEIM[0], HELHEIM[1] + 1e-3)[2]
    side = np.hypot(x2 - x, y2 - y) / degree * metres
    rows, columns = shape
    down = side if south_up else -side
    transform = Affine(side, 0, x - side * columns / 2, 0, down, y - down * rows / 2)
    return Place(crs, tuple(transform)[:6])


@pytest.mark.parametrize("crs", CRSES)
@pytest.mark.parametrize("south_up", [False, True])
def test_a_bearing_on_the_ground_is_the_geodesic_one(crs, south_up):
    place, shape = placed(crs, south_up=south_up), (200, 300)
    frame = frame_of(place, shape)
    for bearing in (0.0, 75.0, 200.0):
        lon, lat, _ = Geod(ellps="WGS84").fwd(*HELHEIM, bearing, 1000.0)
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(
            [HELHEIM[0], lon], [HELHEIM[1], lat]
        )
        columns, rows = ~Affine(*place.transform) * (np.array(x), np.array(y))
        step = np.array([columns[1] - columns[0], rows[1] - rows[0]])
        np.testing.assert_allclose(np.hypot(*(frame @ step)), 1000, rtol=2e-3)
        wanted = np.rad2deg(np.arctan2(step[0], -step[1]))
        assert abs((bearing_in(frame, wanted) - bearing + 180) % 360 - 180) < 0.3


def test_metres_of_web_mercator_are_those_of_the_ground():
    place = Place(
        "EPSG:3857", (30.0, 0.0, 0.0, 0.0, -30.0, Transformer.from_crs(4326, 3857).transform(69.15, 0)[1])
    )
    assert metres_per_pixel(frame_of(place, (10, 10))) == pytest.approx(10.7, abs=0.1)


@pytest.mark.parametrize("bearing", [0.0, 33.0, 90.0, 250.0])
def test_lines_go_to_the_view_and_back(bearing):
    frame = frame_of(placed("EPSG:4326", 15.0), (400, 600))
    pose = posed((400, 600), frame, bearing, 49.0)
    line = np.random.default_rng(0).uniform([0, 0], [399, 599], (40, 2))
    np.testing.assert_allclose(pose.to_image(pose.to_view(line)), line, atol=1e-6)
    inside = pose.to_view(line)
    assert (inside > -1).all()
    assert (inside < np.array(pose.size)).all()
    ratio = np.hypot(*(pose.to_view(line[:1]) - pose.to_view(line[1:2]))[0])
    ground = np.hypot(*(frame @ (line[0] - line[1])[::-1]))
    assert ratio == pytest.approx(ground / 49.0, rel=1e-6)


def test_a_view_shows_pixels_where_their_line_goes():
    image = np.zeros((400, 600), np.float32)
    spot = np.array([[120.0, 410.0]])
    image[110:131, 400:421] = 1.0
    pose = posed(image.shape, np.diag([15.0, -15.0]), 140.0, 49.0)
    view = pose.show(image)
    rows, columns = np.nonzero(np.nan_to_num(view) > 0.5)
    np.testing.assert_allclose([rows.mean(), columns.mean()], pose.to_view(spot)[0], atol=0.3)
    assert np.isnan(view[0, 0])  # outside the turned image
    back = pose.paint(np.nan_to_num(view))
    assert back[120, 410] > 0.8
    assert back.sum() == pytest.approx(image.sum(), rel=0.15)


def test_the_image_stays_as_it_is_where_nothing_is_to_be_done():
    image = np.random.default_rng(0).random((30, 40)).astype(np.float32)
    assert posed(image.shape, None, 0.0, 49.0).show(image) is image
    assert posed(image.shape, np.diag([49.5, -49.5]), 0.0, 49.0).show(image) is image


LINE = np.stack([150 + 12 * np.sin(np.arange(140) / 20), np.arange(140) + 30.0], axis=1)


def crop(width=5):
    """Ice (0.55) below a bright front, sea (0.25) above, walls (0.4) beside: 300 × 200 px of 49 m."""
    rows = np.arange(300)[:, None] * np.ones((300, 200))
    level = np.interp(np.arange(200), LINE[:, 1], LINE[:, 0])
    image = np.where(rows > level, 0.55, 0.25).astype(np.float32)
    image[:, :30] = image[:, 170:] = 0.4
    image[draw(LINE, (300, 200), width)] = 1.0
    return image


class Upright:
    """A network that sees bright edges and ice of 0.55, and answers only where ice is below the sea."""

    def __call__(self, windows):
        raw = (windows[:, 0] + 1) / 2
        ice = (np.abs(raw - 0.4) < 0.12).astype(np.float32)
        edge = np.clip(raw * 4 - 3, 0, 1)
        rows = np.arange(raw.shape[1])[None, :, None]
        middle = (rows * ice).sum((1, 2)) / np.maximum(ice.sum((1, 2)), 1)
        sea = raw < 0.12
        away = (rows * sea).sum((1, 2)) / np.maximum(sea.sum((1, 2)), 1)
        answers = np.clip((middle - away) / 200, 0, 1)[:, None, None]
        return np.stack([edge * answers, ice], axis=1).astype(np.float32)


def delivered(bearing, metres, width=5):
    """The crop as a north-up image in which its ice flows to `bearing`, with the true line."""
    pose = posed((300, 200), np.diag([49.0, -49.0]), -bearing, metres)
    return pose.show(crop(width)), pose.to_view(LINE), np.diag([metres, -metres])


@pytest.mark.parametrize(("bearing", "metres"), [(0.0, 49.0), (77.0, 30.0), (200.0, 30.0), (301.0, 98.0)])
def test_the_turn_and_the_scale_of_the_training_are_found(bearing, metres):
    image, truth, frame = delivered(bearing, metres)
    rules = Rules(mask_ratio=1e9)
    search = PoseSearch(
        Predictor(Upright(), rules, True), Predictor(Upright(), rules, True), Training(True, 49.0)
    )
    found = survey(image, frame, search, search.bearings(None), 2000, 96, 1)
    assert abs((found.fronts[0].bearing - bearing + 180) % 360 - 180) <= 45
    error = score([found.fronts[0].line], [truth], image.shape, None, frame)
    assert error.pooled_m.mean() < 3 * 49
    assert found.edge.shape == image.shape
    told = search.at(image, frame, bearing)
    assert score([told.fronts[0].line], [truth], image.shape, None, frame).pooled_m.mean() < 2 * 49
    astray = search.at(image, frame, bearing + 180)  # as told, and wrong: the network answers nothing
    assert not astray.fronts


class Held:
    """A set of one image."""

    assumed = False

    def __init__(self, image):
        self.held = image

    def image(self, entry):
        return self.held


def test_a_large_scene_has_as_many_fronts_as_glaciers_each_with_its_direction():
    scene, lines = np.full((384, 1400), 0.4, np.float32), {}
    for left, bearing in ((10, 30.0), (580, 200.0), (1030, 100.0)):
        image, line, _ = delivered(bearing, 49.0, 9)
        rows, columns = image.shape
        scene[10 : 10 + rows, left : left + columns] = np.where(np.isfinite(image), image, 0.4)
        lines[bearing] = np.add(line, (10, left))
    facts = {"pose": "up", "resolution": 49.0, "texture": 0.0}
    finder = Finder(Upright(), facts, PredictOptions())
    found = finder(Entry("scene", datetime(2015, 7, 1), scene.shape, resolution=49.0), Held(scene))
    assert len(found.fronts) == 3
    for bearing, line in lines.items():
        near = min(found.fronts, key=lambda f: np.hypot(*(f.line.mean(axis=0) - line.mean(axis=0))))
        assert abs((near.bearing - bearing + 180) % 360 - 180) <= 45
        assert score([near.line], [line], scene.shape, None, np.diag([49.0, -49.0])).pooled_m.mean() < 3 * 49


def test_contrast_is_of_ice_behind_and_sea_before():
    mask = np.zeros((80, 100), np.float32)
    mask[40:] = 1
    line = np.stack([np.full(60, 40.0), np.arange(20.0, 80.0)], axis=1)
    assert contrast(mask, line) == pytest.approx(1.0)
    assert contrast(mask, line[::-1]) == pytest.approx(1.0)  # whichever end comes first
    assert contrast(1 - mask, line) == pytest.approx(-1.0)
    assert contrast(mask, line + np.array([25, 0])) == pytest.approx(0.0)
    known = np.ones_like(mask)
    known[:35] = 0  # no image before the line: it is the border of the valid pixels that it follows
    assert contrast(mask, line, known) == 0.0
    known[:, 45:] = 1  # seen on both sides along more than half of it
    assert contrast(mask, line, known) == pytest.approx(1.0)
    assert contrast(mask[38:], line - np.array([38, 0])) == 0.0  # the border of the image is one too


def test_only_directions_near_a_rough_one_are_tried():
    image, truth, frame = delivered(77.0, 30.0)
    predictor = Predictor(Upright(), Rules(mask_ratio=1e9), True)
    search = PoseSearch(predictor, predictor, Training(True, 49.0))
    near, away = (survey(image, frame, search, search.bearings(b, 60.0), 2000, 96, 1) for b in (120.0, 257.0))
    assert score([near.fronts[0].line], [truth], image.shape, None, frame).pooled_m.mean() < 3 * 49
    assert not away.fronts


def front(edge, contrast=1.0, length=140.0):
    return Front(LINE, 0.5, "whole", along=np.full(20, edge), contrast=contrast, length=length)


def test_doubt_grows_as_edge_contrast_and_length_fall():
    sure, weak, flat = (confidence(front(edge, parted)) for edge, parted in ((0.98, 1), (0.3, 1), (0.98, 0)))
    assert sure > FLAGGED > weak
    assert flat == 0  # the mask parts nothing there
    short = Found((front(0.98, length=30.0),), np.zeros((9, 9)), np.zeros((9, 9)))
    assert "short (30 pixels" in judged(short, 0.03).fronts[0].doubt[0]  # in doubt, and still reported
    found = Found((front(0.98), front(0.3, 0.1)), np.zeros((9, 9)), np.zeros((9, 9)))
    kept = judged(found, 0.0)
    assert kept.fronts[0].doubt == ()
    assert "uncertain along the line" in kept.fronts[1].doubt[0]
    assert "hardly parts ice from sea" in kept.fronts[1].doubt[0]
    gone = judged(found, weak + 0.01)
    assert len(gone.fronts) == 1
    assert "no front found" in gone.notes[0]
    told = replace(found, fronts=(replace(found.fronts[0], doubt=("scale unknown",)),))
    assert judged(told, 0.0).fronts[0].doubt == ("scale unknown",)


def test_images_unlike_the_training_are_told_in_words():
    image, training = np.random.default_rng(0).random((40, 40), np.float32), Training(True, 49.0)
    assert reasons_of(image, np.diag([30.0, -30.0]), training) == ()
    assert "scale unknown" in reasons_of(image, None, training)[0]
    assert "coarse: 250 m a pixel" in reasons_of(image, np.diag([250.0, -250.0]), training)[0]
    image[:35] = np.nan
    assert reasons_of(image, np.diag([30.0, -30.0]), training) == ("most of the image is missing",)
    rows, columns = np.mgrid[:300, :200]
    cloud = np.sin(rows / 40) + np.sin(columns / 30)
    assert "smoother than all images" in reasons_of(cloud, np.diag([49.0, -49.0]), training)[0]
    assert reasons_of(cloud, np.diag([49.0, -49.0]), Training(True, 49.0, texture=0.006)) == ()


def test_a_front_is_what_lies_between_the_walls():
    fjord = np.zeros((100, 200), bool)
    fjord[:, 50:150] = True
    line = np.stack([np.full(190, 50.0), np.arange(5.0, 195.0)], axis=1)
    along = np.where((line[:, 1] > 50) & (line[:, 1] < 150), 0.9, 0.2)
    found = Found((Front(line, 0.5, "whole", along=along),), np.zeros((100, 200)), np.zeros((100, 200)))
    inside = within(found, fjord).fronts[0]
    np.testing.assert_allclose(sorted(inside.line[[0, -1], 1]), [49, 150], atol=1)
    assert inside.along[5:-5].min() > 0.5
    short = Found((Front(line[60:130], 0.5, "whole"),), np.zeros((100, 200)), np.zeros((100, 200)))
    np.testing.assert_allclose(sorted(within(short, fjord).fronts[0].line[[0, -1], 1]), [49, 150], atol=1)
    elsewhere = Found((Front(line[:30], 0.5, "whole"),), np.zeros((100, 200)), np.zeros((100, 200)))
    outside = within(elsewhere, fjord)
    assert outside.fronts == ()
    assert "outside the fjord" in outside.notes[0]


@pytest.mark.parametrize("bad", ["upwards", "400", "nan", ""])
def test_directions_that_mean_nothing_are_refused(bad):
    with pytest.raises(ValueError, match="no direction"):
        bearing_of(bad)
    with pytest.raises(ValueError, match="no direction"):
        PrepareOptions(flow=bad)


def test_measures_of_doubt_against_closed_forms():
    rng = np.random.default_rng(0)
    sure = rng.random(20_000)
    right = rng.random(20_000) < sure
    assert calibration_error(sure, right) < 0.02
    assert calibration_error(np.full(1000, 0.9), np.arange(1000) < 500) == pytest.approx(0.4)
    errors = rng.random(5000)
    assert risk_area(-errors, errors) == pytest.approx(0.5, abs=0.02)  # perfect order of a uniform error
    assert risk_area(rng.random(5000), errors) == pytest.approx(1.0, abs=0.05)
    assert shares_flagged([True, False, True, False], [False, False, True, True]) == (0.5, 0.5)


def test_files_tell_the_flow(tmp_path):
    """A line, velocities along the axes of another CRS, and heights, of ice that flows to 110°."""
    from datetime import UTC, datetime

    from icectl.tasks.front.dataset import Entry
    from icectl.tasks.front.pose.direction import ROUGHLY, flow_from

    time = datetime(2001, 1, 1, tzinfo=UTC)
    entry = Entry("a", time, (200, 300), place=placed("EPSG:3413", shape=(200, 300)))
    geod = Geod(ellps="WGS84")
    ends = [geod.fwd(*HELHEIM, 110.0 + 180 * back, 4000.0)[:2] for back in (1, 0)]
    geopandas.GeoDataFrame(geometry=[shapely.LineString(ends)], crs="EPSG:4326").to_file(tmp_path / "c.gpkg")
    assert flow_from(tmp_path / "c.gpkg", entry) == (pytest.approx(110, abs=0.5), 0)
    assert flow_from(tmp_path / "c.gpkg", Entry("b", time, (200, 300))) == (None, 0)

    start, end = (Transformer.from_crs("EPSG:4326", 32624, always_xy=True).transform(*xy) for xy in ends)
    step = np.subtract(end, start) / 8000
    grid = Affine(200, 0, start[0] - 20_000, 0, -200, start[1] + 20_000)
    columns, rows = np.meshgrid(np.arange(200), np.arange(200))
    heights = 3000 - 20 * (columns * step[0] - rows * step[1])
    for name, bands in {
        "v": [400 * step[0] + 0 * heights, 400 * step[1] + 0 * heights],
        "dem": [heights],
    }.items():
        profile = {"driver": "GTiff", "count": len(bands), "dtype": "float32", "crs": "EPSG:32624"}
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", **profile, height=200, width=200, transform=grid
        ) as f:
            f.write(np.array(bands, np.float32))
    assert flow_from(tmp_path / "v.tif", entry) == (pytest.approx(110, abs=1), 0)
    assert flow_from(tmp_path / "dem.tif", entry) == (pytest.approx(110, abs=2), ROUGHLY)
    a, b, c, d, e, f = placed("EPSG:3413", shape=(200, 300)).transform
    far = Entry("c", time, (200, 300), place=Place("EPSG:3413", (a, b, c + 500_000, d, e, f)))
    assert flow_from(tmp_path / "v.tif", far)[0] is None
