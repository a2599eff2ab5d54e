"""Tables of points: CSV in any common spelling, and points of vector files, with their coordinates."""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from icectl.arrays import F64
from icectl.errors import DataError, brief
from icectl.raster.grid import crs_of
from icectl.raster.vectors import read_vectors

LONGITUDES = (
    "lon", "long", "longitude", "lng", "x_wgs84", "x_lon", "longitud", "longitudine", "länge", "laenge",
)  # fmt: skip
LATITUDES = ("lat", "latitude", "y_wgs84", "y_lat", "latitud", "latitudine", "breite")
EASTINGS = ("x", "easting", "eastings", "east", "e", "rechtswert", "este", "est", "ost")
NORTHINGS = ("y", "northing", "northings", "north", "n", "hochwert", "norte", "nord")
_ABOUT = re.compile(
    r"(?<![a-z])(?:point|coordinates?|gps|wgs_?84|epsg_?\d+|decimal|dec|dd|deg(?:ree)?s?|m)(?![a-z])"
    r"|coord|utm(?:_?zone)?(?:_?\d{1,2}[a-z]?)?"
)
"""What a column says beside its coordinate: ``POINT_X``, ``utm_e``, ``lon_wgs84``, ``latitude_deg``."""

_OTHER_UNITS = re.compile(
    r"(?:k|c|d|m)m|kilomet.*|ft|feet|rad.*|arc.*|min.*"
    r"|(?:(?:decimal )?(?:°|deg\w*?)[ _]*)?(?:w|s|west|south)|.*positive (?:west|south).*"
)
"""Units of coordinates that are neither metres nor degrees to the east and north, in small letters."""

FILLS = (-9999.0, -999.0, 9999.0, -99999.0, 99999.0)
"""Numbers that stand where longitude and latitude are not known."""

FORMS = (
    (
        re.compile(r"[-+]?\d{1,3}(?:[ ',.’\u00a0\u202f]\d{3})+(?:[.,]\d*)?"),
        "write numbers without separators of thousands and with a decimal point: 601635.1",
    ),
    (
        re.compile(
            r"[-+NSEWO ]*\d[\d. ]*[°ºd:'’′].*|[NSEWO] ?\d[\d.,]*|\d[\d.,]* ?[NSEWO]|-?\d+ \d+ \d[\d.]*"
        ),
        "write decimal degrees, negative in the west and south: 139°07'30\" W is -139.125",
    ),
    (
        re.compile(r"[<>~≈≤≥] ?\d.*|\d[\d.,]* ?(?:±|\+/?-).*"),
        "leave out rows of bounds, and write errors in a column of their own: thickness_uncertainty",
    ),
    (re.compile(r"-?\d[\d.]* *[^\W\d]+"), "write the unit into the head of the column: thickness (ft)"),
)
"""How people write numbers that are none to a program, and what to do about it."""

_REMARKS = ("#", "%", "//", ">", "sep=")
TABLES = (".csv", ".txt", ".tsv", ".dat", ".xyz")
SHEETS = (".xlsx", ".xls", ".ods")


def read_points_of(path: Path, crs: str | None) -> tuple[Any, F64, F64, str]:
    """Read a table of points.

    `path`: a CSV file (comma, semicolon, tab, bar or blanks; decimal points or commas; UTF-8, UTF-16 or
        Latin-1; lines of ``#`` before the head), or points of a vector file.
    `crs`: the CRS of columns x and y that are no degrees.

    Returns a `pandas.DataFrame` of text or values, and the coordinates (longitudes from −180 to 180).

    DataError: it cannot be read, or nothing says where the points lie.
    """
    if path.suffix.lower() in SHEETS:
        raise DataError(f"{path} is a spreadsheet", "save the sheet of the points as CSV")
    if path.suffix.lower() not in TABLES:
        frame = read_vectors(path, kind="points").explode(index_parts=False)
        frame = frame[frame.geometry.geom_type == "Point"]
        if frame.empty:
            raise DataError(f"{path} holds no points", "give a file whose geometries are points")
        x, y = frame.geometry.x.to_numpy(np.float64), frame.geometry.y.to_numpy(np.float64)
        table = pd.DataFrame(frame.drop(columns=frame.geometry.name))
        if texts := [c for c in table if table[c].map(lambda value: isinstance(value, str)).any()]:
            table[texts] = _pointed(table[texts])
        return table, x, y, frame.crs.to_wkt()
    table = _table(path)
    lon, lat = column_of(table, LONGITUDES, _ABOUT), column_of(table, LATITUDES, _ABOUT)
    rest = table.drop(columns=[name for name in (lon, lat) if name])
    east, north = column_of(rest, EASTINGS, _ABOUT), column_of(rest, NORTHINGS, _ABOUT)
    if crs is not None and east is not None and north is not None:
        _expect_units(path, east, north)
        return table, numbers(table, east, path), numbers(table, north, path), crs_of(crs).to_wkt()
    if lon is None or lat is None:
        if east is not None and north is not None:
            raise DataError(
                f"{path}: nothing says in which CRS the columns {east} and {north} are",
                "say it, e.g. --points-crs EPSG:32632",
            )
        raise DataError(
            f"{path} has no columns POINT_LON and POINT_LAT, nor any other of coordinates",
            "in its first row call them lon and lat, or x and y with --points-crs; it has "
            + ", ".join(map(str, table.columns)),
        )
    _expect_units(path, lon, lat)
    x, y = numbers(table, lon, path), numbers(table, lat, path)
    nowhere = np.isin(x, FILLS) | np.isin(y, FILLS)
    x, y = np.where(nowhere, np.nan, x), np.where(nowhere, np.nan, y)
    wrong = (np.abs(x) > 360) | (np.abs(y) > 90)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{path}: row {i + 2} lies at ({x[i]:g}, {y[i]:g}), no longitude and latitude in degrees",
            "check that the columns are not swapped; eastings and northings need --points-crs",
        )
    return table, np.where(x > 180, x - 360, x), y, "EPSG:4326"


