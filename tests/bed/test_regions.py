"""The level of a region is that of the place, whether or not an outline says its id."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from shapely.geometry import Point
from terminal import terminal

from icectl.raster.regions import region_at
from icectl.tasks.bed.products import read_table

PLACES = {
    "Mount Baker": (-121.8, 48.8, "02"), "Columbia": (-147.0, 61.1, "01"), "Barnes": (-73.5, 70.0, "04"),
    "Devon": (-82.0, 75.3, "03"), "Mittivakkat": (-37.8, 65.7, "05"), "Vatnajökull": (-16.8, 64.4, "06"),
    "Kongsvegen": (13.0, 78.8, "07"), "Jostedalsbreen": (7.0, 61.7, "08"),
    "Severnaya Zemlya": (96.0, 79.5, "09"),
    "Aktru": (87.7, 50.1, "10"), "Aneto": (0.65, 42.64, "11"), "Djankuat": (42.75, 43.2, "12"),
    "Tuyuksu": (77.1, 43.05, "13"), "Baltoro": (76.4, 35.7, "14"), "Khumbu": (86.8, 27.97, "15"),
    "Quelccaya": (-70.8, -13.9, "16"), "Kilimanjaro": (37.35, -3.07, "16"),
    "Exploradores": (-73.3, -46.5, "17"),
    "Tasman": (170.2, -43.6, "18"), "Heard": (73.5, -53.1, "19"), "Dakota": (-98.0, 46.0, ""),
}  # fmt: skip
"""Longitude and latitude of glaciers by their regions in RGI 6, and of a place with none."""


@pytest.mark.parametrize("name", PLACES)
def test_a_place_has_the_region_of_the_inventory(name: str) -> None:
    lon, lat, region = PLACES[name]
    assert region_at(lon, lat) == region


@pytest.mark.parametrize(
    ("epsg", "x", "y", "region"), [(32632, 400_000, 5_100_000, "11"), (32719, 300_000, 5_100_000, "17")]
)
def test_an_outline_without_an_id_gets_the_level_of_its_place(
    tmp_path: Path, monkeypatch, capfd, epsg: int, x: int, y: int, region: str
) -> None:
    rows, columns = np.indices((160, 160))
    heights = 2500 + 6.0 * (159 - rows) + 0.05 * (columns - 80) ** 2
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 160, "width": 160, "crs": epsg}
    with rasterio.open(tmp_path / "dem.tif", "w", transform=Affine(30, 0, x, 0, -30, y), **profile) as file:
        file.write(heights.astype(np.float32), 1)
    ice = Point(x + 2400, y - 2400).buffer(900)
    icectl, volumes, said = terminal(monkeypatch, capfd), [], []
    for name in ("mine", f"RGI60-{region}.00001"):
        outline = tmp_path / f"{name}.gpkg"
        gpd.GeoDataFrame({"rgi_id": [name]}, geometry=[ice], crs=epsg).to_file(outline)
        given = ["--dem", str(tmp_path / "dem.tif"), "--outlines", str(outline)]
        done = icectl("predict", "inpaint-gan", *given, "--workspace", str(tmp_path / name))
        volumes.append(float(read_table(Path(done.out.strip().splitlines()[-1]))[0]["volume_km3"]))
        said.append(f"take the level of region {region}, where they lie" in done.err)
    assert volumes[0] == pytest.approx(volumes[1], rel=1e-6)
    assert said == [True, False]
