"""What is known of each quantity: its unit and what it may be called, its bounds, and what to say beyond."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import ndimage

from icectl.arrays import F32, Array, Bools
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
    **dict.fromkeys(("month", "months"), 12.0),
    **dict.fromkeys(("d", "day", "days"), YEAR),
    **dict.fromkeys(("s", "sec", "second", "seconds"), YEAR * 86400),
}
SHARES = {
    **dict.fromkeys(("", "1", "unitless", "none", "reflectance", "ratio", "-", "dimensionless"), 1.0),
    **dict.fromkeys(("%", "percent"), 0.01),
}
ICE = 917.0
"""Kilograms in a cubic metre of ice, for mass balances in water equivalent or kg m⁻² a⁻¹."""

_NOTHING = frozenset({"", "unknown", "unspecified", "none", "n/a", "dn"})


def factor_to(unit: str, stated: str | None, what: str) -> float:
    """Return what values in the stated unit are multiplied by to be in `unit`; 1 where none is stated.

    `unit`: ``"m"``, ``"m/yr"`` or ``"1"`` (a share); `stated`: the unit tag of a file; `what`: the file and
    the quantity, for the error's sentence.

    DataError: the tag names a unit of another kind, or none that is known.

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


_FEET = r"(?<![a-z\d])(?<!\d[_ -])(ft|feet)(?![a-z])"
_TIMES = r"[_ ]?(?:per[_ ])?(day|month|year|yr)|(?:[-_ ](?:per[-_ ])?|p)(d|a|y)"
_RATE = rf"(?<![a-z\d])(mm|cm|m|km)(?:{_TIMES})(?![a-z])"


def unit_in(name: str, unit: str) -> str | None:
    """Return the unit that the name of a band or a file states for a quantity in `unit`; None if it does not.

    >>> unit_in("Elevation (ft)", "m"), unit_in("dem_feet_2018", "m"), unit_in("dem_10_ft", "m")
    ('ft', 'feet', None)
    >>> unit_in("vx [m/d]", "m/yr"), unit_in("speed_cm_per_day", "m/yr")
    ('m/d', 'cm/day')
    """
    words, reader = name.lower(), {"m": _length, "m/yr": _speed}[unit]
    bracketed = next((one for one in re.findall(r"[\[(]([^\])]+)[\])]", words) if reader(one)), None)
    if bracketed or not (found := re.search(_FEET if unit == "m" else _RATE, words)):
        return bracketed
    return "/".join(filter(None, found.groups()))


