"""What a file's name says: the asset it holds, and the date it was taken."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from icectl.errors import UsageError
from icectl.sources.dates import Period, parse_date, period_of
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
"""NDSI snow cover of MOD10, layers of Copernicus' snow products: 0 to 100; codes from 101 on are no index."""

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
MODIS = {1: "red", 2: "nir08", 3: "blue", 4: "green", 6: "swir16", 7: "swir22"}

ASSETS = {
    **{name: name for name in (*OLI, "lwir", "lwir11", "nir", *QUALITY)},
    **{name: name for name in ("ndsi", "image", "pan")},
    **{"swir1": "swir16", "swir": "swir16", "swir2": "swir22", "nir": "nir08", "ndsi_snow": "ndsi"},
    **{f"sur_refl_b0{number}": name for number, name in MODIS.items()},
    **{"fmask4": "fmask", "ndsi_snow_cover": "ndsi", "fsc": "ndsi"},
    **{name: name for name in RADAR},
}
"""Words in a file's name, and the asset each stands for."""

_NUMBERED = {code.lower(): asset for code, asset in MSI.items()} | ASSETS
"""The same with Sentinel-2's numbers, which are of two digits (``S2B_43RFP_20220701_0_L2A/B03.tif``)."""

INDICES = ("fsctoc", "fsc", "fscog", "gf", "ndsi_snow_cover", "ndsi_snow", "ndsi")
"""What a layer of snow is called; of several of one date the first is taken."""

_ABOUT_ONE = r"unc|uncertainty|std(?:dev)?|count|err|error|qa|quality|flags?"
_SPEEDS = r"v[xy]|v(?=\s|$)|vel|veloc\w*|speed"
VELOCITY = re.compile(rf"(?<![a-z])(?:{_SPEEDS})(?![a-z])")
OTHERS = {
    "image": re.compile(rf"(?<![a-z])(?:{_ABOUT_ONE})(?![a-z])"),
    "ndsi": re.compile(
        rf"(?<![a-z])(?:{_ABOUT_ONE}|{_SPEEDS}|nd(?!si)[a-z]{{2}}|[em]?savi|evi|nbr|lst|albedo|swe|depth|dem|slope"
        r"|temperature|elev\w*|aspect|hillshade|thickness|v[vh]|h[hv]|rgb|true_?color)(?![a-z])"
    ),
}
"""Words of layers about a picture, and of what is no index of snow: such files are not taken for one."""

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
_OTHER_SENTINEL = re.compile(
    r"(?<![a-z])s(?:entinel)?-?2(?![0-9])|(?<![a-z0-9])T\d\d[A-Z]{3}(?![a-z0-9])", re.IGNORECASE
)
_NUMBER = re.compile(r"(?:^|[_. -])((?:SR_)?B(?:\d{1,2}|8A))(?:_\d\dm)?$", re.IGNORECASE)
_COPERNICUS_SNOW = re.compile(
    r"(?:^|_)G?FSC_.*\d{8}.*_(?P<layer>FSC(?:TOC|OG)?|GF|NDSI|QC[A-Z]*|AT|CLD)$", re.IGNORECASE
)
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

_GROUPS = {"date", "year", "month", "day", "quarter", "doy", "asset", "scene"}


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


def _by_copernicus_snow(stem: str, match: re.Match[str]) -> Named:
    """Read a name of Copernicus Land's snow products: fractions and an index in percent, and other layers."""
    return Named(
        asset="ndsi" if match["layer"].lower() in INDICES else UNUSED,
        period=parse_date(stem),
        scene=stem[: match.start("layer")].rstrip("_"),
        band=MODIS_SNOW,
    )


_PRODUCTS = (
    (_LANDSAT, _by_landsat), (_SENTINEL2, _by_sentinel2), (_HLS, _by_hls), (_APPEEARS, _by_hls),
    (_COPERNICUS_SNOW, _by_copernicus_snow),
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
    own = {"B8A", "B12", "SCL", "QA60"} & set(upper) or ("B11" in upper and "B10" not in upper)
    sentinel = bool(_OTHER_SENTINEL.search(path) or own) and not _OTHER_LANDSAT.search(path)
    old = re.search(r"(?<![A-Za-z])L[ET]?0?[4-7](?!\d)", path) is not None or (
        "SR_B7" in upper and "SR_B6" not in upper
    )
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


def numbered(path: str) -> str | None:
    """Return the asset of the numbered band that a name ends in, where the name tells the satellite too.

    >>> numbered("LC08_147038_20220701_B4"), numbered("S2A_20220701_B11"), numbered("20220701_B4")
    ('red', 'swir16', None)
    """
    match = _NUMBER.search(path)
    known = match is not None and (_OTHER_LANDSAT.search(path) or _OTHER_SENTINEL.search(path))
    return by_description([match[1]], path)[0] if match is not None and known else None


def snow_rank(path: str) -> int:
    """Return the place in `INDICES` of what a name calls its layer; of names that say nothing the last.

    >>> snow_rank("FSC_20200102T103429_S2A_T32TLS_V100_1_NDSI"), snow_rank("20220701_fsc")
    (6, 1)
    """
    words = re.findall(_WORD.format("|".join(INDICES)), path.lower())
    return INDICES.index(words[-1]) if words else len(INDICES)


def _by_pattern(path: str, stem: str, pattern: re.Pattern[str]) -> Named:
    """Read what the user's pattern says; a name that it does not match has no date."""
    match = pattern.search(path)
    if match is None:
        return Named(scene=stem, static=_is_static(stem))
    groups = {key: value for key, value in match.groupdict().items() if value is not None}
    word, scene = groups.pop("asset", None), groups.pop("scene", None)
    period = parse_date(groups["date"]) if "date" in groups else period_of(groups)
    asset = None if word is None else _NUMBERED.get(word.lower(), word.lower())
    return Named(asset=asset, period=period, scene=scene or _without_asset(stem, asset))
