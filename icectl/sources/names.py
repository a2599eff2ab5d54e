"""What a file's name says: the asset it holds, and the date it was taken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from icectl.errors import UsageError
from icectl.sources.scene import Band

SURFACE_REFLECTANCE = Band(scale=2.75e-05, offset=-0.2, nodata=0)
"""Landsat Collection-2 Level-2 bands (USGS LSDS-1619, table 6-1)."""

QA_PIXEL = Band(nodata=1)
"""Bit 0 of QA_PIXEL alone: fill."""

_OLI = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")
_TM = ("blue", "green", "red", "nir08", "swir16", "lwir", "swir22")

ASSETS = {
    **{name: name for name in (*_OLI, "lwir", "lwir11", "qa_pixel", "qa_aerosol", "qa_radsat")},
    **{name: name for name in ("ndsi", "image", "fmask")},
    **{"swir1": "swir16", "swir": "swir16", "swir2": "swir22", "nir": "nir08", "ndsi_snow": "ndsi"},
}
"""Words in a file's name, and the asset each stands for."""

STATIC = frozenset({"mask", "dem", "outline", "outlines", "bed", "thickness", "boundary", "fjord"})
"""Files called so carry no date: they hold for the whole series."""

_LANDSAT = re.compile(
    r"(?P<sensor>L[COTEM]0[4-9])_L\w{3}_\d{6}_(?P<date>\d{8})_\d{8}_\d{2}_(?:T1|T2|RT)"
    r"_(?:(?P<level>SR|ST)_)?(?P<layer>B\d{1,2}|QA_PIXEL|QA_RADSAT|QA_AEROSOL)"
)
_WORD = r"(?<![a-z0-9])(?:{})(?![a-z0-9])"
_WORDS = re.compile(_WORD.format("|".join(sorted(ASSETS, key=len, reverse=True))))

_YEAR = r"(?<!\d)(?P<year>(?:19|20)\d{2})"
_MONTH, _DAY = r"(?P<month>0[1-9]|1[0-2])", r"(?P<day>0[1-9]|[12]\d|3[01])"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_YEAR}[-_.]?Q(?P<quarter>[1-4])(?!\d)",
        rf"{_YEAR}(?P<s>[-_.]?){_MONTH}(?P=s){_DAY}(?:T\d{{4,6}}Z?)?(?!\d)",
        r"L[COTEM]\d\d{6}(?P<year>(?:19|20)\d{2})(?P<doy>[0-3]\d{2})",  # Landsat before collections
        rf"{_YEAR}[-_.]?(?P<doy>[0-3]\d{{2}})(?!\d)",
        rf"{_YEAR}[-_.]?{_MONTH}(?!\d)",
        rf"{_YEAR}(?!\d)",
    )
)
_GROUPS = {"date", "year", "month", "day", "quarter", "doy", "asset", "scene"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The moment of one acquisition, or the span of a composite (`end` is its last second)."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a name says. `scene` is the name without its asset; `static` files carry no date."""

    asset: str | None = None
    period: Period | None = None
    scene: str = ""
    band: Band = field(default_factory=Band)
    static: bool = False
    platform: str = ""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile a user's file-name pattern.

    A regular expression searched in the file's path below the folder, without suffix. Its named groups
    say what is what: ``date`` (any form that `parse_date` reads) or ``year`` with ``month`` and ``day``,
    ``quarter`` or ``doy``; ``asset``; ``scene``.
    Example: ``(?P<asset>\w+)-(?P<day>\d\d)(?P<month>\d\d)(?P<year>\d{4})``.

    Raises
    ------
    UsageError
        If it is no regular expression, has an unknown group, or says nothing of the date.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"the file-name pattern '{pattern}' is no regular expression: {error}") from error
    groups = set(compiled.groupindex)
    hint = "named groups: date, or year with month, day, quarter or doy; asset; scene"
    if unknown := sorted(groups - _GROUPS):
        raise UsageError(f"the file-name pattern '{pattern}' has an unknown group '{unknown[0]}'", hint)
    if not groups & {"date", "year"}:
        raise UsageError(f"the file-name pattern '{pattern}' names no date", hint)
    return compiled


