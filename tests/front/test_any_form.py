"""Images, labels and sets of fronts in the forms that people's files have: the same front, or a refusal."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from PIL import Image
from rasterio.transform import from_origin
from writing import tif

from icectl.errors import DataError
from icectl.imagery.margins import without_margins
from icectl.tasks.front.files.compare import compare_fronts
from icectl.tasks.front.files.gis import PIXELS
from icectl.tasks.front.files.images import read_image
from icectl.tasks.front.files.labels import frame_in_pixels, read_label
from icectl.tasks.front.files.lengths import lengths_of
from icectl.tasks.front.files.pairs import find_pairs

ROWS, COLUMNS = 60, 80
PLACE = from_origin(500_000, 7_400_000, 30, 30)
CRS = "EPSG:32622"
DAY = datetime(2019, 7, 10, tzinfo=UTC)
ROW, COLUMN = np.mgrid[:ROWS, :COLUMNS]
FRONT = 30 + 4 * np.sin(np.arange(COLUMNS) / 8)
ICE = FRONT > ROW
GREY = np.where(ICE, 180, 50) + np.random.default_rng(0).integers(0, 40, ICE.shape)
LINE = shapely.LineString(
    np.stack([500_015 + 30 * np.arange(COLUMNS), 7_400_000 - 30 * (FRONT + 0.5)], axis=1)
)


def image(path, values=GREY, **about):
    return tif(path, np.asarray(values, about.pop("dtype", np.uint8)), PLACE, CRS, **about)


def vectors(path, shapes, layer=None, **columns):
    frame = gpd.GeoDataFrame(columns or {"id": range(len(shapes))}, geometry=shapes, crs=CRS)
    frame = frame if path.suffix != ".kml" else frame.to_crs("EPSG:4326")
    frame.to_file(path, layer=layer)
    return path


def side(north):
    """The polygon of one side of the front, half a pixel short of the border of the image."""
    edge = 7_400_000 - (0 if north else 30 * ROWS)
    return shapely.Polygon([*LINE.coords, (LINE.coords[-1][0], edge), (LINE.coords[0][0], edge)])


def raster(values, dtype=np.uint8, **about):
    return lambda folder: image(folder / "l.tif", values, dtype=dtype, **about)


def shapes(name, *given, **columns):
    return lambda folder: vectors(folder / name, list(given), **columns)


def layers(*names):
    def write(folder):
        for layer in names:
            given = side(True) if layer == "fjord" else LINE if layer == "front" else far(60)
            vectors(folder / "l.gpkg", [given], layer=layer)
        return folder / "l.gpkg"

    return write


def far(metres):
    return shapely.transform(LINE, lambda xy: xy + np.array([0, metres]))


LINED = np.roll(ICE, 1, axis=0) != ICE
LINED[0] = False
BLACK = np.stack([LINED * 0] * 3 + [LINED * 255])
COLOURED = np.stack([ICE * 255, ICE * 0, ~ICE * 255])
LABELS = {
    "a black line on nothing": raster(BLACK, photometric="RGB", alpha="YES"),
    "a line that alone has data": raster(LINED * 0 + 7, mask=LINED * np.uint8(255)),
    "red ice and a blue sea": raster(COLOURED, photometric="RGB"),
    "polygons of both sides": shapes("l.gpkg", side(True), side(False), kind=["ice", "Ocean"]),
    "a polygon of the sea": shapes("l.gpkg", side(False), cls=["ocean"]),
    "our own polygons": shapes("l.shp", side(True), side(False), Class=["glacier", "ocean"]),
    "KML": shapes("l.kml", LINE),
    "FlatGeobuf": shapes("l.fgb", LINE),
    "several days": shapes("l.gpkg", far(900), LINE, Date=["2018-07-10", "2019-07-10"]),
    "a fjord in another layer": layers("fjord", "front"),
    "a line in a frame": raster(LINED | (COLUMN < 2) | (COLUMN >= COLUMNS - 2)),
    "a mask short of the border": raster(ICE & (COLUMN >= 2)),
}


@pytest.mark.parametrize("form", LABELS)
def test_the_same_front_from_every_label(tmp_path, form):
    _, place = read_image(image(tmp_path / "i.tif"))
    label = read_label(LABELS[form](tmp_path), (ROWS, COLUMNS), place, day=DAY)
    (line,) = label.lines
    assert np.abs(line[:, 0] - np.interp(line[:, 1], np.arange(COLUMNS), FRONT)).mean() < 0.8
    assert np.ptp(line[:, 1]) > COLUMNS - 5
    if label.mask is not None:
        assert (label.mask == ICE).mean() > 0.99


REFUSED = {
    "sides without names": (shapes("l.gpkg", side(True), side(False)), "cover the whole image"),
    "another day": (
        shapes("l.gpkg", LINE, far(90), Date=["2018-07-10", "2017-07-10"]),
        "2 days, none of them 2019-07-10",
    ),
    "two layers of lines": (layers("centre", "front"), "several layers of lines: centre, front"),
    "ice 1, sea no data": (raster(ICE, nodata=0), "holds 1 and nothing else"),
    "an undeclared 255": (raster(np.where(COLUMN < 20, 255, ICE)), r"more than two classes \(0, 1, 255\)"),
    "a line over speckle": (raster(np.where(LINED, 255, (37 * ROW + 53 * COLUMN) % 180)), "more than two"),
    "ice away from the border": (raster(ICE & (ROW > 5) & (abs(COLUMN - 40) < 20)), "holds a closed mask"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_labels_that_do_not_say_the_front_are_refused(tmp_path, form):
    """Each had a front at the wrong place, or none."""
    _, place = read_image(image(tmp_path / "i.tif"))
    write, said = REFUSED[form]
    with pytest.raises(DataError, match=said):
        read_label(write(tmp_path), (ROWS, COLUMNS), place, day=DAY)


def test_layers_of_a_label_in_pixels_are_told_apart(tmp_path):
    """The first was taken, whatever it was."""
    for layer, shape in (
        ("fjord", shapely.box(0, -60, 80, 0)),
        ("front", shapely.LineString([(0, -9), (80, -9)])),
    ):
        gpd.GeoDataFrame(geometry=[shape], crs=PIXELS).to_file(tmp_path / "l.gpkg", layer=layer)
    assert frame_in_pixels(tmp_path / "l.gpkg", None, ("polygons",)).geometry.area.tolist() == [4800]
    (line,) = read_label(tmp_path / "l.gpkg", (ROWS, COLUMNS), None).lines
    np.testing.assert_allclose(line[:, 0], 8.5)


def test_paper_around_a_turned_map_is_a_gap_and_ice_that_saturates_is_not():
    paper = COLUMN < 10 + ROW / 3
    found = without_margins(np.where(paper, 255, GREY).astype(np.float32))
    assert np.isnan(found)[paper].mean() > 0.95
    assert np.isfinite(found)[~paper].all()
    assert np.isfinite(without_margins(np.where(ICE, 255, GREY).astype(np.float32))).all()


def many(*names, folder=""):
    def write(place):
        for name in names:
            image(place / folder / f"{name}.tif")

    return write


def of_planet(folder):
    image(folder / "20190710_143021_3B_AnalyticMS.tif", np.stack([GREY] * 4), dtype=np.uint16)
    image(folder / "20190710_143021_3B_udm2.tif", np.ones((8, ROWS, COLUMNS)))


def linked(folder):
    image(folder.parent / "elsewhere" / "a_20190710.tif")
    (folder / "link").symlink_to(folder.parent / "elsewhere")


FOLDERS = {
    "by day": (
        many("2019-07-10/image", "2019-08-11/image"), {"2019-07-10_image": 10, "2019-08-11_image": 11},
    ),
    "by year, month, day": (many("2019/07/10/image"), {"image": 10}),
    "a linked folder": (linked, {"a_20190710": 10}),
    "one image": (many("helheim_20190710_east"), {"helheim_20190710_east": 10}),
    "bands and classes": (many("20190710_red", "20190710_nir", "20190710_scl"), {"20190710_nir": 10}),
    "a quality layer": (many("20190710_nir08", "20190710_qa_pixel"), {"20190710_nir08": 10}),
    "polarisations": (many("20190710.data/Sigma0_HH", "20190710.data/Sigma0_HV"), {"Sigma0_HH": 10}),
    "Sentinel-2 of 10 m": (
        many("T22WEB_20190710T143021_B04_10m", "T22WEB_20190710T143021_B08_10m"),
        {"T22WEB_20190710T143021_B08_10m": 10},
    ),
    "Planet's mask": (of_planet, {"20190710_143021_3B_AnalyticMS": 10}),
    "months in German": (
        many("a_10_Juli_2019", "b_11._März_2019"), {"a_10_Juli_2019": 10, "b_11._M_rz_2019": 11},
    ),
    "six digits": (many("a_200512", "a_190710"), {"a_200512": None, "a_190710": None}),
}  # fmt: skip


@pytest.mark.parametrize("form", FOLDERS)
def test_each_image_once_under_its_own_day(tmp_path, form):
    write, wanted = FOLDERS[form]
    (tmp_path / "in").mkdir()
    write(tmp_path / "in")
    found = {
        p.id: p.time.day if p.dated else None for p in find_pairs(tmp_path / "in", into=tmp_path / "out")
    }
    assert found == wanted


def test_what_is_left_out_of_a_folder_is_said(tmp_path, caplog):
    many("a_20190710", "2020/b_20200811")(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "in" / "more.zip", "w") as packed:
        packed.writestr("c_20210911.tif", b"")
    pages = [Image.fromarray(np.uint8(GREY))] * 2
    pages[0].save(tmp_path / "in" / "b_20190711.tif", save_all=True, append_images=pages[1:])
    found = find_pairs(tmp_path / "in", into=tmp_path / "out")
    assert [p.id for p in found] == ["a_20190710", "b_20190711"]
    assert read_image(found[1].image)[0].shape == GREY.shape
    assert "b_20190711.tif holds 2 pages, and the first is read" in caplog.text
    assert "since others lie beside these: 2020" in caplog.text
    assert "more.zip is not looked into" in caplog.text


DAYS = ("2019-07-10", "2020-07-10", "2021-07-10")
MINE, THEIRS = ([far(a + b) for b in (0, -100, -300)] for a in (0, 200))


def halves(line):
    return [shapely.LineString(line.coords[:40]), shapely.LineString(line.coords[39:])]


def years(**more):
    return {"Year": [2019, 2020, 2021], "Month": [7] * 3, "Day": [10] * 3} | more


SETS = {
    "columns of year, month, day": ({}, THEIRS, years()),
    "dates of the image and of the drawing": ({}, THEIRS, {"Date": ["2022-01-01"] * 3, "SourceDate": DAYS}),
    "dates of a scene and of its file": ({}, THEIRS, {"Date": ["2022-01-01"] * 3, "Acquisition_Date": DAYS}),
    "dates of an image beside its maker's": ({}, THEIRS, {"date": ["2022-01-01"] * 3, "ImageDate": DAYS}),
    "dates in one of two columns": ({}, THEIRS, {"SourceDate": [None, None, DAYS[2]], "Date": DAYS}),
    "pieces": ({}, [h for line in THEIRS for h in halves(line)], {"Date": np.repeat(DAYS, 2)}),
    "parts": ({}, [shapely.MultiLineString(halves(line)) for line in THEIRS], {"Date": DAYS}),
    "numbers of glaciers": ({"GlacierID": ["001"] * 3}, THEIRS, {"Date": DAYS, "GlacierID": [1.0] * 3}),
    "names in capitals": ({"Name": ["Store"] * 3}, THEIRS, {"Date": DAYS, "Name": ["STORE"] * 3}),
    "rows without a name": (
        {"Name": ["Store", "Store", None]}, THEIRS, {"Date": DAYS, "Name": ["Store", "Store", None]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", SETS)
def test_the_same_distance_and_advance_from_every_set(tmp_path, form):
    ours, lines, theirs = SETS[form]
    mine = vectors(tmp_path / "a.gpkg", MINE, Date=DAYS, **ours)
    other = vectors(tmp_path / "b.gpkg", lines, **theirs)
    values = compare_fronts(mine, other).rows[0].values
    assert values["pairs"] == 3
    assert values["mean_m"] == pytest.approx(
        compare_fronts(mine, vectors(tmp_path / "c.gpkg", THEIRS, Date=DAYS)).rows[0].values["mean_m"],
        rel=0.02,
    )
    lengths = {(v.product, f"{v.day:%Y}"): v.metres for v in lengths_of([mine, other])}
    for year, change in (("2019", 200), ("2020", 100)):
        assert lengths["b", year] - lengths["a", "2019"] == pytest.approx(change, abs=3)


def test_points_are_no_set_of_fronts(tmp_path):
    """It ended in an IndexError."""
    points = vectors(tmp_path / "p.gpkg", [shapely.Point(500_000, 7_400_000)], Date=DAYS[:1])
    with pytest.raises(DataError, match=r"p\.gpkg holds points, and no line") as error:
        compare_fronts(points, points)
    assert "join each front's points to a line" in error.value.hint


@pytest.mark.parametrize("ask", [compare_fronts, lambda *files: lengths_of(files)])
def test_products_in_pixels_are_not_compared_in_metres(ask, tmp_path):
    """Our own products of images without a CRS ended in a ProjError that asked to be reported."""
    mine = gpd.GeoDataFrame({"Date": DAYS[:1]}, geometry=MINE[:1], crs=PIXELS)
    mine.to_file(tmp_path / "a.gpkg")
    with pytest.raises(DataError, match=r"a\.gpkg has no place on the ground: its CRS is 'pixels of the"):
        ask(tmp_path / "a.gpkg", tmp_path / "a.gpkg")


def test_lines_that_are_left_out_are_counted(tmp_path, caplog):
    mine = vectors(tmp_path / "a.gpkg", MINE, Date=DAYS)
    other = vectors(
        tmp_path / "b.gpkg",
        [*THEIRS, shapely.LineString([(600_000, 7_400_000), (600_900, 7_400_000)])],
        Date=["2019-07-10", "10.07.2020", "2021", "2021-07-10"],
    )
    compare_fronts(mine, other)
    assert (
        "2 of 4 lines of b.gpkg are left out: their 'Date' is no date of a day ('10.07.2020')" in caplog.text
    )
    lengths_of([mine, other])
    assert "1 of 5 fronts have no length" in caplog.text


def test_folders_of_a_kml_are_refused_as_layers(tmp_path):
    """The first alone was read: one date of three."""
    for day, line in zip(DAYS, MINE, strict=True):
        frame = gpd.GeoDataFrame({"Date": [day]}, geometry=[line], crs=CRS).to_crs("EPSG:4326")
        frame.to_file(tmp_path / "a.kml", driver="LIBKML", layer=day, mode="w" if day == DAYS[0] else "a")
    with pytest.raises(DataError, match="several layers of lines: 2019-07-10, 2020-07-10, 2021-07-10"):
        compare_fronts(tmp_path / "a.kml", tmp_path / "a.kml")
    one = f"{tmp_path / 'a.kml'}|layername={DAYS[1]}"
    assert compare_fronts(Path(one), Path(one)).rows[0].values["pairs"] == 1


def test_files_of_one_name_are_two_sets(tmp_path):
    """The second took the place of the first."""
    for folder, lines in (("mine", MINE), ("theirs", THEIRS)):
        (tmp_path / folder).mkdir()
        vectors(tmp_path / folder / "fronts.gpkg", lines, Date=DAYS)
    found = lengths_of([tmp_path / "mine" / "fronts.gpkg", tmp_path / "theirs" / "fronts.gpkg"])
    assert len({v.product for v in found}) == 2
    assert len(found) == 6
