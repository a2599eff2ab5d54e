"""Dates in names, tags and descriptions of bands, in any order and spelling that is not ambiguous."""

import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

_YEAR = r"(?<!\d)(?P<year>19[3-9]\d|20\d{2})"  # 190103 may as well be of 2019
_MONTH, _DAY = r"(?P<month>0[1-9]|1[0-2])", r"(?P<day>0[1-9]|[12]\d|3[01])"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_YEAR}[-_.]?Q(?P<quarter>[1-4])(?!\d)",
        r"AST_?[A-Z\d]{2,5}_\d{3}(?P<month>\d\d)(?P<day>\d\d)(?P<year>\d{4})(?P<clock>\d{6})(?!\d)",
        rf"L[COTEM]0\d{{7}}(?P<year>(?:19|20)\d{{2}}){_MONTH}{_DAY}\d\d(?:T\d|RT)",  # Landsat by ESPA
        rf"{_YEAR}(?P<s>[-_.:/]?){_MONTH}(?P=s){_DAY}(?:[T ]?(?P<clock>\d\d:?\d\d(?::?\d\d\d?)?)Z?)?(?!\d)",
        rf"{_YEAR}(?P<s>[-_./])(?P<month>0?[1-9]|1[0-2])(?P=s)(?P<day>0?[1-9]|[12]\d|3[01])(?!\d)",
        r"L[COTEM]\d\d{6}(?P<year>(?:19|20)\d{2})(?P<doy>[0-3]\d{2})",  # Landsat before collections
        rf"{_YEAR}[-_.]?(?P<doy>[0-3]\d{{2}})(?:T?(?P<clock>[0-2]\d[0-5]\d[0-5]\d))?(?!\d)",
        rf"{_YEAR}(?P<s>[-_.]?){_MONTH}(?!\d|(?P=s)\d\d(?!\d))",
        rf"{_YEAR}(?!\d)",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The day of one acquisition, or the span of a composite (`end` is its last second).

    `clock` is the time of day, where it is said: files of one pass make a scene, whatever their seconds.
    `or_day`: six digits may be a month or this day (``200512``: December 2005, or 12 May 2020).
    """

    start: datetime
    end: datetime | None = None
    clock: timedelta = field(default=timedelta(0), compare=False)
    or_day: datetime | None = field(default=None, compare=False)


_MONTHS = (
    "jan january januar janner janvier janv enero ene gennaio janeiro januari",
    "feb february februar feber fevrier fev fevr febrero febbraio fevereiro februari",
    "mar march marz maerz mrz mars marzo marco maart",
    "apr april avril avr abril abr aprile",
    "may mai mayo maggio maio maj mei",
    "jun june juni juin junio giugno giu junho",
    "jul july juli juillet juil julio luglio lug julho",
    "aug august aout aou agosto augustus augusti",
    "sep sept september septembre septiembre setiembre settembre setembro",
    "oct october oktober okt octobre octubre ottobre ott outubro",
    "nov november novembre noviembre novembro",
    "dec december dezember dez decembre diciembre dic dicembre dezembro desember",
)
"""Names of months in languages in which glaciers are written about, without accents; none that is a word of
other meaning (``out``, ``set``, ``des``)."""

_MONTH_OF = {name: month for month, names in enumerate(_MONTHS, 1) for name in names.split()}
_MONTH_NAME = rf"(?<![a-z])(?:{'|'.join(sorted(_MONTH_OF, key=len, reverse=True))})(?![a-z])"
_OTHER_ORDER = re.compile(
    r"(?<!\d)\d{1,2}(?P<s>[-_. /])\d{1,2}(?P=s)(?:19|20)\d{2}(?!\d)|(?<!\d)\d{4}(?:19|20)\d{2}(?!\d)|doy"
    r"|(?<!\d)(?:0[1-9]|1[0-2])[-_./](?:19|20)\d{2}(?!\d)"
    r"|(?<!\d)(?:19|20)\d{2}(?P<t>[-_.])\d\d(?P=t)\d\d(?!\d)"
    r"|(?<!\d)(?:19|20)\d{2}[-_.]?h[12](?!\d)"
    r"|(?<![a-z])(?:k?w|week|woche)[-_]?\d\d?(?!\d)"
    r"|(?<!\d)[0-3]?\d[-_. ]*[a-z]{3,}[-_., ]*(?:19|20)\d{2}(?!\d)",
    re.IGNORECASE,
)
"""Dates in an order that reads in two ways, or is none of ours, of a day that is none, by half-year or week,
or with a month in a language that is not known: their year alone is not the date."""

_SPELT = re.compile(
    rf"(?<!\d)(?:(?:(?<![a-z])(?P<d>\d{{1,2}}))?[-_. ]*(?P<m>{_MONTH_NAME})[-_., ]*(?P<y>(?:19|20)\d{{2}})"
    rf"(?![-_.]\d\d?(?!\d))|(?P<y2>(?:19|20)\d{{2}})[-_. ]*(?P<m2>{_MONTH_NAME})[-_. ]*(?P<d2>\d{{1,2}})?"
    rf"|(?P<m3>{_MONTH_NAME})[-_. ]*(?P<d3>\d{{1,2}})[-_., ]+(?P<y3>(?:19|20)\d{{2}}))(?!\d)",
    re.IGNORECASE,
)


def _in_digits(match: re.Match[str]) -> str:
    """Return a date with a month's name in digits."""
    day, name, year = (match[a] or match[f"{a}2"] or match[f"{a}3"] for a in "dmy")
    return f"{year}-{_MONTH_OF[name.lower()]:02d}" + (f"-{int(day):02d}" if day else "")


