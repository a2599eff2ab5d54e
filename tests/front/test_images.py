"""Images and labels of every kind, pairs and their refusals."""

from __future__ import annotations

import cv2
import geopandas
import numpy as np
import pytest
import shapely
from rasterio.transform import from_origin
from writing import tif

from icectl.errors import DataError, UsageError
from icectl.imagery.margins import without_margins
from icectl.tasks.front.files.gis import PIXELS
from icectl.tasks.front.files.images import read_image
from icectl.tasks.front.files.labels import label_from_raster, read_label
from icectl.tasks.front.files.pairs import find_pairs
from icectl.tasks.front.line.lines import draw, length
from icectl.tasks.front.metrics import score
from icectl.tasks.front.prepare import is_power

SHAPE = (60, 80)
LINE = np.stack([30 + 4 * np.sin(np.arange(50) / 8), np.arange(50) + 15.0], axis=1)
TRANSFORM = from_origin(500_000, 7_400_000, 30, 30)


def grey():
    return (np.random.default_rng(0).random(SHAPE) * 200 + 20).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("one.png", lambda g: g),
        ("three.png", lambda g: np.dstack([g] * 3)),
        ("four.png", lambda g: np.dstack([g, g, g, np.full_like(g, 255)])),
        ("sixteen.png", lambda g: g.astype(np.uint16) * 200),
        ("one.tif", lambda g: g),
        ("float.tif", lambda g: g.astype(np.float32)),
    ],
)
def test_images_of_1_3_4_bands_and_16_bits(tmp_path, name, make):
    path = tmp_path / name
    cv2.imwrite(str(path), make(grey()))
    values, place = read_image(path)
    scale = 200.0 if name.startswith("sixteen") else 1.0
    assert place is None
    np.testing.assert_allclose(values, grey() * scale)


def test_transparent_pixels_are_invalid(tmp_path):
    alpha = np.full(SHAPE, 255, np.uint8)
    alpha[:10] = 0
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([grey()] * 3 + [alpha]))
    values, _ = read_image(tmp_path / "a.png")
    assert np.isnan(values[:10]).all()
    assert np.isfinite(values[10:]).all()


def test_a_fourth_band_of_light_is_no_transparency(tmp_path):
    light = np.where(np.arange(SHAPE[0])[:, None] < 30, 0, grey())
    write_tif(tmp_path / "rgbn.tif", np.stack([grey(), grey(), grey(), light]), photometric="MINISBLACK")
    values, _ = read_image(tmp_path / "rgbn.tif")
    np.testing.assert_allclose(values, (3.0 * grey() + light) / 4, rtol=1e-6)
    opacity = np.where(np.arange(SHAPE[0])[:, None] < 30, 0, 255) + 0 * grey()
    write_tif(tmp_path / "rgba.tif", np.stack([grey(), grey(), grey(), opacity]).astype(np.uint8))
    assert np.isnan(read_image(tmp_path / "rgba.tif")[0]).mean() == 0.5


