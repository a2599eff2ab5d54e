"""What a unit's name means: lengths, speeds and shares, in any common spelling."""

from __future__ import annotations

import re
from collections.abc import Callable

from icectl.errors import DataError

FOOT = 0.3048
LENGTHS = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0),
    **dict.fromkeys(("dm", "decimetre", "decimetres", "decimeter", "decimeters"), 0.1),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), 0.01),
    **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), 0.001),
    **dict.fromkeys(("ft", "foot", "feet", "international foot"), FOOT),
    **dict.fromkeys(("us-ft", "ftus", "us survey foot", "us survey feet", "us_survey_foot"), 1200 / 3937),
}
"""Metres in one of each."""

YEAR = 365.0
"""Days of the year in which a velocity is stated, as in ITS_LIVE."""

PER_YEAR = {
    **dict.fromkeys(("yr", "y", "a", "year", "years", "yrs", "annum"), 1.0),
    **dict.fromkeys(("d", "day", "days"), YEAR),
    **dict.fromkeys(("s", "sec", "second", "seconds"), YEAR * 86400),
}
SHARES = {
    **dict.fromkeys(("", "1", "unitless", "none", "reflectance", "ratio", "-", "dimensionless"), 1.0),
    **dict.fromkeys(("%", "percent"), 0.01),
}
ICE = 917.0
"""Kilograms in a cubic metre of ice, for mass balances in water equivalent or kg m⁻² a⁻¹."""

_NOTHING = frozenset({"", "unknown", "none", "n/a", "dn"})


def factor_to(unit: str, stated: str | None, what: str) -> float:
    """Return what values in the stated unit are multiplied by to be in `unit`; 1 where none is stated.

    Parameters
    ----------
    unit
        ``"m"``, ``"m/yr"`` or ``"1"`` (a share).
    stated
        The unit tag of a file.
    what
        The file and the quantity, for the error's sentence.

    Raises
    ------
    DataError
        The tag names a unit of another kind, or none that is known.

    Examples
    --------
    >>> factor_to("m", "US survey foot", "a.tif")
    0.3048006096012192
    >>> factor_to("m/yr", "m d-1", "v.tif"), factor_to("m", "metres above sea level", "a.tif")
    (365.0, 1.0)
    """
    text = str(stated or "").lower().translate(str.maketrans("⁻−¹²·⋅", "--12  "))
    text = re.sub(r"\s+", " ", text.strip())
    if text in _NOTHING:
        return 1.0
    readers: dict[str, Callable[[str], float | None]] = {"m": _length, "m/yr": _speed, "1": SHARES.get}
    factor = readers[unit](text)
    if factor is None:
        raise DataError(
            f"{what} is stated in '{stated}', which cannot be read as {unit if unit != '1' else 'a share'}",
            "convert it, or correct the file's unit (e.g. gdal_edit.py -units m FILE)",
        )
    return factor


def _length(text: str) -> float | None:
    """Read a length; words after it (``above sea level``, ``a.s.l.``, ``ice``) say nothing of the unit."""
    words = re.split(r"[ ,(]", text)
    for count in (3, 2, 1):
        name = " ".join(words[:count]).rstrip(".")
        if name in LENGTHS:
            rest = " ".join(words[count:])
            return None if re.search(r"/|-1|\^|\bper\b|squared", rest) else LENGTHS[name]
    return None


def _speed(text: str) -> float | None:
    """Read a length over a time: ``m/yr``, ``m a-1``, ``meter/year``, ``cm per day``, ``m yr^-1``.

    Masses and water equivalents (``kg m-2 a-1``, ``m w.e. a-1``) become lengths of ice.
    """
    if mass := re.match(r"kg\s*(?:/\s*m\^?2|m\s*\^?-2)", text):
        per_year = _speed("m " + text[mass.end() :].strip())
        return None if per_year is None else per_year / ICE
    water = re.search(r"\s*\(?\b(?:w\.? ?e\.?|weq|water equivalent)(?![a-z])\)?\s*", text)
    if water:
        factor = _speed(f"{text[: water.start()]} {text[water.end() :]}".strip())
        return None if factor is None else factor * 1000 / ICE
    match = re.match(
        r"(?P<length>[a-z]+)\s*(?:of ice\s*|ice\s*)?(?:/|per|\*|\.)?\s*(?P<time>[a-z]+)\s*(?:\^?\(?-1\)?)?$",
        text,
    )
    if match is None or not re.search(r"/|per|-1", text):
        return None
    length, per_year = LENGTHS.get(match["length"]), PER_YEAR.get(match["time"])
    return None if length is None or per_year is None else length * per_year