def parse_date(text: str) -> Period | None:
    """Read the first date in `text`, of days the earliest (nothing is processed before it is taken), or None.

    Understood: ``20190710``, ``2019-07-10``, ``2019_07_10``, ``20190710T103021``, ``2019Q3``, ``2019-Q3``,
    ``2019-07``, ``201907``, ``2019191`` (day of the year), ``2019``, ``10JUL2019`` (months in some
    languages), and names of ASTER's and Landsat's older scenes.

    >>> parse_date("parvati_2019Q1").start.isoformat()
    '2019-01-01T00:00:00+00:00'
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = _SPELT.sub(_in_digits, plain)
    for pattern in _DATES:
        read = (
            (period_of({k: v for k, v in match.groupdict().items() if k != "s"}), match)
            for match in pattern.finditer(text)
        )
        if found := [(period, match) for period, match in read if period is not None]:
            if pattern is _DATES[-1] and _OTHER_ORDER.search(text):
                return None
            days = [period for period, _ in found if period.end is None]
            return min(days, key=lambda day: day.start) if found[0][0].end is None else _or_day(*found[0])
    return None


def _or_day(period: Period, match: re.Match[str]) -> Period:
    """Return a month with the day that its six digits may be as well, if there is such a day."""
    digits = match[0]
    if period.end is None or not re.fullmatch(r"20\d{4}", digits):
        return period
    day = period_of({"year": digits[:2], "month": digits[2:4], "day": digits[4:]})
    return replace(period, or_day=None if day is None else day.start)


def period_of(parts: dict[str, str | None]) -> Period | None:
    """Build a moment or a span from the parts of a date; None for a date that does not exist."""
    clock = re.sub(r"\D", "", parts.pop("clock", None) or "").ljust(6, "0")
    numbers = {key: int(value) for key, value in parts.items() if value}
    year = numbers["year"] + (0 if numbers["year"] > 99 else 2000 if numbers["year"] < 70 else 1900)
    try:
        if "quarter" in numbers:
            return _span(year, 3 * numbers["quarter"] - 2, 3)
        hours, minutes, seconds = (int(clock[i : i + 2]) for i in (0, 2, 4))
        known = hours < 24 and minutes < 60 and seconds < 60
        since = timedelta(hours=hours, minutes=minutes, seconds=seconds) if known else timedelta(0)
        if "doy" in numbers:
            day = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=numbers["doy"] - 1)
            return Period(start=day, clock=since) if day.year == year else None
        if "day" in numbers:
            return Period(start=datetime(year, numbers["month"], numbers["day"], tzinfo=UTC), clock=since)
        return _span(year, numbers["month"], 1) if "month" in numbers else _span(year, 1, 12)
    except (ValueError, KeyError):
        return None


def _span(year: int, month: int, months: int) -> Period:
    last = month - 1 + months
    end = datetime(year + last // 12, last % 12 + 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    return Period(start=datetime(year, month, 1, tzinfo=UTC), end=end)