def test_colours_of_a_palette_and_undeclared_voids(tmp_path):
    from PIL import Image

    picture = Image.fromarray(grey() // 64)
    picture.putpalette([0, 0, 0, 240, 240, 240, 120, 120, 120, 60, 60, 60])
    picture.save(tmp_path / "p.png")
    np.testing.assert_allclose(read_image(tmp_path / "p.png")[0], np.array([0, 240, 120, 60])[grey() // 64])
    decibels = grey().astype(np.float32) / 10 - 20
    decibels[:5, :5] = -9999
    write_tif(tmp_path / "f.tif", decibels)
    values, _ = read_image(tmp_path / "f.tif")
    assert np.isnan(values[:5, :5]).all()
    assert np.nanmin(values) == decibels[5:].min()


def test_labels_of_the_image_s_size_that_lie_elsewhere_are_refused(tmp_path):
    write_tif(tmp_path / "i.tif", grey())
    write_tif(
        tmp_path / "l.tif",
        np.uint8(np.arange(80) < 40) + 0 * grey(),
        transform=from_origin(503_000, 7_400_000, 30, 30),
    )
    _, place = read_image(tmp_path / "i.tif")
    with pytest.raises(DataError, match=r"l\.tif has the size of its image but lies elsewhere"):
        read_label(tmp_path / "l.tif", SHAPE, place)


@pytest.mark.parametrize("turned", [False, True])
def test_a_label_is_read_as_classes_with_nodata_and_north_up(tmp_path, turned):
    mask = np.zeros(SHAPE, np.uint8)
    mask[:20], mask[:, :4] = 1, 255
    transform = from_origin(500_000, 7_400_000, 30, 30)
    if turned:
        mask, transform = (
            mask[::-1].copy(),
            TRANSFORM @ TRANSFORM.translation(0, SHAPE[0]) @ TRANSFORM.scale(1, -1),
        )
    write_tif(tmp_path / "l.tif", mask, nodata=255, scales=(0.5,), transform=transform)
    label = read_label(tmp_path / "l.tif", SHAPE, None)
    assert label.mask is not None
    assert label.mask.sum() == 20 * 76
    assert label.mask[0, 10]


def test_five_bands_need_a_choice(tmp_path):
    write_tif(tmp_path / "five.tif", np.stack([grey() + i for i in range(5)]))
    with pytest.raises(DataError, match="has 5 bands"):
        read_image(tmp_path / "five.tif")
    values, place = read_image(tmp_path / "five.tif", band=3)
    np.testing.assert_allclose(values, grey() + 2)
    assert place.crs == "EPSG:32622"


def write_tif(path, bands, transform=TRANSFORM, **about):
    return tif(path, bands, transform, "EPSG:32622", **about)


def test_dark_wedges_at_the_border_are_gaps():
    image = grey().astype(np.float32)
    image[50:] = 3
    image[20:30, 30:45] = 3  # dark water inside is none
    found = without_margins(image)
    assert np.isnan(found[52:]).all()
    assert np.isfinite(found[20:30, 30:45]).all()
    assert np.isfinite(without_margins(grey().astype(np.float32))).all()


def test_margins_of_compressed_images_and_dark_water_are_told_apart():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:200, :300]
    image = 120 + 20 * rng.random((200, 300), np.float32)
    wedge = columns < 0.5 * rows  # of a scene that was turned: nearly black, not constant
    image[wedge] = rng.integers(0, 3, int(wedge.sum()))
    assert np.isnan(without_margins(image))[wedge].mean() > 0.95
    coast = 60 + 25 * np.sin(columns / 9) + 12 * np.sin(columns / 3.1)
    water = np.where(rows < coast, 0.0, image + 50).astype(np.float32)
    assert np.isfinite(without_margins(water)[:30]).all()


def test_zeros_around_decibels_are_gaps():
    """They are brighter than the scene: their edge was found as a front, kilometres off."""
    rows, columns = np.mgrid[:200, :300]
    image = np.random.default_rng(0).normal(-12, 3, (200, 300)).astype(np.float32)
    wedge = columns < 0.5 * rows
    image[wedge] = 0
    found = without_margins(image)
    assert np.isnan(found[wedge]).mean() > 0.97
    assert np.isfinite(found[~wedge]).mean() > 0.99
    assert np.isfinite(without_margins(image + 40)[~wedge]).all()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("SR_B4", "SR_B3", "QA_PIXEL"), (0, 1)),
        (("VV", "VH", "angle"), (0, 1)),
        (("VV", "angle"), (0,)),
        ((None, None, None), (0, 1, 2)),
    ],
)
def test_layers_about_the_image_are_no_part_of_its_grey(tmp_path, words, shown):
    bands = np.stack([grey(), grey()[::-1], 20 * grey().astype(int)])[: len(words)].astype(np.float32)
    write_tif(tmp_path / "a.tif", bands, descriptions=words)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif")[0], bands[list(shown)].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "stored", "power"),
    [
        ("S1A_IW_20200715_VV.tif", lambda power: power.astype(np.float32), True),
        ("S1A_IW_20200715_VV.tif", lambda power: (10 * np.log10(power)).astype(np.float32), False),
        (
            "S1A_IW_20200715_VV.tif",
            lambda power: np.clip(np.log10(power) / 3 + 1, 0, 1).astype(np.float32),
            False,
        ),
        ("LC08_20200715_B5.tif", lambda power: power.astype(np.float32), False),
        ("S1A_IW_20200715_VV.tif", lambda power: np.clip(power * 255, 0, 255).astype(np.uint8), False),
    ],
)
def test_backscatter_is_known_by_name_and_numbers(tmp_path, name, stored, power):
    rng = np.random.default_rng(0)
    scene = 10 ** rng.uniform(-2.4, -0.4, (60, 80)) * rng.gamma(4, 1 / 4, (60, 80))
    write_tif(tmp_path / name, stored(scene))
    image, _ = read_image(tmp_path / name)
    assert is_power(tmp_path / name, image) == power


