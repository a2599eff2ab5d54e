"""The one reader of quantities: values in a stated unit, with a mask, on a north-up grid.

A raster file may store its rows from the south, its numbers with a scale and an offset, its voids as a
number, a mask or a transparent band, and its unit in a tag. `read_quantity` settles all of that, so that
no task has to.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from icectl.arrays import F32, Array, Bools
from icectl.errors import DataError, did_you_mean
from icectl.raster.files import opened
from icectl.raster.grid import Grid, grid_of_dataset, turns
from icectl.raster.ground import ground_metres
from icectl.raster.kinds import ABOUT, CODES, KINDS, LAYERS, Bounds, Kind, Quantity, factor_to, unit_in
from icectl.raster.onto import onto
from icectl.raster.read import part_of, read_open
from icectl.raster.stored import Info, Masked, masked
from icectl.raster.tiles import Window


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

    values: Array
    valid: Bools
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
) -> Field:
    """Read one band of a raster file as a quantity.

    Parameters
    ----------
    path
        GeoTIFF, VRT, PNG, NetCDF or whatever GDAL reads.
    quantity
        What it is; the reference page has its unit and bounds. ``"grey"`` is brightness of no unit.
    band
        1-based number, or the band's description; by default the one that is called as the quantity is, else
        the first.
    window
        The part to read, in rows and columns of the north-up raster or of `grid`; all of it by default.
    grid
        Another grid to read on.
    resampling
        How it comes onto `grid`: by default nearest for classes and reflectances, bilinear for other
        quantities, and ``"average"`` where pixels grow.
    numbers
        Scale, offset, nodata and unit, where they are known better than the file says.

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
    numbers = numbers or Numbers()
    reader = Reader(path, quantity, band=band, grid=grid, resampling=resampling, numbers=numbers)
    return replace(reader.read(window), notes=reader.notes())


@dataclass
class Reader:
    """One band of a raster file as a quantity, in parts; see `read_quantity` for what it is told.

    What is judged by all values together is judged over all parts, by `notes`.
    """

    path: str | Path
    quantity: Quantity
    _: KW_ONLY
    band: int | str | None = None
    grid: Grid | None = None
    resampling: str | None = None
    numbers: Numbers = field(default_factory=Numbers)

    def __post_init__(self) -> None:
        self._bounds, self._notes = Bounds(self.quantity, str(self.path)), dict[str, None]()
        self._shares: bool | None = None

    def read(self, window: Window | None = None) -> Field:
        """Return the values in a window of the grid that is read on; all of them by default."""
        kind, said, grid = KINDS[self.quantity], self.numbers, self.grid
        classes = self.quantity in ("label", "quality")
        with opened(self.path) as source:
            info = Info(self.path, source=source)
            number = band_of(info, self.band, kind.names)
            if self.band is None and kind.names and (say := unnamed(info)):
                self._notes[say] = None
            if self._shares is None:
                self._shares = self.quantity == "reflectance" and _shares(source, info, number, said)

            def cleaned(raw: Masked) -> F32:
                values, notes = _values(raw, info, number, said, self._bounds, bool(self._shares))
                self._notes |= dict.fromkeys(notes)
                return values

            if grid is not None and grid == info.grid:
                grid = None
            slanted = turns(source.transform) is None and (source.transform.a or source.transform.e)
            if grid is None and slanted and not classes:
                grid = info.grid  # between pixels, not at the nearest
            if grid is None:
                raw = read_open(source, self.path, window, number)
                found = info.grid if info.grid is None or window is None else info.grid[window.slices]
            else:
                own, found = info.grid or grid_of_dataset(source, self.path), part_of(grid, window, self.path)
                method = self.resampling or _resampling(kind, own, grid)
                raw = onto(source, found, method, number, None if classes else cleaned)
        if classes:
            gone = np.ma.getmaskarray(raw)
            for number_of_nothing in said.nodata:
                gone = gone | (raw.data == number_of_nothing)
            known = raw.data if self.quantity == "quality" else _brightness(raw.data, info)
            return Field(known, ~gone, found, "")
        values = cleaned(raw) if grid is None else raw.filled(np.nan)
        return Field(values, np.isfinite(values), found, kind.unit)

    def notes(self) -> tuple[str, ...]:
        """Return sentences on what was mended in all parts that were read.

        DataError: they hold nothing valid, or contradict the quantity.
        """
        return (*self._notes, *self._bounds.notes())


def _resampling(kind: Kind, own: Grid, grid: Grid) -> str:
    """Return how a quantity comes from its own grid onto another: the mean where pixels grow so much."""
    grows = kind.growth is not None and ground_metres(grid) > kind.growth * ground_metres(own)
    return "average" if grows else kind.resampling


def band_of(info: Info, band: int | str | None, names: Sequence[str] = ()) -> int:
    """Return the 1-based number of a band: as it is, by its description, or the first that fits `names`.

    DataError: the file has no band so called, or none of several that have names fits.
    """
    if isinstance(band, int):
        return band
    called = [str(text or "").strip().lower() for text in info.descriptions]
    if band is not None:
        if band.lower() not in called:
            known = [text for text in called if text] or [str(n) for n in range(1, info.count + 1)]
            raise DataError(f"{info.path} has no band '{band}'", did_you_mean(band, known))
        return called.index(band.lower()) + 1
    if exact := [called.index(name) + 1 for name in names if name in called]:
        return exact[0]
    words = [set(re.split(r"[^a-z0-9]+", text)) for text in called]
    fitting = [n for n, of in enumerate(words, 1) if of & set(names) and not of & ABOUT]
    if len(fitting) == 1:
        return fitting[0]
    if names and called[0] in set(LAYERS) - set(names) and info.count == 1:
        raise DataError(
            f"the band of {info.path} is called {called[0]}, and {names[0].replace('_', ' ')} is asked for",
            "give the file that holds it, or correct the band's name (rasterio's set_band_description)",
        )
    if names and info.count > 1 and all(called):
        raise DataError(
            f"{info.path} has the bands {', '.join(called[:6])}, and which of them is meant is not clear",
            f"call it '{names[0]}', or write it to a file of its own",
        )
    return 2 if info.alpha == 1 and info.count > 1 else 1


