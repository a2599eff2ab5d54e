"""What a file's name says: the asset it holds, and the date it was taken."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from icectl.errors import UsageError
from icectl.sources.scene import Band

SURFACE_REFLECTANCE = Band(scale=2.75e-05, offset=-0.2, nodata=0)
"""Landsat Collection-2 Level-2 bands (USGS LSDS-1619, table 6-1)."""

QA_PIXEL = Band(nodata=1)
"""Bit 0 of QA_PIXEL alone: fill."""

HLS = Band(scale=1e-4, offset=0.0, nodata=-9999)
"""Harmonized Landsat Sentinel-2 v2.0 bands (HLS User Guide v2, table 6)."""

LANDSAT_C1 = Band(scale=1e-4, offset=0.0, nodata=-9999)
"""Landsat Collection-1 surface reflectance, and LEDAPS' before it."""

MODIS_SNOW = Band(scale=0.01, offset=0.0)
"""NDSI snow cover of MOD10: 0 to 100; codes from 101 on (200 missing, 250 cloud …) are no index."""

SNOW_COVER = "ndsi_snow_cover"
"""How the words for a layer of MODIS or VIIRS snow cover begin, in small letters."""

QUALITY = ("qa_pixel", "pixel_qa", "scl", "fmask", "hls_fmask", "qa60", "qa_aerosol", "qa_radsat")
"""Layers that say what the pixels are worth; never taken for bands, averaged or scaled."""

RADAR = ("hh", "hv", "vv", "vh")
"""Bands of Sentinel-1: backscatter, and no layer of flags beside it."""

OLI = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")
_TM = ("blue", "green", "red", "nir08", "swir16", "lwir", "swir22")
MSI = {
    "B01": "coastal", "B02": "blue", "B03": "green", "B04": "red", "B8A": "nir08", "B08": "nir",
    "B11": "swir16", "B12": "swir22", "SCL": "scl", "QA60": "qa60", "FMASK": "hls_fmask",
}  # fmt: skip

ASSETS = {
    **{name: name for name in (*OLI, "lwir", "lwir11", "nir", *QUALITY)},
    **{name: name for name in ("ndsi", "image", "pan")},
    **{"swir1": "swir16", "swir": "swir16", "swir2": "swir22", "nir": "nir08", "ndsi_snow": "ndsi"},
    **{"fmask4": "fmask", "ndsi_snow_cover": "ndsi"},
    **{name: name for name in RADAR},
}
"""Words in a file's name, and the asset each stands for."""

_NUMBERED = {code.lower(): asset for code, asset in MSI.items()} | ASSETS
"""The same with Sentinel-2's numbers, which are of two digits (``S2B_43RFP_20220701_0_L2A/B03.tif``)."""

STATIC = frozenset({"mask", "dem", "outline", "outlines", "bed", "thickness", "boundary", "fjord"})
"""Files called so carry no date: they hold for the whole series."""

UNUSED = "unused"
"""The asset of a product's layer that no task asks for (``ST_ATRAN``, ``SR_CLOUD_QA``, panchromatic …)."""

_LANDSAT = re.compile(
    r"(?:(?P<sensor>L[COTEM]0[4-9])_(?:L(?P<product>\w{3})|CU|AK|HI)_\d{6}_(?P<date>\d{8})_\d{8}_\d{2}"
    r"(?:_(?:T1|T2|RT|GS))?|(?P<old>L[COTEM][4-9])\d{6}(?P<day>\d{7})[A-Z]{3}\d\d(?=_B[\dQ]))"
    r"_(?P<layer>\w+)",
    re.IGNORECASE,
)
"""Scenes of collections, tiles of Analysis Ready Data, and bands from before collections."""

