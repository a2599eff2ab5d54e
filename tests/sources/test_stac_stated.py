"""What collections, servers and old or new STAC items say of their files; places across 180°."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pystac
import pytest
import shapely
from affine import Affine
from landsat_archive import BANDS, FIRST, HASTY, Archive, glacier, run_in, values
from pyproj import CRS, Transformer
from servers import BOX, SHAPE, landsat_item, stac_api, write_source

from icectl.errors import UsageError
from icectl.raster import grid_from_bbox, read_quantity, read_vectors, write_cog
from icectl.raster.vectors import box_in_degrees
from icectl.settings import Glacier, validate
from icectl.sources import stac
from icectl.sources.area import Area, area_of, grid_for, placed
from icectl.sources.catalogue import read_catalogue, write_catalogue
from icectl.sources.folder import scan_folder
from icectl.sources.options import SceneQuery
from icectl.sources.scene import Scene
from icectl.sources.search import search
from icectl.sources.stac import fetch_scenes

SCALED = {"raster:bands": [{"scale": 0.0002, "offset": -0.3, "nodata": 7}], "gsd": 30}
COLLECTION = {
    "type": "Collection", "stac_version": "1.1.0", "id": "ours", "description": "x", "license": "other",
    "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
    "links": [], "item_assets": {"green": SCALED, "swir16": SCALED},
}  # fmt: skip


def bare(files, *, name="one", epsg=32643, **layers):
    """An item of a private catalogue whose assets say nothing but where they are."""
    item = landsat_item(name, FIRST, files.url, bands={})
    item["collection"] = "ours"
    del item["properties"]["proj:transform"], item["properties"]["proj:epsg"]
    item["properties"]["proj:wkt2"] = CRS.from_epsg(epsg).to_wkt()
    for asset, array in layers.items():
        write_source(files.root / f"{name}_{asset}.tif", array)
        item["assets"][asset] = {"href": f"{files.url}/{name}_{asset}.tif"}
    return item


def test_a_private_catalogue_with_wkt_scl_and_no_geometry(files, tmp_path, monkeypatch):
    """Scale, offset, nodata and pixel size are the collection's; the scene classification screens."""
    green = np.full(SHAPE, 2500, "uint16")
    green[:, :100] = 7
    scl = np.full(SHAPE, 11, "uint8")
    scl[:, 100:200] = 9
    item = bare(files, green=green, scl=scl)

    def without_geometry(*asked):
        items = search(*asked)
        for one in items:
            one.geometry = None
        return items

    monkeypatch.setattr(stac, "search", without_geometry)
    with stac_api([item], tmp_path / "stac", "ours", item_assets=COLLECTION["item_assets"]) as url:
        run = run_in(tmp_path / "out", glacier())
        query = SceneQuery(api=url, collection="ours", max_cloud=100)
        out = fetch_scenes(run, query, ("green", "qa_pixel"), patience=HASTY)
    (scene,) = read_catalogue(out)
    assert set(scene.assets) == {"green", "scl"}
    band = scene.band("green")
    assert (band.scale, band.offset, band.nodata) == (0.0002, -0.3, 7)
    assert run.notes["fetch"]["scenes"] == 1
    assert scene.properties["icectl:cloud"] > 0


def test_a_collection_beside_says_what_items_leave_out(tmp_path, raster):
    raster(tmp_path / "one_green.tif", np.full((8, 8), 2500, "uint16"))
    item = landsat_item("one", FIRST, "x", bands={})
    item |= {"collection": "ours", "assets": {"green": {"href": "./one_green.tif"}}}
    (tmp_path / "collection.json").write_text(json.dumps(COLLECTION))
    (tmp_path / "one.json").write_text(json.dumps(item))
    (scene,) = scan_folder(tmp_path)
    assert (scene.band("green").scale, scene.band("green").offset) == (0.0002, -0.3)
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    (scene,) = read_catalogue(tmp_path)
    assert (scene.band("green").scale, scene.band("green").nodata) == (0.0002, 7)


def test_a_crs_by_wkt_projjson_or_code():
    for name, value in (
        ("proj:wkt2", CRS.from_epsg(32643).to_wkt()),
        ("proj:projjson", CRS.from_epsg(32643).to_json_dict()),
        ("proj:code", "EPSG:32643"),
    ):
        item = pystac.Item.from_dict(landsat_item("a", FIRST, "https://a.example"))
        item.properties = {k: v for k, v in item.properties.items() if k not in ("proj:code", "proj:epsg")}
        item.properties[name] = value
        assert placed(item, "green").crs == "EPSG:32643"
        del item.properties["proj:transform"]
        assert grid_for(Area(name="x", bbox=BOX), [placed(item, "green")]).affine.a == 30


def test_pixels_of_two_sides_keep_the_finer():
    """GLO-30 at 60 to 70° N: 1.5 by 1 second."""
    item = pystac.Item.from_dict(
        landsat_item("dem", FIRST, "https://a.example", bands={"data": "data"}, epsg=4326)
    )
    item.properties["proj:transform"] = [1 / 2400, 0, 15, 0, -1 / 3600, 63]
    grid = grid_for(Area(name="x", bbox=(15.1, 62.1, 15.2, 62.2)), [placed(item, "data")])
    assert (grid.affine.a, grid.affine.e) == pytest.approx((1 / 3600, -1 / 3600))