def unnamed(info: Info) -> str:
    """Return a sentence where one of several bands is read that no name tells apart, else nothing."""
    bands = info.count - bool(info.alpha)
    if bands < 2 or any(info.descriptions):
        return ""
    return f"{info.path} has {bands} bands without names: the first is read"


def _packed(info: Info, number: int, said: Numbers) -> tuple[float, float]:
    """Return scale and offset of a band: what is stated, else the file's."""
    scale = info.scales[number - 1] if said.scale is None else said.scale
    offset = info.offsets[number - 1] if said.scale is None else 0.0
    return scale, offset if said.offset is None else said.offset


def _gone(raw: Masked, info: Info, said: Numbers, quantity: Quantity) -> Bools:
    """Return where a number stands for nothing."""
    gone, nodata = np.ma.getmaskarray(raw), list(said.nodata)
    if quantity == "reflectance" and raw.dtype.kind == "u" and info.nodata is None:
        nodata.append(0)  # fill in every product that stores reflectance without a sign
    for number_of_nothing in nodata:
        gone = gone | (raw.data == number_of_nothing)
    return gone


def _values(
    raw: Masked, info: Info, number: int, said: Numbers, bounds: Bounds, shares: bool
) -> tuple[F32, list[str]]:
    """Turn stored numbers into values, NaN where missing: scale and offset, then the unit, then bounds."""
    quantity, kind, data, notes = bounds.quantity, bounds.kind, raw.data, list[str]()
    if info.palette and quantity == "grey":
        return _greys(raw, info.palette), []
    if data.dtype.kind == "c":
        raise DataError(f"{info.path} holds complex numbers", "write their amplitude to a file of its own")
    (scale, offset), gone = _packed(info, number, said), _gone(raw, info, said, quantity)
    if quantity == "grey" or data.dtype == np.uint8:
        data = _brightness(data, info)
    if shares:
        scale, offset = 1.0, 0.0
        notes.append(f"{info.path} holds reflectances as they are: its scale and offset are left out")
    stated = said.unit or info.units[number - 1]
    if not stated and kind.unit in ("m", "m/yr"):
        names = (info.descriptions[number - 1] or "", info.path.stem)
        stated = next((found for name in names if (found := unit_in(name, kind.unit))), None)
        if stated and factor_to(kind.unit, stated, "") != 1.0:
            notes.append(f"{info.path}: {quantity} is read in {stated}, as its name says")
    if quantity == "elevation" and data.dtype == np.uint8 and not stated and (scale, offset) == (1.0, 0.0):
        raise DataError(
            f"{info.path} holds numbers of one byte and no unit: a picture such as a hillshade, not heights",
            "if they are metres, say so, e.g. gdal_edit.py -units m FILE",
        )
    if quantity == "elevation" and not stated and info.grid is not None and "foot" in info.grid.crs.units[0]:
        raise DataError(
            f"{info.path} is in feet by its CRS, and whether its heights are feet or metres is not stated",
            "state it: gdal_edit.py -units ft FILE, or -units m FILE",
        )
    factor = factor_to(kind.unit, stated, f"{info.path}: {quantity}") if kind.unit else 1.0
    # Single precision is exact enough for numbers that it can hold; others are scaled first.
    single = data.dtype.kind == "b" or data.dtype.itemsize <= 2 or data.dtype == np.float32
    values: Array = data.astype(np.float32 if single else np.float64)
    values[gone] = np.nan
    if (scale * factor, offset * factor) != (1.0, 0.0):
        values *= scale * factor
        values += offset * factor
    with np.errstate(over="ignore"):
        values = values.astype(np.float32, copy=False)
    codes = np.isin(data, CODES) if data.dtype.kind in "if" and (data < -9000).any() else None
    return bounds.cut(values, codes), notes


def _greys(raw: Masked, palette: Mapping[int, tuple[int, ...]]) -> F32:
    """Return the mean of the colours that numbers stand for; NaN where they are transparent."""
    table = np.full(max(palette) + 2, np.nan, np.float32)
    for number, (red, green, blue, *alpha) in palette.items():
        table[number] = np.nan if alpha and alpha[0] == 0 else (red + green + blue) / 3
    return np.where(np.ma.getmaskarray(raw), np.float32(np.nan), table[np.clip(raw.data, 0, len(table) - 1)])


def _brightness(data: Array, info: Info) -> Array:
    """Return the numbers of a picture in which 0 is white counted from black."""
    return np.asarray(data.dtype.type(info.inverted) - data) if info.inverted else data


ROWS = 64
"""Rows of a file, or a few more, that tell whether its numbers are scaled."""


def _shares(source: Any, info: Info, number: int, said: Numbers) -> bool:
    """Tell whether floating numbers are shares already: tools that scale them often leave the tags."""
    if np.dtype(source.dtypes[number - 1]).kind != "f" or _packed(info, number, said) == (1.0, 0.0):
        return False
    rows = range(0, source.height, max(1, source.height // ROWS))
    parts = [masked(source, number, (slice(row, row + 1), slice(0, source.width))) for row in rows]
    known = np.abs(np.concatenate([part.data[~_gone(part, info, said, "reflectance")] for part in parts]))
    known = known[known < 9000]
    return bool(known.size and float(np.percentile(known, 99)) <= 2.0)