_OTHER_LANDSAT = re.compile(r"(?<![a-z])l[cotem]?0?[4-9](?!\d)|landsat", re.IGNORECASE)
_SENTINEL2 = re.compile(
    r"T\d{2}[A-Z]{3}_(?P<date>\d{8}T\d{6})_(?P<layer>B\d[\dA]|[A-Z]{3})(?:_\d\dm)?$", re.IGNORECASE
)
_HLS = re.compile(
    r"HLS\.(?P<sensor>[LS]30)\.T\w{5}\.(?P<date>\d{7}T\d{6})\.v[\d.]+\.(?P<layer>[A-Z]+\d*|B\d[\dA])(?:\.subset)?$",
    re.IGNORECASE,
)
_APPEEARS = re.compile(r"HLS(?P<sensor>[LS]30)\.\d{3}_(?P<layer>[a-z0-9]+)_doy(?P<date>\d{7})", re.IGNORECASE)
_ABOUT = re.compile(
    r"(?<![a-z0-9])(?:qa|quality|flags?|confidence|uncertainty|std|count|udm2?|cloudmask|azimuth|zenith)"
    r"(?![a-z0-9])"
)
"""Words of layers about a band: what is called so beside a band's name is not that band."""

PREVIEW = re.compile(r"([-_](ql|quick-?look|browse|thumb(_\w+)?|preview)|^preview.*)$", re.IGNORECASE)
"""Small pictures that archives put beside a scene."""

_WORD = r"(?<![a-z0-9])(?:{})(?![a-z0-9])"
_WORDS = re.compile(_WORD.format("|".join(sorted(_NUMBERED, key=len, reverse=True))))

_YEAR = r"(?<!\d)(?P<year>19[3-9]\d|20\d{2})"  # 190103 may as well be of 2019
_MONTH, _DAY = r"(?P<month>0[1-9]|1[0-2])", r"(?P<day>0[1-9]|[12]\d|3[01])"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_YEAR}[-_.]?Q(?P<quarter>[1-4])(?!\d)",
        r"AST_\w{3}_\d{3}(?P<month>\d\d)(?P<day>\d\d)(?P<year>\d{4})(?P<clock>\d{6})_",  # taken; processed
        rf"{_YEAR}(?P<s>[-_.:/]?){_MONTH}(?P=s){_DAY}(?:[T ]?(?P<clock>\d\d:?\d\d(?::?\d\d)?)\d?Z?)?(?!\d)",
        rf"{_YEAR}(?P<s>[-_./])(?P<month>0?[1-9]|1[0-2])(?P=s)(?P<day>0?[1-9]|[12]\d|3[01])(?!\d)",
        r"L[COTEM]\d\d{6}(?P<year>(?:19|20)\d{2})(?P<doy>[0-3]\d{2})",  # Landsat before collections
        rf"{_YEAR}[-_.]?(?P<doy>[0-3]\d{{2}})(?:T(?P<clock>\d{{6}}))?(?!\d)",
        rf"{_YEAR}(?P<s>[-_.]?){_MONTH}(?!\d|(?P=s)\d\d(?!\d))",
        rf"{_YEAR}(?!\d)",
    )
)
_GROUPS = {"date", "year", "month", "day", "quarter", "doy", "asset", "scene"}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a name says. `scene` is the name without its asset; `static` files carry no date.

    `product` is what the numbers are said to be by the name of a known product, for errors.
    """

    asset: str | None = None
    period: Period | None = None
    scene: str = ""
    band: Band = field(default_factory=Band)
    static: bool = False
    platform: str = ""
    product: str = ""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile a user's file-name pattern.

    A regular expression searched in the file's path below the folder, without suffix. Its named groups
    say what is what: ``date`` (any form that `parse_date` reads) or ``year`` with ``month`` and ``day``,
    ``quarter`` or ``doy``; ``asset``; ``scene``.
    Example: ``(?P<asset>\w+)-(?P<day>\d\d)(?P<month>\d\d)(?P<year>\d{4})``.

    UsageError: if it is no regular expression, has an unknown group, or says nothing of the date.
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
    r"|(?<![a-z])(?:k?w|week|woche)[-_]?\d\d?(?!\d)"
    r"|(?<!\d)[0-3]?\d[-_. ]*[a-z]{3,}[-_., ]*(?:19|20)\d{2}(?!\d)",
    re.IGNORECASE,
)
"""Dates in an order that reads in two ways, or is none of ours, of a day that is none, by week, or with a
month in a language that is not known: their year alone is not the date."""

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
    """Read the first date in `text`, or return None.

    Understood: ``20190710``, ``2019-07-10``, ``2019_07_10``, ``20190710T103021``, ``2019Q3``, ``2019-Q3``,
    ``2019-07``, ``201907``, ``2019191`` (day of the year), ``2019``, ``10JUL2019`` (months in some
    languages), and names of ASTER's and Landsat's older scenes.

    >>> parse_date("parvati_2019Q1").start.isoformat()
    '2019-01-01T00:00:00+00:00'
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = _SPELT.sub(_in_digits, plain)
    for pattern in _DATES:
        for match in pattern.finditer(text):
            period = _period({k: v for k, v in match.groupdict().items() if k != "s"})
            if period is not None:
                of_year = pattern is _DATES[-1]
                return None if of_year and _OTHER_ORDER.search(text) else _or_day(period, match)
    return None


