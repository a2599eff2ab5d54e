"""Sentinel-2, elevation and radar take the same path as Landsat."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
from affine import Affine
from landsat_archive import BANDS, FIRST, glacier, run_in
from servers import (
    SHAPE,
    landsat_item,
    write_source,
)

from icectl.raster import grid_of, read
from icectl.sources.catalogue import read_catalogue


def test_sentinel2_takes_the_same_path_with_its_offset(archive, fetch, files, tmp_path):
    """10 m green and 20 m short-wave infrared meet on 20 m; the offset of −1000 is in the catalogue."""
    fine = Affine(10, 0, 600_000, 0, -10, 3_570_000)
    coarse = Affine(20, 0, 600_000, 0, -20, 3_570_000)
    green = np.arange(900 * 840, dtype="uint32").reshape(900, 840) % 5000 + 1500
    swir = np.full((450, 420), 2000, "uint16")
    scl = np.full((450, 420), 11, "uint8")
    for name, baseline in (("new", "05.09"), ("old", "02.14")):
        layers = {"B03": (green.astype("uint16"), fine), "B11": (swir, coarse), "SCL": (scl, coarse)}
        assets = {}
        for key, (array, transform) in layers.items():
            path = write_source(files.root / f"{name}_{key}.tif", array, transform=transform)
            assets[key] = {
                "href": f"{files.url}/{path.name}",
                "proj:transform": list(transform)[:6],
                "proj:shape": list(array.shape),
            }
        item = landsat_item(
            name, FIRST + timedelta(days=len(baseline) * (name == "old")), "", platform="Sentinel-2A"
        )
        item["collection"], item["assets"] = "sentinel-2-l2a", assets
        item["properties"] |= {"s2:processing_baseline": baseline, "s2:mgrs_tile": "43SFS"}
        del item["properties"]["proj:transform"], item["properties"]["proj:shape"]
        archive.items.append(item)
    out = fetch(collection="sentinel-2-l2a", bands=BANDS, end=date(2019, 7, 1))
    scenes = {scene.id: scene for scene in read_catalogue(out)}
    assert set(scenes) == {"new", "old"}
    assert set(scenes["new"].assets) == {"green", "swir16", "scl"}
    assert scenes["new"].band("green").offset == -0.1
    assert scenes["old"].band("green").offset == 0
    assert scenes["new"].band("green").scale == 1e-4
    grid = grid_of(scenes["new"].asset("green"))
    assert grid == grid_of(scenes["new"].asset("swir16"))
    assert grid.affine.a == 20
    got = read(scenes["new"].asset("green"))
    mean = green.reshape(450, 2, 420, 2).mean(axis=(1, 3))
    row, col = round((coarse.f - grid.affine.f) / 20), round((grid.affine.c - coarse.c) / 20)
    want = mean[row : row + got.shape[0], col : col + got.shape[1]]
    assert np.abs(got - want).max() <= 0.5 + 1e-6  # rounding to whole numbers


def test_elevation_tiles_become_one_scene_without_a_seam(archive, fetch, files, tmp_path):
    """Copernicus tiles in degrees: heights follow a plane, so every pixel's truth is known."""
    step, west = 1 / 3600, 76.1
    for number, name in enumerate(("Copernicus_W", "Copernicus_E")):
        transform = Affine(step, 0, west - 0.1 + 0.1 * number, 0, -step, 32.3)
        rows, columns = np.mgrid[:500, :360] + 0.5
        height = 1000 + 4000 * (transform.c + columns * step - 76) + 3000 * (32.3 - rows * step - 32)
        write_source(
            files.root / f"{name}_data.tif",
            height.astype("float32"),
            nodata=None,
            epsg=4326,
            transform=transform,
        )
        item = landsat_item(
            name,
            datetime(2021, 4, 22, tzinfo=UTC),
            files.url,
            bands={"data": "data"},
            epsg=4326,
            transform=transform,
            shape=(500, 360),
        )
        item["collection"] = "cop-dem-glo-30"
        item["assets"]["data"] = {"href": f"{files.url}/{name}_data.tif"}
        archive.items.append(item)
    run = run_in(tmp_path / "out", glacier(crs="EPSG:32643", resolution=30))
    fetch(run, bands=("dem",), collection="cop-dem-glo-30", start=date(1999, 1, 1), end=date(2000, 1, 1))
    (scene,) = read_catalogue(run.out)
    dem = read(scene.asset("dem"))
    assert dem.count() == dem.size
    grid = grid_of(scene.asset("dem"))
    from pyproj import Transformer

    rows, columns = np.mgrid[: dem.shape[0], : dem.shape[1]] + 0.5
    x, y = grid.affine * (columns, rows)
    lon, lat = Transformer.from_crs(32643, 4326, always_xy=True).transform(x, y)
    np.testing.assert_allclose(dem, 1000 + 4000 * (lon - 76) + 3000 * (lat - 32), atol=1.0)


def test_a_band_without_flags_is_judged_by_its_own_gaps(archive, fetch, files):
    """Radar knows no cloud; what lies outside its swath is missing."""
    for number, gap in enumerate((0, 280)):
        name = f"S1A_{number}"
        array = np.random.default_rng(number).random(SHAPE).astype("float32")
        array[:, :gap] = -32768
        write_source(files.root / f"{name}_vv.TIF", array, nodata=-32768)
        item = landsat_item(
            name, FIRST + timedelta(days=number), files.url, bands={"vv": "vv"}, platform="SENTINEL-1A"
        )
        item["collection"] = "sentinel-1-rtc"
        item["assets"]["vv"].pop("raster:bands")
        archive.items.append(item)
    (scene,) = read_catalogue(fetch(bands=("vv",), collection="sentinel-1-rtc", platform=("sentinel-1a",)))
    assert scene.id == "S1A_0"
    assert "icectl:cloud" not in scene.properties
    assert read(scene.asset("vv")).dtype == np.float32
