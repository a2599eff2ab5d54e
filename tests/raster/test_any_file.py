"""Drawn scenes: one field, written in any way that GeoTIFF knows, is read as the same values and areas."""

from __future__ import annotations

import os

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from icectl.raster import ground_grid, ground_steps, line_distances, read_quantity, upright
from icectl.raster.kinds import KINDS

RANGES = {
    "reflectance": (0.01, 1.2), "index": (-0.9, 0.9), "elevation": (-100, 6000), "thickness": (0, 900),
    "velocity": (-4000, 4000), "mass balance": (-20, 10),
}  # fmt: skip
UNITS = {
    "m": {"m": 1.0, "ft": 0.3048, "dm": 0.1, "cm": 0.01, "": 1.0}, "1": {"": 1.0, "1": 1.0, "%": 0.01},
    "m/yr": {"m a-1": 1.0, "m/day": 365.0, "km/yr": 1000.0, "": 1.0},
}  # fmt: skip
MANY = settings(
    max_examples=int(os.environ.get("ICECTL_DRAWS", "50")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@st.composite
def ways(draw, quantity):
    """How a field is written: type, scale, offset, unit, void, order of rows and columns, and the band."""
    low, high = RANGES[quantity]
    unit = draw(st.sampled_from(sorted(UNITS[KINDS[quantity].unit])))
    dtype = draw(st.sampled_from(["int16", "uint16", "int32", "float32", "float64"]))
    per = UNITS[KINDS[quantity].unit][unit]
    low, high = low / per, high / per
    scale, offset = 1.0, 0.0
    if not dtype.startswith("float"):
        scale, offset = (high - low) / draw(st.integers(9_000, 30_000)), low
    return {
        "unit": unit, "per": per, "dtype": dtype, "scale": scale, "offset": offset,
        "void": draw(st.sampled_from(["nodata", "mask", "none"])), "south": draw(st.booleans()),
        "east": draw(st.booleans()), "before": draw(st.integers(0, 2)), "seed": draw(st.integers(0, 2**20)),
    }  # fmt: skip


def stored(way, truth, path):
    """Write the field `truth` as `way` says with rasterio alone; return where it has no value."""
    rows, columns = truth.shape
    rng = np.random.default_rng(way["seed"])
    empty = rng.random(truth.shape) < (0.2 if way["void"] != "none" else 0)
    path.with_name("field.tif.msk").unlink(missing_ok=True)
    numbers = (truth / way["per"] - way["offset"]) / way["scale"]
    void = {"int16": -32768, "uint16": 65535, "int32": -99999}.get(way["dtype"], -9999)
    if not way["dtype"].startswith("float"):
        numbers = np.rint(numbers)
    if way["void"] == "nodata":
        numbers = np.where(empty, void, numbers)
    a = 30.0
    transform = Affine(a, 0, 500_000, 0, -a, 4_000_000)
    mask = np.where(empty, 0, 255).astype(np.uint8)
    if way["south"]:
        numbers, mask = numbers[::-1], mask[::-1]
        transform = transform * Affine(1, 0, 0, 0, -1, rows)
    if way["east"]:
        numbers, mask = numbers[:, ::-1], mask[:, ::-1]
        transform = transform * Affine(-1, 0, columns, 0, 1, 0)
    count = way["before"] + 1
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=columns, count=count, dtype=way["dtype"],
        crs="EPSG:32643", transform=transform, nodata=void if way["void"] == "nodata" else None,
    ) as file:  # fmt: skip
        file.write(numbers.astype(way["dtype"]), count)
        file.descriptions = (*(f"other{i}" for i in range(way["before"])), "mine")
        file.scales, file.offsets = (way["scale"],) * count, (way["offset"],) * count
        file.units = (way["unit"],) * count
        if way["void"] == "mask":
            file.write_mask(mask)
    return empty


@pytest.mark.slow
@pytest.mark.parametrize("quantity", sorted(RANGES))
def test_one_field_in_any_way(quantity, tmp_path):
    low, high = RANGES[quantity]

    @MANY
    @given(ways(quantity))
    def check(way):
        truth = np.random.default_rng(way["seed"]).uniform(low, high, (7, 11))
        path = tmp_path / "field.tif"
        path.unlink(missing_ok=True)
        empty = stored(way, truth, path)
        found = read_quantity(path, quantity, band="mine")
        np.testing.assert_array_equal(found.valid, ~empty)
        step = way["scale"] * way["per"] if not way["dtype"].startswith("float") else 0
        np.testing.assert_allclose(found.values[~empty], truth[~empty], rtol=1e-4, atol=0.51 * step + 1e-6)
        assert found.grid == GeoBox((7, 11), Affine(30, 0, 500_000, 0, -30, 4_000_000), "EPSG:32643")
        assert found.unit == KINDS[quantity].unit

    check()


CRSES = ["EPSG:3857", "EPSG:3413", "EPSG:32633", "EPSG:4326", "EPSG:3035", "EPSG:3995"]


@pytest.mark.slow
@MANY
@given(st.sampled_from(CRSES), st.floats(5, 25), st.floats(45, 80), st.floats(10, 80), st.booleans())
def test_lengths_and_areas_of_any_grid_are_those_on_the_ground(crs, lon, lat, size, south):
    side = size / 111_320 if crs == "EPSG:4326" else size
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    sign = 1 if south else -1
    grid = upright(
        GeoBox((40, 40), Affine(side, 0, x - 20 * side, 0, sign * side, y - sign * 20 * side), crs)
    )
    corners = [grid.affine * p for p in ((0, 0), (40, 0), (40, 40), (0, 40))]
    places = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*zip(*corners, strict=True))
    area = abs(Geod(ellps="WGS84").polygon_area_perimeter(*places)[0])
    across, down = ground_steps(grid)
    assert across * down * 1600 == pytest.approx(area, rel=0.01)
    made = ground_grid(grid)
    assert made.metres**2 == pytest.approx(float(np.prod(ground_steps(made.grid))), rel=0.02)


@pytest.mark.slow
@MANY
@given(st.sampled_from(CRSES), st.floats(5, 25), st.floats(45, 80), st.floats(50, 3000), st.floats(0, 180))
def test_distances_of_fronts_in_any_crs(crs, lon, lat, apart, bearing):
    import shapely

    geod = Geod(ellps="WGS84")
    to = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    lines = []
    for shift in (0.0, apart):
        start = geod.fwd(lon, lat, bearing + 90, shift)[:2]
        ends = [geod.fwd(*start, bearing + turn, 500.0)[:2] for turn in (0, 180)]
        lines.append(shapely.LineString([to.transform(*end) for end in ends]))
    there, back = line_distances(lines[0], lines[1], crs, 50.0)
    assert there.mean() == pytest.approx(apart, rel=0.01)
    assert back.mean() == pytest.approx(apart, rel=0.01)
