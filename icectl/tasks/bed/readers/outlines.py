"""Glacier outlines with their ids: RGI 6 and 7, GLIMS, or any vector file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from icectl.errors import DataError, UsageError, did_you_mean
from icectl.raster import read_vectors
from icectl.sources.dates import parse_date
from icectl.tasks.bed.readers.points import years

ID_COLUMNS = (
    "rgiid", "rgi_id", "glims_id", "glac_id", "glimsid", "sgi-id", "sgi_id", "breid", "glacier_id",
    "glacierid", "id", "name",
)  # fmt: skip
"""Columns that name a glacier, in small letters, the strongest first (RGI, GLIMS, national inventories)."""

NAMELESS = (
    "", "0", "0.0", "none", "nan", "null", "<na>", "na", "n/a", "-", "unnamed", "unnamed glacier", "unknown",
    "no name",
)  # fmt: skip
"""What stands for an id where there is none, in small letters."""

HEIGHTS = ("zmed", "zmed_m")
"""Columns of the median height of a glacier in metres (RGI 6, RGI 7), in lower case."""

DATES = (
    "src_date", "srcdate", "anlys_time", "bgndate", "acq_date", "image_date", "date", "datum", "acq_year",
    "year_acq", "year", "jahr", "annee", "anno",
)  # fmt: skip
"""Columns of an outline's date (RGI 7, GLIMS, RGI 6, national inventories), in lower case."""


PARTS = 0.9
"""Outlines of one glacier that cover less than so much of the sum of their areas are no parts of it."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Glaciers of one file: ids, geometries in the file's CRS, and that CRS as WKT.

    `notes` are sentences on what was left out; `aliases` are other ids of a glacier, e.g. of GLIMS in RGI;
    `year` is the median of what the file says, None where it says none; `heights` are the glaciers' median
    heights (m) by their ids, where it says them.
    """

    source: str
    ids: tuple[str, ...]
    geometries: tuple[Any, ...]
    crs: str
    notes: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    year: float | None = None
    heights: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def choose(self, ids: tuple[str, ...] = (), region: str | None = None) -> Outlines:
        """Return the glaciers of those ids, or of that RGI region; of neither: all.

        UsageError: an id or a region that the file does not hold; the hint names near ones.
        """
        keep = list(range(len(self.ids)))
        if region is not None:
            keep = [i for i in keep if region_of(self.ids[i]) == region.zfill(2)]
            if not keep:
                found = sorted({r for r in map(region_of, self.ids) if r})
                raise UsageError(
                    f"{self.source} holds no glacier of RGI region {region}",
                    f"it holds region {', '.join(found)}" if found else "its ids name no region",
                )
        if ids:
            place = {self.ids[i]: i for i in keep}
            known = {short_id(alias): place[name] for alias, name in self.aliases if name in place}
            known |= {short_id(name): i for name, i in place.items()}
            missing = [name for name in ids if short_id(name) not in known]
            if missing:
                hint = did_you_mean(missing[0], self.ids[:5000])
                if short_id(missing[0])[:2].isdigit() and self.ids[0].startswith("RGI2000"):
                    hint = "RGI 7 counts anew: put its …-rgi6_links.csv beside the file, or give its own id"
                raise UsageError(f"no glacier '{missing[0]}' in {self.source}", hint)
            keep = [place[name] if name in place else known[short_id(name)] for name in ids]
        names, shapes = tuple(self.ids[i] for i in keep), tuple(self.geometries[i] for i in keep)
        return replace(self, ids=names, geometries=shapes)


