"""What the report shows of a prediction: a section along the points, and the points on the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from icectl.raster import Grid, write_cog
from icectl.tasks.bed.figures import maps, section
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
    assert max(one.distance) == pytest.approx(85.0)
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
    assert thickness.note == "0.0123 km³ (0.00988 to 0.0235)"
    assert not maps(folder)[0].points
