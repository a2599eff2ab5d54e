"""Measured thickness: GlaThiDa's table TTT, or points of any vector file."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from icectl.arrays import F64, Bools
from icectl.errors import DataError, did_you_mean
from icectl.raster.kinds import LENGTHS
from icectl.raster.points import column_of, numbers, plain_name, read_points_of

FIELDS = (
    "thickness", "ice_thickness", "thick", "h", "depth", "ice_depth", "thickness_m", "thickness_ft",
    "thickness_feet", "thickness_km", "h_m",
)  # fmt: skip
NAMES = {
    "THICKNESS_UNCERTAINTY": ("thickness_uncertainty", "uncertainty", "thickness_error", "error", "sigma"),
    "DATA_FLAG": ("data_flag", "flag"),
    "SURVEY_DATE": ("survey_date", "date"),
    "GlaThiDa_ID": ("glathida_id", "survey_id"),
}
"""What columns are called in GlaThiDa 3.1, and in version 4 and other tables (in lower case)."""

THICKEST = 5500.0
"""Metres: the thickest ice of the earth is 4.9 km; larger numbers are fill values."""

UNCERTAIN_SHARE, LEAST_UNCERTAINTY = 0.1, 5.0
"""Uncertainty of points that state none: share of the thickness, and least (m; radar and its picking)."""

ERRONEOUS = 1
"""GlaThiDa's DATA_FLAG of values that are wrong (3 marks other remarks; such values are kept)."""

_WRONG = re.compile(
    r"(?<!not )(?<!non-)(?<!no )\b(?:erron|error|wrong|invalid|suspect|suspicious|outlier"
    r"|unreliable|bad\b|reject|discard)|^true$"
)
"""Words of flags given as text that say a value is not to be used."""


@dataclass(frozen=True, slots=True)
class Points:
    """Measured points: position in `crs`, thickness and its uncertainty in metres, and what was left out.

    `surveys` counts the distinct (survey, date) pairs; `year` is NaN where a date is unknown.
    """

    x: F64
    y: F64
    thickness: F64
    uncertainty: F64
    year: F64
    crs: str
    surveys: int
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.thickness)


def read_points(
    path: Path,
    field: str | None = None,
    since: int | None = None,
    crs: str | None = None,
) -> Points:
    """Read measured thickness from a table (GlaThiDa 3.1 or 4, or any CSV with coordinates) or a vector file.

    Points without thickness, negative and impossible ones (fill values), and GlaThiDa's erroneous ones
    (DATA_FLAG 1, or a word such as ``erroneous``) are left out and counted.

    `field`: the column of the thickness. `since`: leave out surveys before this year; surveys of unknown
    year too. `crs`: the CRS of x and y in a table that are no degrees.

    DataError: the file is missing, has no such column, or no usable point.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist", "check the path of the measured points")
    table, x, y, crs = read_points_of(path, crs)
    table = table.rename(columns=_standard(table))
    name = _field(table, field, path)
    thickness = numbers(table, name, path) * _unit_in(name)
    year = years(table["SURVEY_DATE"]) if "SURVEY_DATE" in table else np.full(len(table), np.nan)
    unusable = {
        "no thickness or position": ~np.isfinite(thickness) | ~np.isfinite(x) | ~np.isfinite(y),
        "negative": thickness < 0,
        f"over {THICKEST:g} m": thickness > THICKEST,
        "flagged erroneous": erroneous(table["DATA_FLAG"])
        if "DATA_FLAG" in table
        else np.zeros(len(x), bool),
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
    own = numbers(table, "THICKNESS_UNCERTAINTY")
    guess = np.maximum(UNCERTAIN_SHARE * thickness, LEAST_UNCERTAINTY)
    uncertainty = np.where((own > 0) & (own <= THICKEST), own, guess)  # NaN and fill values give the guess
    found = [c for c in ("GlaThiDa_ID", "SURVEY_DATE") if c in table]
    surveys = int(table.loc[keep, found].drop_duplicates().shape[0]) if found else 1
    return Points(
        x=x[keep],
        y=y[keep],
        thickness=thickness[keep],
        uncertainty=uncertainty[keep],
        year=year[keep],
        crs=crs,
        surveys=surveys,
        dropped=dropped,
    )


def _standard(table: Any) -> dict[str, str]:
    """Map a table's own names of columns to those of GlaThiDa 3.1."""
    lower = {plain_name(c): c for c in table.columns}
    found = {
        standard: next((lower[n] for n in names if n in lower), None) for standard, names in NAMES.items()
    }
    return {column: standard for standard, column in found.items() if column is not None}


def _field(table: Any, field: str | None, path: Path) -> str:
    if field is not None and field not in table:
        raise DataError(f"{path} has no column '{field}'", did_you_mean(field, list(table.columns)))
    found = field or column_of(table, FIELDS)
    if found is None:
        raise DataError(
            f"{path} has no column of thickness", f"name it: --points-field; it has {list(table.columns)}"
        )
    return found


def _unit_in(name: str) -> float:
    """Return the metres in the unit that a column's name ends in: ``thickness_ft``, ``H (km)``; 1 for others.

    >>> _unit_in("thickness_ft"), _unit_in("Ice thickness (m)"), _unit_in("thickness")
    (0.3048, 1.0, 1.0)
    """
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word]
    return LENGTHS.get(words[-1], 1.0) if len(words) > 1 else 1.0


def erroneous(flags: Any) -> Bools:
    """Return which flags say that a value is wrong: the number 1, or words as tables write them.

    >>> erroneous(["1", "1.0", "Erroneous", "suspect thickness", "3", "", "no error", "ok"]).tolist()
    [True, True, True, True, False, False, False, False]
    """
    text = pd.Series(list(flags), dtype=str).str.strip().str.lower()
    number = pd.to_numeric(text, errors="coerce").to_numpy()
    return np.asarray((number == ERRONEOUS) | text.str.contains(_WRONG).to_numpy())


def years(dates: Any) -> F64:
    """Return the years of GlaThiDa dates: ``YYYYMMDD``, where 99 stands for an unknown month or day.

    >>> import pandas as pd
    >>> years(pd.Series(["19959999", "20070499", "", "99999999"])).tolist()
    [1995.0, 2007.0, nan, nan]
    """
    text = pd.Series(dates, dtype=str).str.replace(r"\.0$", "", regex=True)
    year = np.asarray(pd.to_numeric(text.str.slice(0, 4), errors="coerce"), dtype=np.float64)
    whole = (text.str.len() == 8).to_numpy() | (text.str.len() == 10).to_numpy()  # also 2007-04-01
    return np.where(whole & (year >= 1800) & (year < 2200), year, np.nan)
