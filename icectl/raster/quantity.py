"""The one door for a quantity that comes in: values in a stated unit, with a mask, on a north-up grid.

A raster file may store its rows from the south, its numbers with a scale and an offset, its voids as a
number, a mask or a transparent band, and its unit in a tag. `read_quantity` settles all of that, so that
no task has to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from icectl.errors import DataError, UsageError, did_you_mean
from icectl.raster.grid import Grid
from icectl.raster.read import Info, Masked, read, read_on
from icectl.raster.tiles import Window
from icectl.raster.units import factor_to

Quantity: TypeAlias = Literal[
    "reflectance", "index", "grey", "elevation", "thickness", "velocity", "mass balance", "label", "quality"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is known of a quantity: its unit, where its values can lie, and how it is resampled.

    `low` and `high` bound what can be measured; numbers beyond are missing. `rim` is how many pixels around
    such a number are missing too, where files are often resampled over their voids. `names` are what a
    band of it is called.
    """

    unit: str
    low: float = -np.inf
    high: float = np.inf
    resampling: str = "bilinear"
    rim: int = 0
    names: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "reflectance": Kind(unit="1", low=-0.2001, high=2.0),
    "index": Kind(unit="1", low=-1.001, high=1.001, names=("ndsi", "index")),
    "grey": Kind(unit=""),
    "elevation": Kind(
        unit="m", low=-500.0, high=9000.0, rim=2, names=("elevation", "dem", "height", "z", "data", "surface")
    ),
    "thickness": Kind(unit="m", low=-1.0, high=5500.0, names=("thickness", "h", "ice_thickness")),
    "velocity": Kind(unit="m/yr", low=-1e5, high=1e5, names=("velocity", "v", "speed", "vx", "vy")),
    "mass balance": Kind(unit="m/yr", low=-200.0, high=200.0, names=("mass_balance", "smb", "dhdt")),
    "label": Kind(unit="", resampling="nearest"),
    "quality": Kind(unit="", resampling="nearest"),
}
"""Elevation: the shore of the Dead Sea lies at −430 m, Everest at 8849 m. The thickest ice is 4.9 km."""

_VOIDS = (9999.0, 32767.0, 65535.0, 99999.0)
"""Numbers that mean "nothing here" in files that do not declare it; negative ones lie below every `low`."""


