"""Measured thickness: GlaThiDa's table TTT, or points of any vector file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icectl.errors import DataError, did_you_mean
from icectl.raster.grid import crs_of

Floats = NDArray[np.float64]

FIELDS = ("thickness", "ice_thickness", "thick", "thickness_m", "h", "depth")
LONGITUDES = ("point_lon", "lon", "long", "longitude", "lng", "x_wgs84", "lon_deg")
LATITUDES = ("point_lat", "lat", "latitude", "y_wgs84", "lat_deg")
EASTINGS = ("x", "easting", "east", "e", "x_m", "utm_x", "utm_e", "coord_x", "xcoord", "x_coord")
NORTHINGS = ("y", "northing", "north", "n", "y_m", "utm_y", "utm_n", "coord_y", "ycoord", "y_coord")
NAMES = {
    "THICKNESS_UNCERTAINTY": ("thickness_uncertainty", "uncertainty", "thickness_error", "error", "sigma"),
    "DATA_FLAG": ("data_flag", "flag"),
    "ELEVATION": ("elevation", "elev", "z", "surface"),
    "SURVEY_DATE": ("survey_date", "date"),
    "GlaThiDa_ID": ("glathida_id", "survey_id"),
}
"""What columns are called in GlaThiDa 3.1, and in version 4 and other tables (in lower case)."""

THICKEST = 5500.0
"""Metres: the thickest ice of the earth is 4.9 km; larger numbers are fill values."""

LEAST_UNCERTAINTY = 5.0
"""Metres: the least uncertainty taken for a point that states none (a radar's resolution and its picking)."""

ERRONEOUS = 1
"""GlaThiDa's DATA_FLAG of values that are wrong (3 marks other remarks; such values are kept)."""


@dataclass(frozen=True, slots=True)
class Points:
    """Measured points: position in `crs`, thickness and its uncertainty in metres, and what was left out.

    `surveys` counts the distinct (survey, date) pairs; `year` is NaN where a date is unknown.
    """

    x: Floats
    y: Floats
    thickness: Floats
    uncertainty: Floats
    year: Floats
    elevation: Floats
    crs: str
    surveys: int
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.thickness)


def read_points(
    path: Path,
    field: str | None = None,
    share: float = 0.1,
    since: int | None = None,
    crs: str | None = None,
) -> Points:
    """Read measured thickness from a table (GlaThiDa 3.1 or 4, or any CSV with coordinates) or a vector file.

    Points without thickness, negative and impossible ones (fill values), and GlaThiDa's erroneous ones
    (DATA_FLAG 1) are left out and counted.

    Parameters
    ----------
    field
        The column of the thickness.
    share
        Uncertainty of points that state none, as a share of their thickness (at least 5 m).
    since
        Leave out surveys before this year; surveys of unknown year too.
    crs
        The CRS of x and y in a table that are no degrees.

    Raises
    ------
    DataError
        The file is missing, has no such column, or no usable point.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist", "check the path of the measured points")
    tabular = path.suffix.lower() in (".csv", ".txt", ".tsv")
    table, x, y, crs = _csv(path, crs) if tabular else _vectors(path)
    table = table.rename(columns=_standard(table))
    name = _field(table, field, path)
    numbers = {n: _numbers(table, n) for n in ("THICKNESS_UNCERTAINTY", "DATA_FLAG", "ELEVATION")}
    thickness = _numbers(table, name)
    year = years(table["SURVEY_DATE"]) if "SURVEY_DATE" in table else np.full(len(table), np.nan)
    unusable = {
        "no thickness or position": ~np.isfinite(thickness) | ~np.isfinite(x) | ~np.isfinite(y),
        "negative": thickness < 0,
        f"over {THICKEST:g} m": thickness > THICKEST,
        "flagged erroneous": numbers["DATA_FLAG"] == ERRONEOUS,
        f"before {since}": ~(year >= since) if since is not None else np.zeros(len(x), dtype=bool),
    }
    keep = np.ones(len(x), dtype=bool)
    dropped = {}
    for reason, bad in unusable.items():
        dropped[reason] = int((bad & keep).sum())
        keep &= ~bad
    if not keep.any():
        words = ", ".join(f"{n} {reason}" for reason, n in dropped.items() if n)
        raise DataError(
            f"{path} holds no usable point of {len(x)} ({words})", "check --points-field and --since"
        )
    stated = numbers["THICKNESS_UNCERTAINTY"]
    guess = np.maximum(share * thickness, LEAST_UNCERTAINTY)
    uncertainty = np.where(np.isfinite(stated) & (stated > 0), stated, guess)
    found = [c for c in ("GlaThiDa_ID", "SURVEY_DATE") if c in table]
    surveys = int(table.loc[keep, found].drop_duplicates().shape[0]) if found else 1
    return Points(
        x=x[keep],
        y=y[keep],
        thickness=thickness[keep],
        uncertainty=uncertainty[keep],
        year=year[keep],
        elevation=numbers["ELEVATION"][keep],
        crs=crs,
        surveys=surveys,
        dropped=dropped,
    )


def _standard(table: Any) -> dict[str, str]:
    """Map a table's own names of columns to those of GlaThiDa 3.1."""
    lower = {str(c).strip().lower(): c for c in table.columns}
    found = {
        standard: next((lower[n] for n in names if n in lower), None) for standard, names in NAMES.items()
    }
    return {column: standard for standard, column in found.items() if column is not None}


