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
    "thickness", "ice_thickness", "thick", "ice_thick", "icethickness", "icethick", "thk", "depth",
    "ice_depth", "land_ice_thickness", "eisdicke", "espesor", "épaisseur", "epaisseur", "spessore", "h",
)  # fmt: skip
NAMES = {
    "THICKNESS_UNCERTAINTY": ("thickness_uncertainty", "uncertainty", "thickness_error", "error", "sigma"),
    "DATA_FLAG": ("data_flag", "flag"),
    "SURVEY_DATE": ("survey_date", "date", "year", "survey_year"),
    "GlaThiDa_ID": ("glathida_id", "survey_id"),
}
"""What columns are called in GlaThiDa 3.1, and in version 4 and other tables (in lower case)."""

THICKEST = 5500.0
"""Metres: the thickest ice of the earth is 4.9 km; larger numbers are fill values."""

UNCERTAIN_SHARE, LEAST_UNCERTAINTY = 0.1, 5.0
"""Uncertainty of points that state none: share of the thickness, and least (m; radar and its picking)."""

SHARE = 1.0
"""Numbers below it may be shares of the thickness as well as metres."""

ERRONEOUS = 1
"""GlaThiDa's DATA_FLAG of values that are wrong (3 marks other remarks; such values are kept)."""

_LENGTHS = re.compile(rf"_(?:{'|'.join(sorted(LENGTHS, key=len, reverse=True))})$|_$")
"""A unit at the end of a column's name, or what is left of it in a Shapefile."""

_TIME = re.compile(r"(?:^|[\W_])(?:n|[uµμ]|m)s(?:ec)?(?:$|[\W_])|twt")
"""Two-way travel times, by the head of a column."""

_HEIGHT = re.compile(r"(?:^|[\W_])(?:bed|surf(?:ace)?|elev(?:ation)?|alt(?:itude)?|h(?:ei)?ght)(?:$|[\W_])")
"""Heights of the bed or the surface, by the head of a column."""

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
    standard = _standard(table)
    unit = {standard.get(c, c): _unit_of(table, c) for c in table.columns}
    table = table.rename(columns=standard)
    name = _field(table, field, path)
    if _TIME.search(f"{name} {unit[name]}".lower()):
        raise DataError(
            f"{path}: the column {name} holds travel times, and no thickness",
            "give metres: half of the two-way time, times about 0.168 m/ns in cold ice",
        )
    if _HEIGHT.search(name.lower()) and not re.search("thick|depth|ice", name.lower()):
        raise DataError(
            f"{path}: the column {name} holds heights by its name, and no thickness",
            "write a column thickness: the height of the surface less that of the bed",
        )
    thickness = numbers(table, name, path) * LENGTHS.get(unit[name], 1.0)
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
        hint = "check --points-field and --since"
        if dropped["negative"]:
            hint = "write thickness as positive numbers, and name its column with --points-field"
        raise DataError(f"{path} holds no usable point of {len(x)} ({words})", hint)
    own, stated = numbers(table, "THICKNESS_UNCERTAINTY"), unit.get("THICKNESS_UNCERTAINTY", "")
    if stated not in (*LENGTHS, "%", "percent"):
        stated = unit[name]  # the thickness's own
        if "GlaThiDa_ID" not in table and 0 < np.max(own, initial=0, where=own <= THICKEST) < SHARE:
            raise DataError(
                f"{path}: its uncertainties are below {SHARE:g}, and nothing says whether metres or shares",
                "write the unit into the head of the column: thickness_uncertainty (m), or (%) for percents",
            )
    own = own * (thickness / 100 if stated in ("%", "percent") else LENGTHS.get(stated, 1.0))
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
    found = field or column_of(table, FIELDS, _LENGTHS)
    if found is None:
        raise DataError(
            f"{path} has no column of thickness", f"name it: --points-field; it has {list(table.columns)}"
        )
    alike = [str(c) for c in table.columns if str(c).lower() == found.lower()]
    if field is None and len(alike) > 1:
        raise DataError(
            f"{path}: which of the columns {', '.join(alike)} is the thickness is not clear",
            f"name it: --points-field {alike[-1]}",
        )
    return found


def _unit_of(table: Any, name: str) -> str:
    """Return the unit that a column's name ends in, or that stands in a row below the names.

    >>> _unit_of(pd.DataFrame({"thickness_ft": ["1"], "H (m)": ["1"]}), "H (m)")
    'm'
    """
    words = [word for word in re.split(r"[\s_()\[\]]+", str(name).lower()) if word]
    below = str(table[name].iloc[0]).strip().lower().strip("()[]") if len(table) else ""
    return below if len(words) < 2 and not re.search(r"\d", below) else words[-1] if len(words) > 1 else ""


def erroneous(flags: Any) -> Bools:
    """Return which flags say that a value is wrong: the number 1, or words as tables write them.

    >>> erroneous(["1", "1.0", "Erroneous", "suspect thickness", "3", "", "no error", "ok"]).tolist()
    [True, True, True, True, False, False, False, False]
    """
    text = pd.Series(list(flags), dtype=str).str.strip().str.lower()
    number = pd.to_numeric(text, errors="coerce").to_numpy()
    return np.asarray((number == ERRONEOUS) | text.str.contains(_WRONG).to_numpy())


def years(dates: Any) -> F64:
    """Return the years of dates: ``YYYYMMDD`` (99: month or day unknown), or any with a year of four digits.

    >>> years(pd.Series(["19959999", "20070499", "", "99999999", "3.4.2012", "2012-04-03T10:11"])).tolist()
    [1995.0, 2007.0, nan, nan, 2012.0, 2012.0]
    """
    text = pd.Series(dates, dtype=str)
    found = text.str.extract(r"(?<!\d)((?:18|19|20|21)\d\d)(?:\d{4})?(?!\d)")[0]
    return np.asarray(pd.to_numeric(found, errors="coerce"), dtype=np.float64)