Quantity: TypeAlias = Literal[
    "reflectance", "index", "grey", "elevation", "thickness", "velocity", "mass balance", "label", "quality"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is known of a quantity: its unit, where its values can lie, and how it is resampled.

    `low` and `high` bound what can be measured; numbers beyond are missing. `rim` is how many pixels around
    such a number are missing too, where files are often resampled over their voids. `names` are what a
    band of it is called. Onto pixels more than `growth` times as wide it comes by the mean.
    """

    unit: str
    low: float = -np.inf
    high: float = np.inf
    resampling: str = "bilinear"
    growth: float | None = 1.5
    rim: int = 0
    names: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "reflectance": Kind(unit="1", low=-0.2001, high=2.0, resampling="nearest", growth=1.01),
    "index": Kind(unit="1", low=-1.001, high=1.001, names=("ndsi", "index")),
    "grey": Kind(unit="", low=-1e15, high=1e15),
    "elevation": Kind(
        unit="m",
        low=-500.0,
        high=9000.0,
        rim=2,
        names=("elevation", "dem", "height", "z", "data", "surface", "topo"),
    ),
    "thickness": Kind(unit="m", low=-1.0, high=5500.0, names=("thickness", "h", "ice_thickness")),
    "velocity": Kind(unit="m/yr", low=-1e5, high=1e5, names=("velocity", "v", "speed", "vx", "vy")),
    "mass balance": Kind(unit="m/yr", low=-200.0, high=200.0, names=("mass_balance", "smb")),
    "label": Kind(unit="", resampling="nearest", growth=None),
    "quality": Kind(unit="", resampling="nearest", growth=None),
}
"""Elevation: the shore of the Dead Sea lies at −430 m, Everest at 8849 m. The thickest ice is 4.9 km."""

ABOUT = frozenset(
    (
        "err", "error", "std", "sigma", "uncertainty", "mask", "count", "num", "quality", "source",
        "hillshade", "shade", "slope", "aspect", "ortho", "browse", "geoid", "matchtag", "mad", "bitmask",
        "datamask", "mindate", "maxdate", "hem", "edm", "flm", "wbm", "acm", "msk", "stk", "swb", "amp",
        "am2", "cov", "com", "lsm", "wam",
    )
)  # fmt: skip
"""Words in the name of a layer about another one; the short ones are those of global elevation models."""

LAYERS = (
    "thickness", "ice_thickness", "velocity", "speed", "mass_balance", "ndsi", "elevation", "dem", "slope",
    "aspect", "hillshade", "dhdt", "dh_dt",
)  # fmt: skip
"""Names of bands that leave no doubt of what they hold."""

CLASSES = 16
"""Whole numbers below it in a ready index are classes; so many different values are none."""

CODES = (-9999.0, -32767.0, -32768.0, -99999.0)
"""Stored numbers that mean "nothing here" in files that do not declare it, whatever their scale and unit."""

SHORE, ABOVE = 150.0, 0.8
"""Zeros are no sea where more than that share of the ground beside them lies higher than so many metres."""

_VOIDS = (9999.0, 32767.0, 65535.0, 99999.0)
"""The same, where a measurement of that size would be impossible too."""


class Bounds:
    """What of a quantity's values cannot be a measurement, found part by part and judged over all of them.

    `quantity` and `name`: what is read, and the file's name, for the sentences.
    """

    def __init__(self, quantity: Quantity, name: str) -> None:
        self.quantity, self.name, self.kind = quantity, name, KINDS[quantity]
        self._pixels = self._gone = self._within = self._above = 0
        self._low, self._high, self._worst = np.inf, -np.inf, 0.0
        self._beyond, self._shares, self._others = 0, 0, set[float]()
        self._whole, self._classes = True, set[float]()

    def cut(self, values: F32, codes: Bools | None = None) -> F32:
        """Return a part with NaN where no measurement can be.

        `values`: ``(rows, columns)`` in the quantity's unit, NaN where missing; `codes`: where a number stood
        that is a code of nothing (`CODES`).
        """
        kind, finite = self.kind, np.isfinite(values)
        with np.errstate(invalid="ignore"):
            beyond = (values < kind.low) | (values > kind.high)
        if codes is not None:
            beyond |= codes & finite
        if self.quantity == "elevation":
            beyond |= _zero_fill(values, beyond)
        elif self.quantity == "index":
            self._count_classes(values[finite], values[beyond])
        self._pixels += values.size
        known: Array = values
        if beyond.any():
            voids = np.isin(values, (0.0, *_VOIDS)) | (np.abs(values) > 1e15)
            below = values < kind.low
            if kind.unit == "m/yr":  # numbers that differ are values of another unit, one alone is a fill
                below &= values == np.min(values, where=beyond & ~voids, initial=np.inf)
            undeclared = beyond & ((False if codes is None else codes) | voids | below)
            known, wrong = values[finite & ~undeclared], values[beyond]
            self._above += int(((known < kind.low) | (known > kind.high)).sum())
            self._worst = max(self._worst, float(wrong[np.argmax(np.abs(wrong))]), key=abs)
            if kind.rim:  # a void that was resampled before leaves a rim of values between it and the ground
                beyond = ndimage.binary_dilation(beyond, iterations=kind.rim)
            self._gone += int(np.count_nonzero(beyond))
            values = np.where(beyond, np.float32(np.nan), values)
        if known.size:
            self._within += int(np.count_nonzero((known >= kind.low) & (known <= kind.high)))
            self._low = min(self._low, float(np.fmin.reduce(known, axis=None)))
            self._high = max(self._high, float(np.fmax.reduce(known, axis=None)))
        return values

    def notes(self) -> tuple[str, ...]:
        """Say how much of all parts cannot be a measurement.

        DataError: half of the values or more lie beyond what can be: the numbers are in another unit or
        unscaled.
        """
        percents = len(self._others) > CLASSES and self._beyond > self._shares  # most of which may be 0
        high = self._above > 0 and (self.quantity == "elevation" or self._above >= self._within)
        if self._whole and self._classes and not percents:
            some = ", ".join(f"{value:g}" for value in sorted(self._classes))
            raise DataError(
                f"{self.name} holds classes ({some} beside 0 or 1), and nothing says which of them is snow",
                "write snow as 1 and other ground as 0, and declare what is neither nodata "
                "(gdal_edit.py -a_nodata 2 FILE)",
            )
        if percents or high:
            raise _contradiction(self._low, self._high, self.quantity, self.kind, self.name)
        if not self._gone:
            return ()
        what = "grey level" if self.quantity == "grey" else self.quantity
        return (
            f"{self.name}: {100 * (self._gone / self._pixels):.1f} % of the pixels hold no {what} but "
            f"undeclared nodata ({self._worst:g}): taken for missing",
        )

    def _count_classes(self, known: Array, beyond: Array) -> None:
        """Count what tells percents, and classes of which nothing says which is snow, from an index."""
        beyond = beyond[np.abs(beyond) < 1e15]
        self._beyond += beyond.size
        self._shares += int(np.count_nonzero((known != 0) & (np.abs(known) <= 1)))
        if len(self._others) <= CLASSES:
            self._others |= set(np.unique(beyond)[: CLASSES + 1].tolist())
        self._whole = self._whole and bool((known == np.rint(known)).all())
        if self._whole:
            few = known[(known != 0) & (known != 1) & (np.abs(known) < CLASSES)]
            self._classes |= set(np.unique(few).tolist())


def _zero_fill(values: F32, beyond: Bools) -> Bools:
    """Tell where a height of exactly 0 stands for none: nearly all ground beside it lies above `SHORE`.

    Each patch of zeros is judged by itself: one model may hold the sea and a border that was filled with 0.
    """
    zero: Bools = values == 0
    if not zero.any():
        return zero
    patches, count = ndimage.label(zero, np.ones((3, 3)))
    beside = np.where(zero | beyond | ~np.isfinite(values), 0, ndimage.grey_dilation(patches, (3, 3)))
    pixels = np.bincount(beside.ravel(), minlength=count + 1)
    high = np.bincount(beside[values > SHORE], minlength=count + 1)
    void: Bools = np.asarray((high > ABOVE * pixels) & (np.arange(count + 1) > 0))[patches]
    return void


def _contradiction(low: float, high: float, quantity: str, kind: Kind, name: str) -> DataError:
    """Word the refusal of numbers that cannot be what they are said to be."""
    if quantity == "elevation":
        units = (unit for unit, per in (("feet", 3.2808), ("decimetres", 10.0)) if high / per < kind.high)
        guess = next(units, "another unit")
        return DataError(
            f"{name}: heights reach {high:.0f}, which cannot be metres (perhaps {guess})",
            "convert the elevation model to metres, or state its unit (gdal_edit.py -units ft FILE)",
        )
    unit = {"1": "a share of one", "m": "metres", "m/yr": "metres a year"}[kind.unit]
    hint = "correct the file's scale and unit tags (gdal_edit.py -scale … -units …)"
    if quantity == "reflectance":
        hint = "these are unscaled numbers: say what they mean with --scale and --offset"
    elif quantity == "index":
        hint = "say what the numbers mean with --scale and --offset, e.g. --scale 0.01 for percent"
    return DataError(
        f"{name}: values of {quantity} lie between {low:g} and {high:g}, which cannot be {unit}", hint
    )
