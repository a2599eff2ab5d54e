"""What stands beside products: a page, a STAC item, styles for QGIS, and in each file what made it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from icectl.raster import Grid, write_cog
from icectl.raster.provenance import made_by
from icectl.report.colours import Scale
from icectl.report.page import write_prediction
from icectl.report.panels import Frame as Moment
from icectl.report.panels import Layer, Map, TimeMaps, moved, pack, unpack
from icectl.report.pictures import legend
from icectl.report.sidecars import write_item, write_styles
from icectl.workspace import write_json

GRID = Grid((40, 60), Affine(30, 0, 400_000, 0, -30, 5_200_000), "EPSG:32632")


@pytest.fixture
def folder(tmp_path):
    """A run with a prediction that holds one raster."""
    made = tmp_path / "run" / "predictions" / "place-1"
    made.mkdir(parents=True)
    ramp = np.linspace(0, 100, 2400, dtype=np.float32).reshape(40, 60)
    with made_by({"software": "icectl 1.0", "run": "abc"}):
        write_cog(made / "thickness.tif", ramp, GRID, tags={"units": "m"})
    saved = {"model": "m", "task": "bed", "glacier": {"name": "g"}, "options": {}, "inputs": {}, "seed": 0}
    more = {
        "schema": 1,
        "fingerprint": "f",
        "command": "",
        "distribution": "d",
        "version": "1",
        "scenes": None,
    }
    write_json(tmp_path / "run" / "run.json", {**saved, **more})
    return made


def panels(folder: Path) -> list[Map]:
    layer = Layer(file=str(folder / "thickness.tif"))
    return [Map(title="Thickness", layer=layer, unit="m", colours="thickness", low=0)]


def test_a_raster_says_what_made_it(folder):
    with rasterio.open(folder / "thickness.tif") as file:
        tags = file.tags()
    assert (tags["software"], tags["run"], tags["units"]) == ("icectl 1.0", "abc", "m")


def test_the_item_is_valid_stac_with_its_place_and_dates(folder):
    import pystac

    dates = ["2020-01-01", "2020-02-07T10:00:00+00:00"]
    (folder / "by_date.svg").write_text("<svg/>")
    path = write_item(folder, "one", {"software": "icectl 1.0", "weights": ""}, dates)
    item = pystac.Item.from_file(str(path))
    item.validate()  # pystac brings the schemas
    move = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    expected = move.transform_bounds(400_000, 5_198_800, 401_800, 5_200_000)
    assert item.bbox == pytest.approx(list(expected), abs=1e-4)
    assert item.properties["start_datetime"] == "2020-01-01T00:00:00Z"
    assert item.properties["icectl:software"] == "icectl 1.0"
    assert "icectl:weights" not in item.properties
    assert list(item.assets) == ["by_date.svg", "thickness.tif"]
    assert Path(path.parent, item.assets["thickness.tif"].href).is_file()


def test_an_item_without_a_place_has_no_geometry(tmp_path):
    write_cog(tmp_path / "v.tif", np.ones((4, 4), np.float32), Grid((4, 4), Affine(1, 0, 0, 0, -1, 4), None))
    item = json.loads(write_item(tmp_path, "pixels", {}).read_text())
    assert item["geometry"] is None
    assert "bbox" not in item


def test_styles_carry_the_colours_of_the_page(folder):
    write_styles(folder, panels(folder))
    style = ElementTree.parse(folder / "thickness.qml").getroot()
    steps = style.findall(".//colorrampshader/item")
    assert [float(steps[k].get("value")) for k in (0, -1)] == pytest.approx([0, 98], abs=0.5)
    assert steps[0].get("color") == "#440154"


def test_rasters_that_the_page_does_not_show_have_the_style_of_their_kind(folder):
    """The page shows three glaciers of many, and the first forecast; QGIS opens any of them."""
    near = {"one/thickness.tif": {"units": "m"}, "thickness_late.tif": {"quantity": "NDSI, cut"}, "x.tif": {}}
    near["first.tif"] = {"quantity": "NDSI, whole"}
    for name, tags in near.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_cog(folder / name, np.full((40, 60), 5, np.float32), GRID, tags=tags)
    shown = Map(title="", layer=Layer(file=str(folder / "first.tif")), colours="snow", low=0, high=1)
    write_styles(folder, [*panels(folder), shown])
    styles = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.qml")}
    assert styles["one/thickness.qml"] == styles["thickness.qml"]
    assert styles["thickness_late.qml"] == styles["first.qml"]
    assert "x.qml" not in styles


def test_a_file_outside_keeps_its_path_when_the_folder_moves_into_place(tmp_path):
    """A stage is built aside, one folder deeper than where it will stand."""
    aside, home = tmp_path / "p" / ".box" / "new", tmp_path / "p" / "place"
    layers = [str(aside / "a.tif"), str(tmp_path / "images" / "b.tif")]
    moments = tuple(Moment(label="x", prediction=Layer(file=file)) for file in layers)
    panels = [TimeMaps(title="t", frames=moments)]
    for packed in (
        pack(panels, aside, home),
        moved(pack(panels, aside), aside, home),
        moved(pack(panels), aside, home),
    ):
        found = unpack(packed[0])
        assert [f.prediction.file for f in found.frames] == ["a.tif", "../../images/b.tif"]


def test_the_page_links_to_its_files_and_shows_what_was_noted(folder):
    write_json(folder / "panels.json", {"panels": pack(panels(folder), folder)})
    (folder / "by_date.svg").write_text("<svg/>")
    notes = {"cards": [["ice volume", "3 km³", "90 %: 1 to 9"]], "warnings": ["<b>thin</b>"], "glaciers": 2}
    record = {
        "stage": "predict", "model": "m", "task": "bed", "glacier": "South", "fingerprint": "f",
        "options": {"rounds": 5}, "inputs": {}, "notes": notes, "outputs": [], "meter": {"seconds": 2.0},
        "command": "icectl predict m", "versions": {"icectl": "1.0"},
    }  # fmt: skip
    write_json(folder / "stage.json", record)
    page = write_prediction(folder).read_text()
    assert "Ice thickness and bed: South" in page
    assert '<a href="thickness.tif">' in page
    assert '<a href="by_date.svg">' in page
    assert "3 km³" in page
    assert "&lt;b&gt;thin" in page
    assert "data:image/png" in page


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 117.3, ["0", "25", "50", "75", "100"]),
        (-0.6, 0.6, ["−0.50", "−0.25", "0.00", "0.25", "0.50"]),
        (0.0, 2.2e-15, ["0", "5e-16", "1e-15", "1.5e-15", "2e-15"]),
    ],
)
def test_colour_bars_have_round_ticks(low, high, ticks):
    assert [text for text, _ in legend(Scale("thickness", low, high), "m", "")["ticks"]] == ticks
