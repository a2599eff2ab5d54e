"""What the report shows of a prediction: a section along the points, and the points on the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import Geod, Transformer

from icectl.raster import Grid, grid_of, read, write_cog
from icectl.tasks.bed.figures import deepest, maps, section
from icectl.tasks.bed.readers.points import Points

SURFACE, DEPTH = 1000.0, 50.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A flat surface of 20 × 20 pixels of 10 m, whose western half is ice with a wall at its edge."""
    grid = Grid((20, 20), Affine(10.0, 0, 400_000, 0, -10.0, 5_000_200), "EPSG:32632")
    thickness = np.full((20, 20), np.nan, dtype=np.float32)
    thickness[:, :10] = DEPTH
    (tmp_path / "one").mkdir()
    write_cog(tmp_path / "one" / "thickness.tif", thickness, grid)
    write_cog(tmp_path / "one" / "bed.tif", SURFACE - np.nan_to_num(thickness), grid)
    columns = ("id", "area_km2", "volume_km3", "volume_low_km3", "volume_high_km3", "note")
    (tmp_path / "table.csv").write_text(f"{','.join(columns)}\none,0.02,0.0123456,0.00987654,0.0234567,\n")
    return tmp_path


def ground_metres(west: float, east: float) -> float:
    """Return the geodesic length between two eastings of the folder's map."""
    move = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    ends = [move.transform(x, 5_000_105.0) for x in (west, east)]
    return Geod(ellps="WGS84").inv(*ends[0], *ends[1])[2]


def points(east: list[float]) -> Points:
    x = 400_000 + np.asarray(east)
    y = np.full(len(x), 5_000_105.0)
    some = np.full(len(x), 45.0)
    return Points(x, y, some, some / 10, some, "EPSG:32632", 1, {})


def test_a_sections_surface_is_that_of_the_elevation_model_also_at_the_edge_of_the_ice(folder: Path) -> None:
    measured = points([15.0, 45.0, 75.0, 100.0])
    one = section(folder, measured, np.array(["one"] * 4), np.ones(4, dtype=bool))[0]
    np.testing.assert_allclose(one.surface, SURFACE)
    np.testing.assert_allclose(one.measured_bed, SURFACE - 45.0)
    assert max(one.distance) == pytest.approx(ground_metres(400_015, 400_100))
    on_ice = np.asarray(one.distance) <= 75.0
    np.testing.assert_allclose(np.asarray(one.bed)[on_ice], SURFACE - DEPTH)


def test_the_map_of_thickness_carries_the_points_on_the_ice(folder: Path) -> None:
    thickness, spread, bed = maps(folder, points([15.0, 45.0, 150.0]))
    assert thickness.low == 0.0
    assert thickness.points[0].columns == pytest.approx((1.5, 4.5))
    assert thickness.points[0].rows == pytest.approx((9.5, 9.5))
    assert thickness.points[0].values == (45.0, 45.0)
    assert not spread.points
    assert not bed.points
    assert thickness.note == "0.0123 km³ (0.00988 to 0.0235)"  # ice of one thickness has no contours
    assert bed.note == "contours every 5 m"
    (contours,) = [lines for lines in bed.lines if lines.role == "contour"]
    edge = np.concatenate([np.array(line)[:, 0] for line in contours.pixels])
    np.testing.assert_allclose(edge, 10, atol=0.5)  # the wall between ice and rock
    assert not maps(folder)[0].points


def test_sections_through_the_thickest_ice_show_the_true_bed_and_lengths_on_the_ground(folder: Path) -> None:
    depth = read(folder / "one" / "thickness.tif").filled(np.nan)
    depth[14, 3] = 80.0
    grid = grid_of(folder / "one" / "thickness.tif")
    write_cog(folder / "one" / "thickness.tif", depth, grid)
    write_cog(folder / "one" / "bed.tif", SURFACE - np.nan_to_num(depth), grid)
    write_cog(folder / "truth.tif", np.full((20, 20), 60.0, np.float32), grid, tags={"units": "m"})
    along, across = deepest(folder, folder / "truth.tif")
    for one in (along, across):
        np.testing.assert_allclose(one.surface, SURFACE, atol=1e-3)
        np.testing.assert_allclose(one.truth, SURFACE - 60)
        assert min(one.bed) == pytest.approx(SURFACE - 80, abs=3)
        assert one.distance[0] == 0
    assert max(along.distance) == pytest.approx(190, abs=2)  # the ice is 10 pixels wide and 20 long
    assert max(across.distance) == pytest.approx(90, abs=2)
    assert not deepest(folder)[0].truth
