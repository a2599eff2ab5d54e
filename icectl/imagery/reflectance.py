"""From stored numbers to reflectance: scale, offset, nodata, saturation.

The offset does not cancel in a normalised difference, so it comes before any index: a snow pixel
of reflectance 0.6 (green) and 0.1 (short-wave infrared) has an NDSI of 0.71, and of 0.46 on the
raw Landsat numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from icectl.errors import DataError

FloatImage = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How one product stores reflectance: ``reflectance = scale · number + offset``.

    `nodata` and `saturated` are stored numbers that are no measurement.
    """

    scale: float
    offset: float = 0.0
    nodata: tuple[int, ...] = (0,)
    saturated: tuple[int, ...] = ()


LANDSAT_C2 = Scaling(scale=2.75e-5, offset=-0.2, nodata=(0,), saturated=(65535,))
"""Landsat Collection 2 Level-2 surface reflectance (USGS LSDS-1619, table 6-1)."""

LANDSAT_C1 = Scaling(scale=1e-4, nodata=(-9999,), saturated=(16000, 20000))
"""Landsat Collection 1 and LEDAPS surface reflectance (int16)."""


def sentinel2(baseline: str, offset_applied: bool = False) -> Scaling:
    """Return the scaling of a Sentinel-2 Level-2A scene.

    Since processing baseline 04.00 (25 January 2022) the numbers carry an offset of −1000, so that
    dark pixels are not cut off at zero; older scenes carry none.

    Parameters
    ----------
    baseline
        The item's ``s2:processing_baseline``, e.g. ``"04.00"`` or ``"05.09"``.
    offset_applied
        True where the archive has already taken the offset off
        (``earthsearch:boa_offset_applied`` in Earth Search items).

    Raises
    ------
    DataError
        If `baseline` is no baseline.

    Examples
    --------
    >>> sentinel2("05.09").offset
    -0.1
    >>> sentinel2("03.01").offset
    0.0
    """
    try:
        number = float(baseline)
    except ValueError:
        raise DataError(
            f"'{baseline}' is no Sentinel-2 processing baseline",
            "it looks like '04.00'; see the item's properties",
        ) from None
    shifted = number >= 4.0 and not offset_applied
    return Scaling(scale=1e-4, offset=-0.1 if shifted else 0.0, nodata=(0,), saturated=(65535,))


def missing_to_nan(values: Any) -> FloatImage:
    """Return `values` as float32 with NaN where a masked array is masked (or where it was NaN)."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float32), np.nan), dtype=np.float32)
    return np.asarray(values, dtype=np.float32)


def to_reflectance(
    numbers: Any, scaling: Scaling = LANDSAT_C2, saturated_is_missing: bool = True
) -> FloatImage:
    """Turn stored numbers into reflectance.

    Parameters
    ----------
    numbers
        Any shape, integer or float, plain or masked.
    scaling
        The product's `Scaling`.
    saturated_is_missing
        Whether saturated numbers count as missing. Bright snow saturates the visible bands of
        Landsat 5 and 7; set False to keep those pixels at the highest value.

    Returns
    -------
    float32 of the same shape, unitless (0 to about 1); NaN where there is no measurement.
    """
    data = np.ma.getdata(numbers)
    missing = np.ma.getmaskarray(numbers) | np.isin(data, scaling.nodata)
    if saturated_is_missing and scaling.saturated:
        missing |= np.isin(data, scaling.saturated)
    result = data.astype(np.float32)
    result *= np.float32(scaling.scale)
    result += np.float32(scaling.offset)
    result[missing] = np.nan
    return result
