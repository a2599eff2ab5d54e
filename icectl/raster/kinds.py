"""What is known of each quantity: its unit, its bounds, and what to say of numbers that lie beyond them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import ndimage

from icectl.arrays import F32, Array, Bools
from icectl.errors import DataError

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
        unit="m", low=-500.0, high=9000.0, rim=2, names=("elevation", "dem", "height", "z", "data", "surface")
    ),
    "thickness": Kind(unit="m", low=-1.0, high=5500.0, names=("thickness", "h", "ice_thickness")),
    "velocity": Kind(unit="m/yr", low=-1e5, high=1e5, names=("velocity", "v", "speed", "vx", "vy")),
    "mass balance": Kind(unit="m/yr", low=-200.0, high=200.0, names=("mass_balance", "smb", "dhdt")),
    "label": Kind(unit="", resampling="nearest", growth=None),
    "quality": Kind(unit="", resampling="nearest", growth=None),
}
"""Elevation: the shore of the Dead Sea lies at −430 m, Everest at 8849 m. The thickest ice is 4.9 km."""

CODES = (-9999.0, -32767.0, -32768.0, -99999.0)
"""Stored numbers that mean "nothing here" in files that do not declare it, whatever their scale and unit."""

SHORE = 300.0
"""Metres: where zeros are sea, some ground beside them lies lower than this."""

_VOIDS = (9999.0, 32767.0, 65535.0, 99999.0)
"""The same, where a measurement of that size would be impossible too."""


def bounded(
    values: F32, quantity: Quantity, name: str, codes: Bools | None = None
) -> tuple[F32, tuple[str, ...]]:
    """Set to NaN what cannot be a measurement, and say how much that is.

    Parameters
    ----------
    values
        ``(rows, columns)`` in the quantity's unit, NaN where missing.
    quantity, name
        What it is, and the file's name, for the sentence.
    codes
        Where a number stood that is a code of nothing (`CODES`).

    Raises
    ------
    DataError
        Half of the values or more lie beyond what can be: the numbers are in another unit or unscaled.
    """
    kind = KINDS[quantity]
    with np.errstate(invalid="ignore"):
        beyond = (values < kind.low) | (values > kind.high)
    if codes is not None:
        beyond |= codes & np.isfinite(values)
    if quantity == "elevation":
        beyond |= _zero_fill(values, beyond)
    if not beyond.any():
        return values, ()
    codes = np.zeros(values.shape, bool) if codes is None else codes
    voids = np.isin(values, (0.0, *_VOIDS)) | (np.abs(values) > 1e15)
    undeclared = beyond & (codes | voids | (values < kind.low))
    rest = values[np.isfinite(values) & ~undeclared]
    too_high = quantity == "elevation" and bool((beyond & ~undeclared).any())
    if rest.size and (too_high or not kind.low <= float(np.median(rest)) <= kind.high):
        raise _contradiction(rest, quantity, kind, name)
    worst = float(values[beyond][np.argmax(np.abs(values[beyond]))])
    if kind.rim:  # a void that was resampled before leaves a rim of values between it and the ground
        beyond = ndimage.binary_dilation(beyond, iterations=kind.rim)
    what = "grey level" if quantity == "grey" else quantity
    note = (
        f"{name}: {100 * beyond.mean():.1f} % of the pixels hold no {what} but undeclared nodata "
        f"({worst:g}): taken for missing"
    )
    return np.where(beyond, np.float32(np.nan), values), (note,)


def _zero_fill(values: F32, beyond: Bools) -> Bools:
    """Tell where a height of exactly 0 stands for none: no ground beside it reaches below `SHORE`."""
    zero: Bools = values == 0
    if not zero.any():
        return zero
    rest = values[np.isfinite(values) & ~beyond & ~zero]
    return zero if rest.size and float(rest.min()) > SHORE else np.zeros_like(zero)


def _contradiction(known: Array, quantity: str, kind: Kind, name: str) -> DataError:
    """Word the refusal of numbers that cannot be what they are said to be."""
    low, high = float(known.min()), float(known.max())
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