@pytest.mark.parametrize("bright", [True, False])
@pytest.mark.parametrize("width", [1, 3])
def test_drawn_lines_dark_or_bright(bright, width):
    raster = np.where(draw(LINE, SHAPE, width) == bright, 255, 0)
    label = label_from_raster(raster)
    assert label.mask is None
    assert len(label.lines) == 1
    assert score(label.lines, [LINE], SHAPE).pooled.mean() < 0.5


def test_masks_give_mask_and_line():
    mask = np.zeros(SHAPE)
    mask[30:] = 7
    label = label_from_raster(mask)
    assert label.mask.sum() == 30 * 80
    assert length(label.lines[0]) == pytest.approx(79, abs=1)
    assert abs(np.median(label.lines[0][:, 0]) - 30) <= 1


def test_empty_label_has_no_front_and_several_lines_are_all_kept():
    assert label_from_raster(np.zeros(SHAPE)).lines == ()
    raster = draw(LINE, SHAPE) | draw(LINE[:20] + np.array([20, 0]), SHAPE)
    lines = label_from_raster(raster).lines
    assert len(lines) == 2
    assert length(lines[0]) > length(lines[1])


def test_label_of_another_size_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "l.png"), np.zeros((20, 30), np.uint8))
    with pytest.raises(DataError, match="20 × 30 pixels, its image 60 × 80"):
        read_label(tmp_path / "l.png", SHAPE, None)


def test_vector_labels_meet_the_image(tmp_path):
    write_tif(tmp_path / "i.tif", grey()[None])
    _, place = read_image(tmp_path / "i.tif")
    x, y = 500_000 + (LINE[:, 1] + 0.5) * 30, 7_400_000 - (LINE[:, 0] + 0.5) * 30
    frame = geopandas.GeoDataFrame(geometry=[shapely.LineString(np.stack([x, y], 1))], crs="EPSG:32622")
    frame.to_crs("EPSG:3413").to_file(tmp_path / "l.gpkg")
    label = read_label(tmp_path / "l.gpkg", SHAPE, place)
    np.testing.assert_allclose(label.lines[0], LINE, atol=0.01)


def test_vector_polygons_are_masks(tmp_path):
    write_tif(tmp_path / "i.tif", grey()[None])
    _, place = read_image(tmp_path / "i.tif")
    box = shapely.box(500_000, 7_400_000 - 60 * 30, 500_000 + 80 * 30, 7_400_000 - 30 * 30)
    geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32622").to_file(tmp_path / "l.gpkg")
    label = read_label(tmp_path / "l.gpkg", SHAPE, place)
    assert label.mask[30:].all()
    assert not label.mask[:30].any()