def _expect_units(path: Path, *names: str) -> None:
    """Refuse columns of coordinates whose names give another unit or sense than metres or degrees."""
    for name in names:
        unit = re.search(r"[\[(](.*?)[\])]", name)
        if unit is not None and _OTHER_UNITS.fullmatch(unit[1].strip().lower()):
            raise DataError(
                f"{path}: the column {name} is in '{unit[1]}'",
                "write metres, or decimal degrees, negative in the west and south, and say so in its name",
            )


def _table(path: Path) -> Any:
    """Read a CSV file as text, columns by their names without units in brackets."""
    raw = path.read_bytes()
    text = next(
        filter(None, (_decoded(raw, encoding) for encoding in ("utf-8-sig", "utf-16", "latin-1"))), ""
    )
    lines, said = text.splitlines(), ""
    while lines and (not lines[0].strip() or lines[0].lstrip().startswith(_REMARKS)):
        said = lines.pop(0).strip() or said
    if not lines:
        raise DataError(f"{path} is empty", "give a table with a row of names and a row a point")
    mark = max(";\t,|", key=lines[0].count)
    mark = mark if lines[0].count(mark) else r"\s+"
    said = said.lstrip("#%/ ")
    head, first = (re.split(mark.replace("|", r"\|"), line.strip()) for line in (said, lines[0]))
    if len(head) == len(first) and all(re.fullmatch(r"[-+]?\d[\d.,eE+-]*", cell.strip()) for cell in first):
        lines.insert(0, said)  # the names stand in the last remark, as numpy.savetxt writes them
    lines = [line.rstrip(f"{mark} ") for line in lines] if len(mark) == 1 else lines
    try:
        table = pd.read_csv(
            StringIO("\n".join(lines)), dtype=str, keep_default_na=False, sep=mark, skipinitialspace=True
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        said = f"{path} cannot be read as CSV: {brief(error)}"
        raise DataError(said, "check its separators and its head") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(
            f"{path}: its rows have more cells than its first row has names", "name every column there"
        )
    table.columns = [str(c).strip() for c in table.columns]
    return _pointed(table)


def _pointed(table: Any) -> Any:
    """Return a table of text with decimal points.

    A number with one comma has a decimal comma. Three digits after it may as well be thousands: beside
    decimal points, and where no other number tells, `numbers` refuses them.
    """
    table = table.apply(lambda column: column.str.strip())

    def some(form: str) -> bool:
        return bool(table.apply(lambda column: column.str.fullmatch(form).any()).any())

    pointed = some(r"-?\d+\.\d+") or not some(r"-?(\d+,(\d{1,2}|\d{4,})|0\d*,\d+|\d{4,},\d+)")
    digits = r"\d{1,2}|\d{4,}" if pointed else r"\d+"
    return table.apply(lambda column: column.str.replace(rf"^(-?\d+),({digits})$", r"\1.\2", regex=True))


def _decoded(raw: bytes, encoding: str) -> str:
    if encoding == "utf-16" and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ""
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return ""


def column_of(table: Any, names: Sequence[str], about: re.Pattern[str] | None = None) -> str | None:
    """Return the table's own spelling of the first of `names` that it has, whatever unit stands behind it.

    `about`: what may stand in a column's name beside that.
    """
    plain = {plain_name(column): str(column) for column in reversed(table.columns)}
    if about is not None:
        plain = {about.sub("", name).strip("_"): own for name, own in plain.items()} | plain
    return next((plain[name] for name in names if name in plain), None)


def plain_name(column: Any) -> str:
    """Return a column's name in small letters, words joined by ``_``, without a unit in brackets.

    >>> plain_name("Ice thickness (m)")
    'ice_thickness'
    """
    return re.sub(r"\W+", "_", re.sub(r"[\[(].*?[\])]", "", str(column)).strip().lower())


def numbers(table: Any, name: str, path: Path | None = None) -> F64:
    """Return a column as floats; what is missing or no number is NaN.

    DataError: the column of the file `path` is written with separators of thousands, or in degrees and
    minutes.
    """
    if name not in table:
        return np.full(len(table), np.nan)
    found = np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=np.float64)
    for text in table[name][np.isnan(found)] if path is not None else ():
        for form, mend in FORMS:
            if form.fullmatch(str(text)):
                raise DataError(f"{path}: the column {name} holds '{text}', which is no plain number", mend)
    return found
