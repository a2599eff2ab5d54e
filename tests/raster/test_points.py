"""Tables of points and the regions of places, by what is written in them."""

from __future__ import annotations

import numpy as np
import pytest

from icectl.errors import DataError
from icectl.raster.points import read_points_of
from icectl.raster.regions import region_at

TABLES = {
    "blank lines": "lon;lat;h\n\n10.5;46.25;7\n200;-46;8\n\n",
    "remarks before the head": "# a survey\n% of ice\n\nlon;lat;h\n10.5;46.25;7\n200;-46;8\n",
    "the head in the last remark": "# a survey\n# lon lat h\n10.5 46.25 7\n200 -46 8\n",
    "decimal commas between blanks": "lon lat h\n10,5 46,25 7\n200 -46 8\n",
}


@pytest.mark.parametrize("form", TABLES)
def test_one_table_in_many_forms(tmp_path, form):
    path = tmp_path / "points.csv"
    path.write_text(TABLES[form])
    table, x, y, crs = read_points_of(path, None)
    assert (x.tolist(), y.tolist(), crs) == ([10.5, -160.0], [46.25, -46.0], "EPSG:4326")
    assert table["h"].tolist() == ["7", "8"]


def test_a_fill_in_one_of_two_columns_is_no_place(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("lon,lat\n-9999,46\n10,-9999\n180,90\n")
    _, x, y, _ = read_points_of(path, None)
    np.testing.assert_array_equal(x, [np.nan, np.nan, 180])
    np.testing.assert_array_equal(y, [np.nan, np.nan, 90])


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (
            "a,b\n1,2\n",
            "has no columns POINT_LON and POINT_LAT, nor any other of coordinates",
            "in its first row call them lon and lat, or x and y with --points-crs; it has a, b",
        ),
        (
            "lon,lat\n1,2\n46,361\n",
            ": row 3 lies at (46, 361), no longitude and latitude in degrees",
            "check that the columns are not swapped; eastings and northings need --points-crs",
        ),
    ],
)
def test_a_table_without_places_is_refused(tmp_path, text, said, hint):
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(DataError) as refused:
        read_points_of(path, None)
    assert refused.value.message.removeprefix(str(path)).strip() == said
    assert refused.value.hint == hint


@pytest.mark.parametrize(
    ("lon", "lat", "region"),
    [
        (-150, 63, "01"), (-117, 52, "02"), (-75, 81, "03"), (-67, 67, "04"), (-40, 70, "05"),
        (-68, 77, "05"), (-17, 64.5, "06"), (17, 78.5, "07"), (18, 67.9, "08"), (60, 76, "09"),
        (87, 49.8, "10"), (42.5, 43.3, "12"), (75, 40, "13"), (77, 32, "14"), (87, 28, "15"),
        (170, -43.6, "18"), (-60, -64, "19"), (-40, 40, ""),
    ],
)  # fmt: skip
def test_glaciers_lie_in_the_regions_of_the_inventory(lon, lat, region):
    """Denali, Columbia, Agassiz, Penny, Greenland (twice), Vatnajökull, …, Tasman; last a place at sea."""
    assert region_at(lon, lat) == region