def vectors(path, shape, crs="EPSG:32622"):
    """Write one shape given in (column, row) of the image at `TRANSFORM`, or as it is in pixels."""
    moved = (
        shapely.transform(shape, lambda xy: np.stack(TRANSFORM * tuple(xy.T), 1)) if crs != PIXELS else shape
    )
    geopandas.GeoDataFrame(geometry=[moved], crs=crs).to_file(path)
    return path


BOX = shapely.LinearRing([[10, 10], [60, 10], [60, 40], [10, 40]])


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (shapely.LineString([[100, 10], [120, 10]]), "lie outside their image.* 100, 10, 120, 10"),
        (shapely.MultiPoint([[10, 10], [20, 12]]), "holds points"),
        (shapely.LineString(BOX), "a closed line within the image"),
        (shapely.Polygon(BOX), "a closed polygon within the image"),
    ],
)
def test_shapes_that_are_no_front_of_the_image_are_refused(tmp_path, shape, said):
    """They counted as images without a front, or with the far sides of a box as one."""
    write_tif(tmp_path / "i.tif", grey()[None])
    _, place = read_image(tmp_path / "i.tif")
    with pytest.raises(DataError, match=said):
        read_label(vectors(tmp_path / "l.gpkg", shape), SHAPE, place)


def test_lines_of_our_own_products_in_pixels_are_labels(tmp_path):
    line = shapely.LineString(np.stack([LINE[:, 1] + 0.5, -LINE[:, 0] - 0.5], 1))
    label = read_label(vectors(tmp_path / "l.gpkg", line, PIXELS), SHAPE, None)
    np.testing.assert_allclose(label.lines[0], LINE, atol=1e-6)


def zones():
    """Rock above row 20, glacier left of column 40, ocean right of it, and a corner of no data."""
    values = np.full(SHAPE, 64, np.uint8)
    values[20:, :40], values[20:, 40:], values[50:, 70:] = 127, 254, 0
    return values


def test_fronts_of_caffes_zones_lie_between_glacier_and_ocean():
    label = label_from_raster(zones())
    np.testing.assert_array_equal(label.mask, zones() == 127)
    assert length(label.lines[0]) == pytest.approx(SHAPE[0] - 20, abs=4)
    assert np.abs(label.lines[0][:, 1] - 39.5).max() < 1


def test_masks_of_more_classes_are_refused():
    """Half of the range parted them, and the coast was a front."""
    classes = np.searchsorted([0, 64, 127, 254], zones()).astype(np.uint8)
    with pytest.raises(DataError, match=r"more than two classes \(0, 1, 2, 3\)"):
        label_from_raster(classes)
    mask = np.where(zones() == 127, 255, 0).astype(np.uint8)
    assert label_from_raster(cv2.GaussianBlur(mask, (3, 3), 0)).mask.any()


def folder(tmp_path, images, labels):
    for kind, names in (("i", images), ("l", labels)):
        (tmp_path / kind).mkdir(parents=True)
        for name in names:
            cv2.imwrite(str(tmp_path / kind / name), grey())
    return tmp_path / "i", tmp_path / "l"


def test_pairs_by_name_date_and_sensor(tmp_path):
    stem = "LE07_L1TP_233013_20050808_20170420_01_T1_B8"
    i, l_ = folder(
        tmp_path,
        [f"{stem}_Subset.png", "x_20010203_Subset.png"],
        [f"{stem}_Front.png", "x_20010203_Front.png"],
    )
    pairs = find_pairs(i, l_, wrs_glaciers={"helheim": ["233013"]})
    assert [p.time.year for p in pairs] == [2001, 2005]
    assert pairs[1].facts == {
        "year": "2005", "sensor": "LE07", "wrs": "233013", "slc_off": "yes", "glacier": "helheim",
    }  # fmt: skip
    assert pairs[0].label.name == "x_20010203_Front.png"