def test_boxes_and_footprints_across_180(tmp_path):
    here = validate(Glacier, {"name": "x", "bbox": (179.9, 66.0, -179.9, 66.1)}, "x")
    area = area_of(here)
    assert area.bbox == pytest.approx((179.9, 66, 180.1, 66.1))
    assert np.allclose(area.asked, [[179.9, 66, 180, 66.1], [-180, 66, -179.9, 66.1]])
    for west, east, met in (
        (-180, -179.95, True),
        (179.95, 180, True),
        (-179.8, -179, False),
        (0, 10, False),
    ):
        assert area.meets(shapely.geometry.mapping(shapely.box(west, 65, east, 67))) is met
    over = {"type": "Polygon", "coordinates": [[[179, 65], [-179, 65], [-179, 67], [179, 67], [179, 65]]]}
    assert area.meets(over)
    assert not Area(name="x", bbox=(0, 66, 1, 66.1)).meets(over)
    assert area.meets(None)
    grid = grid_from_bbox(area.bbox, "EPSG:32601", 30)
    assert grid.shape[1] * 30 == pytest.approx(0.2 * 111_320 * np.cos(np.deg2rad(66.05)), rel=0.08)
    with pytest.raises(UsageError, match="bbox"):
        validate(Glacier, {"name": "x", "bbox": (76.2, 32, 76.1, 33)}, "x")
    near = grid_from_bbox((179.99, 66, 180.01, 66.01), "EPSG:32601", 30)
    write_cog(path := tmp_path / "s.tif", np.ones(near.shape, "uint8"), near)
    write_catalogue(tmp_path, [Scene("s", FIRST, {"green": path})])
    (feature,) = json.loads((tmp_path / "items.json").read_text())["features"]
    west, _, east, _ = feature["bbox"]
    assert 179.9 < west < 180
    assert -180 < east < -179.9
    assert feature["geometry"]["type"] == "MultiPolygon"


def test_outlines_on_both_sides_of_180(tmp_path):
    parts = [shapely.box(179.9, 66, 180, 66.1), shapely.box(-180, 66, -179.9, 66.1)]
    geopandas.GeoDataFrame(geometry=parts, crs=4326).to_file(tmp_path / "o.gpkg")
    assert box_in_degrees(read_vectors(tmp_path / "o.gpkg")) == pytest.approx((179.9, 66, 180.1, 66.1))
    one = area_of(Glacier(name="x", outline=tmp_path / "o.gpkg"))
    grid = grid_from_bbox(one.bbox, "EPSG:32601", 30)
    assert one.inside(grid).mean() > 0.85


def test_elevation_in_degrees_needs_no_resolution():
    """GLO-30 by its number of pixels and its box, or by ``gsd`` alone."""
    item = pystac.Item.from_dict(
        landsat_item("dem", FIRST, "https://a.example", bands={"data": "data"}, epsg=4326)
    )
    item.bbox = [15.0, 62.0, 16.0, 63.0]
    del item.properties["proj:transform"]
    item.properties["proj:shape"] = [3600, 2400]
    area = Area(name="x", bbox=(15.1, 62.1, 15.2, 62.2))
    assert grid_for(area, [placed(item, "data")]).affine.a == pytest.approx(1 / 3600)
    del item.properties["proj:shape"]
    item.properties["gsd"] = 30
    assert grid_for(area, [placed(item, "data")]).affine.a == pytest.approx(30 / 111_320)


def test_scenes_across_180_are_fetched(tmp_path, files):
    """A scene of UTM zone 1 on both sides of 180°, for a box that is on both sides too."""
    there = Affine(30, 0, 360_015, 0, -30, 7_325_015)
    archive = Archive(files)
    archive.add(1, epsg=32601, transform=there)
    (item,) = archive.items
    lon = np.array([point[0] for point in item["geometry"]["coordinates"][0]])
    assert lon.max() > 179.9 > -179.9 > lon.min()
    south, north = item["bbox"][1], item["bbox"][3]
    parts = [shapely.box(179.93, south, 180, north), shapely.box(-180, south, -179.93, north)]
    item["geometry"] = shapely.geometry.mapping(shapely.MultiPolygon(parts))
    to = Transformer.from_crs("EPSG:32601", "EPSG:4326", always_xy=True)
    middle = to.transform(*(there * (140, 150)))
    assert abs(abs(middle[0]) - 180) < 0.1
    box = (
        (middle[0] - 0.02 + 180) % 360 - 180,
        middle[1] - 0.01,
        (middle[0] + 0.02 + 180) % 360 - 180,
        middle[1] + 0.01,
    )
    place = validate(Glacier, {"name": "here", "bbox": box}, "here")
    run = run_in(tmp_path / "out", place)
    with stac_api(archive.items, tmp_path / "stac") as url:
        fetch_scenes(run, SceneQuery(api=url, source="planetary-computer"), BANDS, patience=HASTY)
    (scene,) = read_catalogue(run.out)
    found = read_quantity(scene.asset("green"), "grey")
    col, row = ~there * (found.grid.affine.c, found.grid.affine.f)
    assert (col, row) == pytest.approx((round(col), round(row)))
    wanted = values(1, "green")[round(row) :, round(col) :][: found.grid.shape[0], : found.grid.shape[1]]
    np.testing.assert_allclose(found.values, wanted * 2.75e-5 - 0.2, rtol=1e-5)