def read_outlines(path: Path) -> Outlines:
    """Read glacier outlines, merged by id; heights are dropped, crossing rings mended, points left out.

    Of GLIMS files the boundaries count (``glac_bound`` less ``intrnl_rock``) of glaciers that are not gone,
    of several dates the newest.

    DataError: the file is missing, empty, without CRS, or holds no polygon.
    """
    frame = read_vectors(path, kind="polygons")
    frame = frame[frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"])]
    if frame.empty:
        raise DataError(
            f"{path} holds no polygon", "turn closed lines into polygons (QGIS: Lines to polygons)"
        )
    spelt = {str(c).lower(): c for c in frame.columns}
    columns = [spelt[n] for n in ID_COLUMNS if n in spelt and frame[spelt[n]].notna().any()]
    column = columns[0] if columns else None
    frame, notes = _ice(frame, column, Path(path).name)
    names = [f"{Path(path).stem}-{i + 1:05d}" for i in range(len(frame))]
    if column is not None:
        names = [given or n for given, n in zip(_called(frame[column]).fillna(""), names, strict=True)]
        (one, parts), *_ = Counter(names).most_common(1)
        if parts > 1 and str(column).lower() in ("id", "name"):
            notes = (
                *notes,
                f"{Path(path).name}: the {parts} outlines called {one} are taken for one glacier",
            )
    merged: dict[str, list[Any]] = {}
    for name, shape in zip(names, frame.geometry.to_numpy(), strict=True):
        merged.setdefault(name, []).append(shape)
    shapes = [parts[0] if len(parts) == 1 else shapely.union_all(parts) for parts in merged.values()]
    for called, shape, joined in zip(merged, shapes, merged.values(), strict=True):
        if shape.area < PARTS * sum(part.area for part in joined):
            notes = (
                *notes,
                f"{Path(path).name}: {len(joined)} outlines of {called} overlap and are joined: "
                "perhaps several dates, of which to keep one",
            )
    aliases = tuple((str(a), n) for c in columns[1:] for a, n in zip(frame[c], names, strict=True))
    aliases = (*_links(Path(path)), *aliases)
    name, crs = Path(path).name, frame.crs.to_wkt()
    said = next((pd.to_numeric(frame[spelt[h]], errors="coerce") for h in HEIGHTS if h in spelt), ())
    heights = {one: float(value) for one, value in zip(names, said, strict=False) if value > 0}
    return Outlines(name, tuple(merged), tuple(shapes), crs, notes, aliases, _year(frame), heights)


def _called(column: Any) -> Any:
    """Return a column of ids as text, missing where a glacier has none."""
    text = column.astype(str).str.strip()
    if column.dtype.kind == "f":  # whole numbers beside a row without one
        text = text.str.removesuffix(".0")
    return text.mask(text.str.lower().isin(NAMELESS))


_ROCK = frozenset(
    ("intrnl_rock", "rock", "rocks", "bedrock", "nunatak", "nunataks", "outcrop", "rock outcrop")
)
_ICE = frozenset(("ice", "clean ice", "glacier ice", "glacier", "glaciers", "glac_bound"))
_WHERE = frozenset(("lake", "water", "sea", "ocean", "land"))
_NO_ICE = _WHERE | _ROCK | frozenset(
    (
        "pro_lake", "supra_lake", "snowline", "basin_bound", "centerline", "moraine", "hole", "no ice",
        "not ice", "non-glacier",
    )
)  # fmt: skip
"""What GLIMS and others call polygons that are no glacier, in small letters; `_WHERE` may as well say what
glaciers end in, so it counts only in a column that calls others ice."""


def _links(path: Path) -> tuple[tuple[str, str], ...]:
    """Return RGI 6 ids and the RGI 7 ids that they overlap most, by the ``…-rgi6_links.csv`` beside."""
    found = sorted(path.parent.glob("*rgi6_links.csv"))
    if not found:
        return ()
    links = pd.concat([pd.read_csv(one) for one in found])
    if not {"rgi7_id", "rgi6_id"} <= set(links.columns):
        return ()
    area = [c for c in links.columns if str(c).startswith("overlap")]
    links = links.sort_values(area[0]) if area else links  # the largest overlap comes last and wins
    return tuple(zip(links["rgi6_id"].astype(str), links["rgi7_id"].astype(str), strict=True))


def _ice(frame: Any, column: str | None, source: str) -> tuple[Any, tuple[str, ...]]:
    """Return the rows that are ice at the newest date of each glacier, and what was left out."""
    lower = {str(c).lower(): c for c in frame.columns}
    texts = frame[[c for c in frame.select_dtypes(["object", "string"]) if str(c).lower() not in ID_COLUMNS]]
    texts = texts.astype("string").apply(lambda own: own.str.strip().str.lower())
    called = [name for name in texts if _of_surfaces(texts[name])]
    kind = lower.get("line_type") if lower.get("line_type") in called else next(iter(called), None)
    rock, notes = None, []
    if kind is not None:
        types = texts[kind]
        ice = types.isin(["glac_bound"]) if (types == "glac_bound").any() else ~types.isin(_NO_ICE)
        others, kept = (", ".join(sorted(set(types[rows].dropna()))) for rows in (~ice, ice))
        if not ice.any():
            raise DataError(
                f"{source} holds no glacier boundary, only {others}",
                "give the file of GLIMS whose line_type is glac_bound",
            )
        if others:
            rock, frame = frame[types.isin(_ROCK)], frame[ice]
            notes.append(f"{source}: of {kind} only {kept} is ice ({others} left out)")
    date = next((lower[c] for c in DATES if c in lower), None)
    if column is not None and date is not None:
        days = days_of(frame[date])
        newest = days.groupby(_called(frame[column])).transform("max")
        old = (days < newest) | (days.isna() & newest.notna())
        if old.any():
            notes.append(
                f"{source}: {int(old.sum())} outlines of earlier dates left out; each glacier as of its "
                f"newest ({newest.max():%Y-%m-%d} at the latest)"
            )
            frame = frame[~old]
    if "glac_stat" in lower:
        gone = frame[lower["glac_stat"]].astype(str).str.strip().str.lower() == "gone"
        if gone.all():
            raise DataError(f"{source} holds no glacier but such as are gone", "see its column glac_stat")
        if gone.any():
            notes.append(f"{source}: {int(gone.sum())} outlines of glaciers that are gone left out")
        frame = frame[~gone]
    if rock is not None and len(rock):
        frame = frame.assign(geometry=frame.geometry.difference(shapely.union_all(rock.geometry.to_numpy())))
        frame = frame[~frame.geometry.is_empty]
    return frame, tuple(notes)


def _of_surfaces(words: Any) -> bool:
    """Tell whether a column says what is ice: not one of what glaciers end in, ``land`` or ``lake``."""
    sure = _NO_ICE - _WHERE | {"glac_bound"}
    return bool(words.isin(sure).any() or (words.isin(_WHERE).any() and words.isin(_ICE).any()))


def days_of(dates: Any) -> Any:
    """Return the days of an inventory's dates as a `pandas.Series`; NaT where none is said.

    Understood: ISO 8601, ``YYYYMMDD`` with 99 for an unknown month or day, ``M/D/Y``, or ``D/M/Y`` where one
    row can be nothing else, what `parse_date` reads, else a year in whatever else is said.

    >>> [f"{day:%Y-%m-%d}" for day in days_of(pd.Series(["20030799", "8/15/2010", "2010-07-01T00:00:00"]))]
    ['2003-07-01', '2010-08-15', '2010-07-01']
    """
    text = pd.Series(dates).astype(str).str.strip().str.replace(r"^(\d{4})\.0+$", r"\1", regex=True)
    text = text.str.replace(r"^(\d{4})99", r"\g<1>01", regex=True).str.replace(
        r"^(\d{6})99$", r"\g<1>01", regex=True
    )
    days = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    orders = ["%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y"]
    if text.str.match(r"(?:1[3-9]|[23]\d)/\d{1,2}/\d{4}").any():
        orders.remove("%m/%d/%Y")
    for order in orders:
        first = text.str.partition(" ")[0]
        days = days.fillna(pd.to_datetime(first, errors="coerce", utc=True, format=order))
    read = {one: day.start for one in text[days.isna()].unique() if (day := parse_date(one)) is not None}
    days = days.fillna(pd.to_datetime(text.map(read), utc=True))
    of_year = pd.Series(years(text), index=text.index).astype("Int64").astype(str)
    return days.fillna(pd.to_datetime(of_year, errors="coerce", utc=True, format="%Y"))


def _year(frame: Any) -> float | None:
    column = next((c for d in DATES for c in frame.columns if str(c).lower() == d), None)
    if column is None:
        return None
    found = years(frame[column].astype(str).str.slice(0, 10))
    return float(np.nanmedian(found)) if np.isfinite(found).any() else None


def region_of(name: str) -> str:
    """Return the two digits of an RGI id's region, or nothing.

    >>> region_of("RGI60-11.01421"), region_of("RGI2000-v7.0-G-11-00005"), region_of("G220869E60822N")
    ('11', '11', '')
    """
    match = re.match(r"RGI\d{2}-(\d{2})\.", name) or re.match(r"RGI2000-v[\d.]+-[GC]-(\d{2})-", name)
    return match[1] if match else ""


def short_id(name: str) -> str:
    """Return an id as it is compared: RGI 5 and 6 without their version, letters in lower case.

    >>> short_id("RGI60-01.16195") == short_id("rgi50-01.16195") == short_id("01.16195")
    True
    """
    text = str(name).strip().lower()
    return re.sub(r"^rgi\d{2}-", "", text)


GAP = 5.0
"""Years apart from which thickness of one epoch is another's by several metres on many glaciers."""


def year_of(path: Path | None) -> float | None:
    """Return the year in a file's name, e.g. ``dem_2012-03-18.tif``; None where it holds none.

    >>> year_of(Path("dem_2012-03-18.tif")), year_of(Path("dem.tif"))
    (2012.0, None)
    """
    period = None if path is None else parse_date(path.stem)
    return None if period is None else float(period.start.year)


def gap(epochs: Mapping[str, float | None]) -> str:
    """Return a sentence where what is known of epochs (years, by what is dated) lies more than 5 years apart.

    >>> gap({"the elevation model": 2003.0, "the outlines": 2012.0, "the velocity": None})
    'the elevation model: 2003, the outlines: 2012, 9 years apart: the ice has changed between'
    """
    known = {what: year for what, year in epochs.items() if year is not None and np.isfinite(year)}
    if not known:
        return ""
    first, last = min(known, key=lambda w: known[w]), max(known, key=lambda w: known[w])
    apart = known[last] - known[first]
    if apart <= GAP:
        return ""
    return (
        f"{first}: {known[first]:.0f}, {last}: {known[last]:.0f}, {apart:.0f} years apart: the ice has "
        "changed between"
    )