def test_a_table_adds_conditions(tmp_path):
    i, _ = folder(tmp_path, ["a_2001.png", "b_2002.png"], [])
    (tmp_path / "t.csv").write_text("image,glacier,clouds\na_2001.png,helheim,yes\nb,store,no\n")
    facts = [p.facts for p in find_pairs(i, None, tmp_path / "t.csv")]
    assert [(f["glacier"], f["clouds"]) for f in facts] == [("helheim", "yes"), ("store", "no")]
    more, _ = folder(tmp_path / "more", ["x_1.png", "x_10.png"], [])
    (tmp_path / "t.csv").write_text("image,glacier,date\nx_1,helheim,2019-07-10\n")
    second, first = find_pairs(more, None, tmp_path / "t.csv")
    assert (first.id, f"{first.time:%Y-%m-%d}", first.dated) == ("x_1", "2019-07-10", True)
    assert (second.facts, second.dated) == ({}, False)  # had the row of x_1
    (tmp_path / "t.csv").write_text("name\na\n")
    with pytest.raises(DataError, match="no column 'image'"):
        find_pairs(i, None, tmp_path / "t.csv")


def test_unpaired_files_are_listed(tmp_path):
    i, l_ = folder(tmp_path, ["a.png", "b.png"], ["b.png", "c.png"])
    with pytest.raises(
        DataError, match=r"do not pair: 1 without a label \(a.png\); 1 without an image \(c.png\)"
    ):
        find_pairs(i, l_)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        find_pairs(tmp_path / "no")
    with pytest.raises(DataError, match="holds no images"):
        find_pairs(tmp_path)


def test_names_that_are_only_a_word_still_pair(tmp_path):
    i, _ = folder(tmp_path, ["a_image.png", "b_image.png"], [])
    assert [p.id for p in find_pairs(i)] == ["a", "b"]
    assert not any(p.dated for p in find_pairs(i))


def test_names_of_the_calfin_archive_say_glacier_sensor_date_path_and_row(tmp_path):
    for name in (
        "Kong-Oscar_LT05_L1TP_1985-07-09_019-007_T1_B4.png",
        "Helheim_LE07_L1TP_2003-07-09_233-013_T1_B4.png",
        "Nunatakassaap-Sermia_LC08_L1TP_2015-08-01_018-007_RT_B5.png",
    ):
        cv2.imwrite(str(tmp_path / name), np.arange(400, dtype=np.uint8).reshape(20, 20) % 200)
    found = find_pairs(tmp_path, wrs_glaciers={"here": ["018007"]})
    assert [(p.time.date().isoformat(), p.dated) for p in found] == [
        ("1985-07-09", True), ("2003-07-09", True), ("2015-08-01", True),
    ]  # fmt: skip
    facts = [p.facts for p in found]
    assert [f["glacier"] for f in facts] == ["kong-oscar", "helheim", "here"]
    assert [f["sensor"] for f in facts] == ["LT05", "LE07", "LC08"]
    assert [f["wrs"] for f in facts] == ["019007", "233013", "018007"]
    assert [f["slc_off"] for f in facts] == ["no", "yes", "no"]
    assert [f["year"] for f in facts] == ["1985", "2003", "2015"]


def test_names_of_other_alphabets_have_an_id_each_and_always_the_same(tmp_path):
    """Their letters are left out of ids: two were one id, and one without others changed with the process."""
    names = ("Ñ_2015-07-01", "Ü_2015-07-01", "冰川", "plain_2016-07-01")
    for name in names:
        (tmp_path / f"{name}.png").write_bytes(cv2.imencode(".png", grey())[1].tobytes())
    ids = {pair.image.stem: pair.id for pair in find_pairs(tmp_path)}
    assert ids["冰川"] == "image-5e8ce5f7"
    assert ids["plain_2016-07-01"] == "plain_2016-07-01"
    assert len(set(ids.values())) == 4
    assert all(one.isascii() for one in ids.values())