def _csv(path: Path, crs: str | None) -> tuple[Any, Floats, Floats, str]:
    """Read a table: comma, semicolon or tab, with or without a byte order mark."""
    try:
        head = path.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
        mark = max(",;\t", key=head.count)
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, sep=mark, encoding="utf-8-sig", skipinitialspace=True
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from error
    if mark == ";":  # then a comma is the decimal sign
        table = table.apply(lambda column: column.str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True))
    table.columns = [str(c).strip() for c in table.columns]
    lon, lat = _first(table, LONGITUDES), _first(table, LATITUDES)
    east, north = _first(table, EASTINGS), _first(table, NORTHINGS)
    if crs is not None and east is not None and north is not None:
        return table, _numbers(table, east), _numbers(table, north), crs_of(crs).to_wkt()
    if lon is None or lat is None:
        if east is not None and north is not None:
            raise DataError(
                f"{path}: nothing says in which CRS the columns {east} and {north} are",
                "say it, e.g. --points-crs EPSG:32632",
            )
        raise DataError(
            f"{path} has no columns POINT_LON and POINT_LAT, nor any other of coordinates",
            f"it has {', '.join(map(str, table.columns))}; x and y need --points-crs",
        )
    x, y = _numbers(table, lon), _numbers(table, lat)
    wrong = (np.abs(x) > 360) | (np.abs(y) > 90)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{path}: row {i + 2} lies at ({x[i]:g}, {y[i]:g}), no longitude and latitude in degrees"
        )
    return table, x, y, "EPSG:4326"


def _first(table: Any, names: tuple[str, ...]) -> str | None:
    """Return the table's own spelling of the first of `names` that it has."""
    lower = {str(c).lower(): str(c) for c in table.columns}
    return next((lower[name] for name in names if name in lower), None)


def _vectors(path: Path) -> tuple[Any, Floats, Floats, str]:
    from icectl.raster import read_vectors

    frame = read_vectors(path, kind="points")
    frame = frame[frame.geometry.geom_type == "Point"]
    if frame.empty:
        raise DataError(f"{path} holds no points", "measured thickness must be points")
    x, y = frame.geometry.x.to_numpy(np.float64), frame.geometry.y.to_numpy(np.float64)
    return pd.DataFrame(frame.drop(columns=frame.geometry.name)), x, y, frame.crs.to_wkt()


def _field(table: Any, field: str | None, path: Path) -> str:
    if field is not None and field not in table:
        raise DataError(f"{path} has no column '{field}'", did_you_mean(field, list(table.columns)))
    found = field or _first(table, FIELDS)
    if found is None:
        raise DataError(
            f"{path} has no column of thickness", f"name it: --points-field; it has {list(table.columns)}"
        )
    return found


def _numbers(table: Any, name: str) -> Floats:
    """Return a column as floats; what is missing or no number is NaN."""
    if name not in table:
        return np.full(len(table), np.nan)
    return np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=np.float64)


def years(dates: Any) -> Floats:
    """Return the years of GlaThiDa dates: ``YYYYMMDD``, where 99 stands for an unknown month or day.

    >>> import pandas as pd
    >>> years(pd.Series(["19959999", "20070499", "", "99999999"])).tolist()
    [1995.0, 2007.0, nan, nan]
    """
    text = pd.Series(dates, dtype=str).str.replace(r"\.0$", "", regex=True)
    year = np.asarray(pd.to_numeric(text.str.slice(0, 4), errors="coerce"), dtype=np.float64)
    whole = (text.str.len() == 8).to_numpy() | (text.str.len() == 10).to_numpy()  # also 2007-04-01
    return np.where(whole & (year >= 1800) & (year < 2200), year, np.nan)
