"""Where on Earth a page's maps lie: in words, and as a dot on a small map of the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from icectl.raster.regions import NAMES, region_at
from icectl.report.pictures import maps_of
from icectl.report.scale import degrees

COASTS = "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"
"""Natural Earth's countries (public domain) in pyogrio's wheels; without them a graticule stands alone."""

COARSE = 1.0
"""Degrees by which coasts are simplified."""

_STEP = 30
"""Degrees between the lines of the graticule."""


def locate(views: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the place of the first map that has one, for the template; None where none has.

    Parameters
    ----------
    views
        Figures as `icectl.report.figures.draw_all` returns them.
    """
    centres = (drawn["frame"].centre for view in views for drawn in maps_of(view))
    centre = next((one for one in centres if one is not None), None)
    if centre is None:
        return None
    lon, lat = (centre[0] + 180) % 360 - 180, centre[1]
    return {
        "words": degrees(lon, lat, 2),
        "region": f"RGI region {region}, {NAMES[region]}" if (region := region_at(lon, lat)) else "",
        "x": lon,
        "y": -lat,
        "land": _land(),
        "lines": "".join(f"M{x} -90V90" for x in range(-180, 181, _STEP))
        + "".join(f"M-180 {y}H180" for y in range(-90, 91, _STEP)),
    }


@cache
def _land() -> str:
    """Return the continents as an SVG path in degrees, y down; empty where no coasts are installed."""
    import geopandas
    import pyogrio
    import shapely

    file = Path(pyogrio.__file__).parent / COASTS
    if not file.is_file():
        return ""
    whole = geopandas.read_file(file).geometry.union_all().simplify(COARSE)
    rings = (part.exterior.coords for part in shapely.get_parts(whole))
    return "".join("M" + "L".join(f"{x:.1f} {-y:.1f}" for x, y in ring) + "Z" for ring in rings)