def _or_day(period: Period, match: re.Match[str]) -> Period:
    """Return a month with the day that its six digits may be as well, if there is such a day."""
    digits = match[0]
    if period.end is None or not re.fullmatch(r"20\d{4}", digits):
        return period
    day = _period({"year": digits[:2], "month": digits[2:4], "day": digits[4:]})
    return replace(period, or_day=None if day is None else day.start)


def by_name(path: str, pattern: re.Pattern[str] | None = None) -> Named:
    """Read the asset, the date and the scene out of `path` (below the scanned folder, no suffix)."""
    stem = path.rsplit("/", 1)[-1]
    if pattern is not None:
        return _by_pattern(path, stem, pattern)
    for product, reader in _PRODUCTS:
        if match := product.search(stem):
            return reader(stem, match)
    words = _WORDS.findall(stem.lower()) or _word_of_folder(path)
    known = ASSETS if _OTHER_LANDSAT.search(path) else _NUMBERED  # its B11 is thermal
    asset = known.get(words[-1]) if words else None
    about = _ABOUT.search(stem.lower().replace("_", "-"))
    if about and (asset not in (None, *QUALITY) or about[0].startswith(("udm", "cloudmask"))):
        asset = UNUSED
    period = parse_date(stem) or (parse_date(path.rsplit("/", 2)[-2]) if "/" in path else None)
    static = period is None and _is_static(stem)
    band = MODIS_SNOW if words and words[-1].startswith(SNOW_COVER) else Band()
    return Named(asset=asset, period=period, scene=_without_asset(stem, asset), static=static, band=band)


def _word_of_folder(path: str) -> list[str]:
    """Return the word for an asset in the name of a file's own folder, if it is the only one there."""
    words = _WORDS.findall(path.lower().rsplit("/", 2)[-2]) if "/" in path else []
    return words if len(words) == 1 else []


def _is_static(stem: str) -> bool:
    """Say whether a name without a date is that of a layer that holds for the whole series."""
    return bool(set(re.split(r"[^a-z]+", stem.lower())) & STATIC)


def _without_asset(stem: str, asset: str | None) -> str:
    """Return the part of a name that files of one scene share."""
    if asset is None:
        return stem
    aliases = sorted((word for word, name in _NUMBERED.items() if name == asset), key=len, reverse=True)
    pattern = "[-_.]?" + _WORD.format("|".join(aliases))
    return re.sub(pattern, "", stem, flags=re.IGNORECASE).strip("-_.")


def _by_landsat(stem: str, match: re.Match[str]) -> Named:
    """Read a Landsat file name (USGS naming: sensor, level, path-row, dates, tier, layer)."""
    sensor, layer = match["sensor"] or match["old"], match["layer"].upper()
    level = f"Level-{(match['product'] or '2')[0]}" if match["sensor"] else "Level-1"
    scene = stem[: match.start("layer")].rstrip("_")
    number = re.match(r"(?:SR_)?B(?:AND)?([1-9])(?![0-9])", layer)  # also SR_B3_clip
    quality = next((q for q in QUALITY if layer.removeprefix("SR_").lower().startswith(q)), None)
    asset, band = quality or ASSETS.get(layer.lower(), UNUSED), Band()
    if quality:
        band = QA_PIXEL if quality in ("qa_pixel", "pixel_qa") else band
    elif number:
        asset = _landsat_band(sensor, int(number[1]))
        if layer.startswith("SR_B"):
            band = LANDSAT_C1 if layer.startswith("SR_BAND") else SURFACE_REFLECTANCE
    platform = f"landsat-{sensor[-1]}"
    date = parse_date(match["date"] or match["day"])
    return Named(
        asset=asset, period=date, scene=scene, band=band, platform=platform, product=f"Landsat {level}"
    )