@dataclass(frozen=True, slots=True)
class Field:
    """A quantity on a grid.

    Attributes
    ----------
    values
        ``(rows, columns)``: float32 with NaN where missing; labels and quality layers as stored.
    valid
        Boolean of the same shape: where there is a value.
    grid
        The north-up grid; None for an image without a CRS.
    unit
        ``"m"``, ``"m/yr"``, ``"1"``, or nothing where numbers have no unit.
    notes
        Sentences on what was mended, to be passed on to the user.
    """

    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    grid: Grid | None
    unit: str
    notes: tuple[str, ...] = ()

    @property
    def masked(self) -> Masked:
        """The values with a mask that is True where there is none."""
        return np.ma.MaskedArray(self.values, mask=~self.valid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How stored numbers become values, where the file does not say: ``value = scale * number + offset``.

    What is stated here wins over the file's tags; None leaves it to the file.
    """

    scale: float | None = None
    offset: float | None = None
    nodata: Sequence[float] = field(default=())
    unit: str | None = None


def read_quantity(
    path: str | Path,
    quantity: Quantity,
    *,
    band: int | str | None = None,
    window: Window | None = None,
    grid: Grid | None = None,
    resampling: str | None = None,
    numbers: Numbers | None = None,
    crs: str | None = None,
) -> Field:
    """Read one band of a raster file as a quantity.

    Parameters
    ----------
    path
        GeoTIFF, VRT, PNG, NetCDF or whatever GDAL reads.
    quantity
        What it is; see `KINDS` for units and bounds. ``"grey"`` is brightness of no unit.
    band
        1-based number, or the band's description; by default the one that is called as the quantity is, else
        the first.
    window
        The part to read, in rows and columns of the north-up raster; all of it by default.
    grid
        Another grid to read on (then without `window`).
    resampling
        How it comes onto `grid`: bilinear for quantities and nearest for classes by default; ``"average"``
        where pixels grow.
    numbers
        Scale, offset, nodata and unit, where they are known better than the file says.
    crs
        The CRS of a file that carries none.

    Returns
    -------
    Field
        Values, mask, grid, unit, and sentences on what was mended.

    Raises
    ------
    DataError
        The file cannot be read, has no such band, states a unit of another kind, holds nothing valid, or
        values that contradict the quantity.

    Examples
    --------
    >>> dem = read_quantity("dem.tif", "elevation")  # doctest: +SKIP
    >>> dem.unit, dem.values.dtype, dem.grid.affine.e < 0  # doctest: +SKIP
    ('m', dtype('float32'), True)
    """
    kind, info, said = KINDS[quantity], Info(path), numbers or Numbers()
    if grid is not None and grid == info.grid:
        grid = None
    number = band_of(info, band, kind.names)
    if grid is None:
        raw = read(path, window, number)
        found = info.grid if info.grid is None or window is None else info.grid[window.slices]
    elif window is not None:
        raise UsageError("a window and another grid cannot be asked for together", "crop the grid")
    else:
        raw, found = read_on(path, grid, resampling or kind.resampling, number, crs=crs), grid
    mask = np.ma.getmaskarray(raw) | (np.isin(raw.data, said.nodata) if len(said.nodata) else False)
    if info.alpha and info.alpha != number and grid is None:
        mask = mask | (read(path, window, info.alpha).data == 0)
    if quantity in ("label", "quality"):
        return Field(raw.data, ~mask, found, "")
    what = f"{path}: {quantity}"
    values = _scaled(raw.data, info, number, said, kind, what)
    values[mask] = np.nan
    values, notes = bounded(values, quantity, str(path))
    return Field(values, np.isfinite(values), found, kind.unit, notes)


def band_of(info: Info, band: int | str | None, names: Sequence[str] = ()) -> int:
    """Return the 1-based number of a band: as it is, by its description, or the first that fits `names`.

    Raises
    ------
    DataError
        The file has no band so called.
    """
    if isinstance(band, int):
        return band
    called = [str(text or "").strip().lower() for text in info.descriptions]
    if band is not None:
        if band.lower() not in called:
            known = [text for text in called if text] or [str(n) for n in range(1, info.count + 1)]
            raise DataError(f"{info.path} has no band '{band}'", did_you_mean(band, known))
        return called.index(band.lower()) + 1
    fitting = (called.index(name) + 1 for name in names if name in called)
    return next(fitting, 2 if info.alpha == 1 and info.count > 1 else 1)


def _scaled(
    raw: npt.NDArray[Any], info: Info, number: int, said: Numbers, kind: Kind, what: str
) -> npt.NDArray[np.float32]:
    """Turn stored numbers into values: scale and offset, then the unit."""
    scale = info.scales[number - 1] if said.scale is None else said.scale
    offset = (
        said.offset if said.offset is not None else info.offsets[number - 1] if said.scale is None else 0.0
    )
    stated = said.unit or info.units[number - 1] or info.tags.get("units")
    factor = factor_to(kind.unit, stated, what) if kind.unit else 1.0
    # Single precision is exact enough for numbers that it can hold; others are scaled first.
    single = raw.dtype.kind == "b" or raw.dtype.itemsize <= 2 or raw.dtype == np.float32
    values: npt.NDArray[Any] = raw.astype(np.float32 if single else np.float64)
    if (scale * factor, offset * factor) != (1.0, 0.0):
        values *= scale * factor
        values += offset * factor
    return values.astype(np.float32, copy=False)


def bounded(
    values: npt.NDArray[np.float32], quantity: Quantity, name: str
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Set to NaN what cannot be a measurement, and say how much that is.

    Parameters
    ----------
    values
        ``(rows, columns)`` in the quantity's unit, NaN where missing.
    quantity, name
        What it is, and the file's name, for the sentence.

    Raises
    ------
    DataError
        Half of the values or more lie beyond what can be: the numbers are in another unit or unscaled.
    """
    kind = KINDS[quantity]
    with np.errstate(invalid="ignore"):
        beyond = (values < kind.low) | (values > kind.high)
    if not beyond.any():
        return values, ()
    known = values[np.isfinite(values)]
    undeclared = beyond & ((values < kind.low) | np.isin(values, _VOIDS) | (np.abs(values) > 1e15))
    rest = values[np.isfinite(values) & ~undeclared]
    too_high = quantity == "elevation" and bool((beyond & ~undeclared).any())
    if rest.size and (too_high or not kind.low <= float(np.median(rest)) <= kind.high):
        raise _contradiction(rest, quantity, kind, name)
    if kind.rim:  # a void that was resampled before leaves a rim of values between it and the ground
        beyond = ndimage.binary_dilation(beyond, iterations=kind.rim)
    worst = float(known[np.argmax(np.abs(known))])
    note = (
        f"{name}: {100 * beyond.mean():.1f} % of the pixels hold no {quantity} but undeclared nodata "
        f"({worst:g}): taken for missing"
    )
    return np.where(beyond, np.float32(np.nan), values), (note,)


def _contradiction(known: npt.NDArray[Any], quantity: str, kind: Kind, name: str) -> DataError:
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
    return DataError(
        f"{name}: values of {quantity} lie between {low:g} and {high:g}, which cannot be {unit}", hint
    )
