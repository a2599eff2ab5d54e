"""Measured thickness: GlaThiDa's table TTT, or points of any vector file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icectl.errors import DataError, did_you_mean

Floats = NDArray[np.float64]

FIELDS = ("THICKNESS", "thickness", "thick", "h", "ice_thickness")
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


def read_points(path: Path, field: str | None = None, share: float = 0.1, since: int | None = None) -> Points:
    """Read measured thickness from GlaThiDa's TTT (CSV with POINT_LAT, POINT_LON) or a vector file.

    Points without thickness, negative ones, and GlaThiDa's erroneous ones (DATA_FLAG 1) are left out and
    counted.

    Parameters
    ----------
    field
        The column of the thickness.
    share
        Uncertainty of points that state none, as a share of their thickness (at least 5 m).
    since
        Leave out surveys before this year; surveys of unknown year too.

    Raises
    ------
    DataError
        The file is missing, has no such column, or no usable point.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist", "check the path of the measured points")
    table, x, y, crs = _csv(path) if path.suffix.lower() == ".csv" else _vectors(path)
    name = _field(table, field, path)
    numbers = {n: _numbers(table, n) for n in ("THICKNESS_UNCERTAINTY", "DATA_FLAG", "ELEVATION")}
    thickness = _numbers(table, name)
    year = years(table["SURVEY_DATE"]) if "SURVEY_DATE" in table else np.full(len(table), np.nan)
    unusable = {
        "no thickness or position": ~np.isfinite(thickness) | ~np.isfinite(x) | ~np.isfinite(y),
        "negative": thickness < 0,
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


def _csv(path: Path) -> tuple[Any, Floats, Floats, str]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from error
    names = {c.lower(): c for c in table.columns}
    lon = next((names[n] for n in ("point_lon", "lon", "longitude") if n in names), None)
    lat = next((names[n] for n in ("point_lat", "lat", "latitude") if n in names), None)
    if lon is None or lat is None:
        raise DataError(f"{path} has no columns POINT_LON and POINT_LAT", "GlaThiDa's TTT.csv has them")
    x, y = _numbers(table, lon), _numbers(table, lat)
    wrong = (np.abs(x) > 360) | (np.abs(y) > 90)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{path}: row {i + 2} lies at ({x[i]:g}, {y[i]:g}), no longitude and latitude in degrees"
        )
    return table, x, y, "EPSG:4326"


def _vectors(path: Path) -> tuple[Any, Floats, Floats, str]:
    from icectl.raster import read_vectors

    frame = read_vectors(path)
    frame = frame[frame.geometry.geom_type == "Point"]
    if frame.empty:
        raise DataError(f"{path} holds no points", "measured thickness must be points")
    x, y = frame.geometry.x.to_numpy(np.float64), frame.geometry.y.to_numpy(np.float64)
    return pd.DataFrame(frame.drop(columns=frame.geometry.name)), x, y, frame.crs.to_wkt()


def _field(table: Any, field: str | None, path: Path) -> str:
    if field is not None and field not in table:
        raise DataError(f"{path} has no column '{field}'", did_you_mean(field, list(table.columns)))
    found = field or next((c for c in FIELDS if c in table), None)
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
