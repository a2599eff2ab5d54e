"""Quality layers: which pixels of a scene show the ground.

Every function takes the layer as stored and returns a boolean array of its shape, True where the
pixel may be used. Masked and fill pixels are never usable.
"""

from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np

from icectl.arrays import F32, I64, Bools


class QaPixel(IntFlag):
    """Bits of Landsat Collection 2 ``QA_PIXEL`` (USGS LSDS-1619, table 6-3)."""

    FILL = 1
    DILATED_CLOUD = 2
    CIRRUS = 4
    CLOUD = 8
    CLOUD_SHADOW = 16
    SNOW = 32
    CLEAR = 64
    WATER = 128


class Fmask(IntEnum):
    """Classes of an Fmask layer (Zhu and Woodcock 2012, as written by LEDAPS-era tools)."""

    CLEAR = 0
    WATER = 1
    CLOUD_SHADOW = 2
    SNOW = 3
    CLOUD = 4
    FILL = 255


class Scl(IntEnum):
    """Classes of Sentinel-2's scene classification layer ``SCL``."""

    NO_DATA = 0
    SATURATED = 1
    DARK_AREA = 2
    CLOUD_SHADOW = 3
    VEGETATION = 4
    BARE = 5
    WATER = 6
    UNCLASSIFIED = 7
    CLOUD_MEDIUM = 8
    CLOUD_HIGH = 9
    CIRRUS = 10
    SNOW = 11


def _numbers(layer: Any, fill: int) -> I64:
    """Return the layer as integers, with `fill` where it is masked or not finite."""
    values = np.ma.filled(layer, fill)
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, fill)
    return values.astype(np.int64)


def landsat(qa_pixel: Any) -> Bools:
    """Return the usable pixels of a Landsat Collection 2 scene by ``QA_PIXEL``.

    Fill, cloud and what lies beside it, cirrus and cloud shadow are refused. Snow is kept: it is what we
    look for. The cirrus bit is set by Landsat 8 and 9 only.
    """
    refused = QaPixel.FILL | QaPixel.CLOUD | QaPixel.DILATED_CLOUD | QaPixel.CIRRUS | QaPixel.CLOUD_SHADOW
    return np.asarray((_numbers(qa_pixel, int(QaPixel.FILL)) & int(refused)) == 0)


def landsat_c1(pixel_qa: Any) -> Bools:
    """Return the usable pixels by ``pixel_qa`` of Landsat Collection 1 (LSDS-1873, table 5-4).

    Its bits are others than those of Collection 2: 0 fill, 3 cloud shadow, 5 cloud; 8 and 9 tell how sure
    cirrus is.
    """
    values = _numbers(pixel_qa, 1)
    return np.asarray(((values & (1 | 1 << 3 | 1 << 5)) == 0) & ((values >> 8 & 3) < 3))


def low_aerosol(qa_aerosol: Any) -> Bools:
    """Return where Landsat 8/9's ``SR_QA_AEROSOL`` is no fill and its aerosol level is not high.

    Bits 6–7 hold the level: 0 climatology, 1 low, 2 medium, 3 high.
    """
    values = _numbers(qa_aerosol, 1)
    return np.asarray(((values & 1) == 0) & (((values >> 6) & 3) < 3))


def fmask(layer: Any) -> Bools:
    """Return the usable pixels by an Fmask layer: clear ground, snow and water."""
    return np.isin(_numbers(layer, int(Fmask.FILL)), [Fmask.CLEAR, Fmask.SNOW, Fmask.WATER])


class HlsFmask(IntFlag):
    """Bits of HLS v2.0's ``Fmask`` (HLS User Guide v2, table 9); bits 6 and 7 tell the aerosol level."""

    CIRRUS = 1
    CLOUD = 2
    ADJACENT = 4
    CLOUD_SHADOW = 8
    SNOW = 16
    WATER = 32


def hls_fmask(layer: Any) -> Bools:
    """Return the usable pixels by the ``Fmask`` of HLS: no cirrus, cloud, its edge or shadow; 255 is fill."""
    values = _numbers(layer, int(Fmask.FILL))
    refused = HlsFmask.CIRRUS | HlsFmask.CLOUD | HlsFmask.ADJACENT | HlsFmask.CLOUD_SHADOW
    return np.asarray(((values & int(refused)) == 0) & (values != int(Fmask.FILL)))


def holds_bits(layer: Any) -> bool:
    """Tell whether a layer called Fmask holds bits: numbers above those of the classes."""
    values = _numbers(layer, int(Fmask.FILL))
    return bool(((values > int(Fmask.CLOUD)) & (values != int(Fmask.FILL))).any())


def qa60(layer: Any) -> Bools:
    """Return the usable pixels by Sentinel-2's ``QA60``: bit 10 is opaque cloud, bit 11 cirrus."""
    missing = np.ma.getmaskarray(layer)
    return np.asarray(((_numbers(layer, 0) & (1 << 10 | 1 << 11)) == 0) & ~missing)


def scl(layer: Any) -> Bools:
    """Return the usable pixels by Sentinel-2's ``SCL``; no data, saturation, clouds, shadow are refused."""
    refused = [
        Scl.NO_DATA, Scl.SATURATED, Scl.CLOUD_SHADOW, Scl.CLOUD_MEDIUM, Scl.CLOUD_HIGH, Scl.CIRRUS,
    ]  # fmt: skip
    return ~np.isin(_numbers(layer, int(Scl.NO_DATA)), refused)


def keep(image: F32, usable: Bools) -> F32:
    """Return a copy of `image` with NaN where `usable` is False."""
    return np.where(usable, image, np.float32(np.nan))


READERS: dict[str, Callable[[Any], Bools]] = {
    "qa_pixel": landsat, "pixel_qa": landsat_c1, "scl": scl, "hls_fmask": hls_fmask, "fmask": fmask,
    "qa60": qa60,
}  # fmt: skip
"""What turns each kind of quality layer into usable pixels, by the asset's name."""