def _landsat_band(sensor: str, number: int) -> str:
    """Return the asset of a numbered band; cirrus and thermal ones are not used."""
    bands = OLI if sensor[-1] in "89" else _TM
    if number == 8 and sensor[-1] in "789":
        return "pan"
    return bands[number - 1] if number <= len(bands) and bands[number - 1] != "lwir" else UNUSED


def _by_sentinel2(stem: str, match: re.Match[str]) -> Named:
    """Read a Sentinel-2 granule's file name; the processing baseline, hence the offset, is said elsewhere."""
    return Named(
        asset=MSI.get(match["layer"].upper(), UNUSED),
        period=parse_date(match["date"]),
        scene=stem[: match.start("layer")].rstrip("_"),
        platform="sentinel-2",
        product="Sentinel-2",
    )


def _by_hls(stem: str, match: re.Match[str]) -> Named:
    """Read an HLS file name: Landsat's numbers in L30, Sentinel-2's in S30, one mask of bits."""
    layer = match["layer"].upper()
    asset = MSI.get(layer) or ASSETS.get(layer.lower(), UNUSED)
    if match["sensor"].upper() == "L30" and re.fullmatch(r"B\d\d", layer):
        asset = _landsat_band("LC08", int(layer[1:]))
    return Named(
        asset=asset,
        period=parse_date(match["date"]),
        scene=(stem[: match.start("layer")] + stem[match.end("layer") :].lstrip(".")).rstrip("."),
        band=Band() if asset in QUALITY else HLS,
        product="HLS",
    )


_PRODUCTS = (
    (_LANDSAT, _by_landsat), (_SENTINEL2, _by_sentinel2), (_HLS, _by_hls), (_APPEEARS, _by_hls),
)  # fmt: skip


def by_description(words: Sequence[str | None], path: str) -> tuple[str, ...]:
    """Return the asset of each band of a stack by its description; `UNUSED` where it names none.

    Earth Engine's names are read by the sensor: ``SR_B3`` by the Landsat in the file's name or by the bands
    that are there, ``B3`` as Sentinel-2's beside a ``B8A``, ``B11`` or ``SCL``.

    >>> by_description(["SR_B3", "SR_B6", "QA_PIXEL"], "LC08_147038_20220701")
    ('green', 'swir16', 'qa_pixel')
    >>> by_description(["B3", "B11", "SCL"], "20220701")
    ('green', 'swir16', 'scl')
    """
    upper = [str(word or "").strip().upper() for word in words]
    sentinel = bool({"B8A", "B11", "B12", "SCL", "QA60"} & set(upper))
    old = re.search(r"L[ET]0[4-7]", path) is not None or ("SR_B7" in upper and "SR_B6" not in upper)
    covers = any(word.lower().startswith(SNOW_COVER) for word in upper)
    found = []
    for word in upper:
        number = re.fullmatch(r"(?:SR_)?B(\d{1,2})", word)
        if sentinel and re.fullmatch(r"B\d[\dA]?|B\d\d", word):
            found.append(MSI.get(word if len(word) > 2 else f"B0{word[1]}", UNUSED))
        elif number:
            found.append(_landsat_band("LE07" if old else "LC08", int(number[1])))
        else:
            raw = covers and word == "NDSI"  # beside the snow cover that was made of it
            found.append(UNUSED if raw else ASSETS.get(word.lower(), UNUSED))
    return tuple(found)


def _by_pattern(path: str, stem: str, pattern: re.Pattern[str]) -> Named:
    """Read what the user's pattern says; a name that it does not match has no date."""
    match = pattern.search(path)
    if match is None:
        return Named(scene=stem, static=_is_static(stem))
    groups = {key: value for key, value in match.groupdict().items() if value is not None}
    word, scene = groups.pop("asset", None), groups.pop("scene", None)
    period = parse_date(groups["date"]) if "date" in groups else _period(groups)
    asset = None if word is None else _NUMBERED.get(word.lower(), word.lower())
    return Named(asset=asset, period=period, scene=scene or _without_asset(stem, asset))


def _period(parts: dict[str, str | None]) -> Period | None:
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