def parse_date(text: str) -> Period | None:
    """Read the first date in `text`, or return None.

    Understood: ``20190710``, ``2019-07-10``, ``2019_07_10``, ``20190710T103021``, ``2019Q3``, ``2019-Q3``,
    ``2019-07``, ``201907``, ``2019191`` (day of the year), ``2019``, and Landsat's older scene names.

    >>> parse_date("parvati_2019Q1").start.isoformat()
    '2019-01-01T00:00:00+00:00'
    """
    for pattern in _DATES:
        for match in pattern.finditer(text):
            period = _period({k: v for k, v in match.groupdict().items() if k != "s"})
            if period is not None:
                return period
    return None


def by_name(path: str, pattern: re.Pattern[str] | None = None) -> Named:
    """Read the asset, the date and the scene out of `path` (below the scanned folder, no suffix)."""
    stem = path.rsplit("/", 1)[-1]
    if pattern is not None:
        return _by_pattern(path, stem, pattern)
    if landsat := _LANDSAT.search(stem):
        return _by_landsat(stem, landsat)
    words = _WORDS.findall(stem.lower())
    asset = ASSETS[words[-1]] if words else None
    period = parse_date(stem) or (parse_date(path.rsplit("/", 2)[-2]) if "/" in path else None)
    static = period is None and _is_static(stem)
    return Named(asset=asset, period=period, scene=_without_asset(stem, asset), static=static)


def _is_static(stem: str) -> bool:
    """Say whether a name without a date is that of a layer that holds for the whole series."""
    return bool(set(re.split(r"[^a-z]+", stem.lower())) & STATIC)


def _without_asset(stem: str, asset: str | None) -> str:
    """Return the part of a name that files of one scene share."""
    if asset is None:
        return stem
    aliases = sorted((word for word, name in ASSETS.items() if name == asset), key=len, reverse=True)
    pattern = "[-_.]?" + _WORD.format("|".join(aliases))
    return re.sub(pattern, "", stem, flags=re.IGNORECASE).strip("-_.")


def _by_landsat(stem: str, match: re.Match[str]) -> Named:
    """Read a Landsat Collection-2 file name (USGS naming: sensor, level, path-row, dates, tier, layer)."""
    layer, bands = match["layer"], _OLI if match["sensor"][-1] in "89" else _TM
    scene = stem[: match.start("layer")].rstrip("_").removesuffix("_SR").removesuffix("_ST")
    band = Band()
    if layer.startswith("QA"):
        asset, band = layer.lower(), QA_PIXEL if layer == "QA_PIXEL" else band
    else:
        number = int(layer[1:])
        asset = bands[number - 1] if number <= len(bands) else f"b{number}"
        band = SURFACE_REFLECTANCE if match["level"] == "SR" else band
    platform = f"landsat-{match['sensor'][-1]}"
    return Named(asset=asset, period=parse_date(match["date"]), scene=scene, band=band, platform=platform)


def _by_pattern(path: str, stem: str, pattern: re.Pattern[str]) -> Named:
    """Read what the user's pattern says; a name that it does not match has no date."""
    match = pattern.search(path)
    if match is None:
        return Named(scene=stem, static=_is_static(stem))
    groups = {key: value for key, value in match.groupdict().items() if value is not None}
    word, scene = groups.pop("asset", None), groups.pop("scene", None)
    period = parse_date(groups["date"]) if "date" in groups else _period(groups)
    asset = None if word is None else ASSETS.get(word.lower(), word.lower())
    return Named(asset=asset, period=period, scene=scene or _without_asset(stem, asset))


def _period(parts: dict[str, str | None]) -> Period | None:
    """Build a moment or a span from the parts of a date; None for a date that does not exist."""
    numbers = {key: int(value) for key, value in parts.items() if value}
    year = numbers["year"]
    try:
        if "quarter" in numbers:
            return _span(year, 3 * numbers["quarter"] - 2, 3)
        if "doy" in numbers:
            day = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=numbers["doy"] - 1)
            return Period(start=day) if day.year == year else None
        if "day" in numbers:
            return Period(start=datetime(year, numbers["month"], numbers["day"], tzinfo=UTC))
        return _span(year, numbers["month"], 1) if "month" in numbers else _span(year, 1, 12)
    except (ValueError, KeyError):
        return None


def _span(year: int, month: int, months: int) -> Period:
    """Return the span of `months` whole months."""
    last = month - 1 + months
    end = datetime(year + last // 12, last % 12 + 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    return Period(start=datetime(year, month, 1, tzinfo=UTC), end=end)
