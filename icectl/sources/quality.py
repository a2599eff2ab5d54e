"""How much of the area a scene shows: the shares of cloud and of missing pixels inside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from icectl.arrays import Array, Bools
from icectl.imagery.qa import QaPixel, Scl


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Percentages inside the area: missing of all pixels, cloud of those that are not missing."""

    cloud: float | None
    missing: float

    def verdict(self, max_cloud: float, max_missing: float) -> str:
        """Return why a scene is left out, or nothing."""
        if self.missing > max_missing:
            return "with too many missing pixels in the area"
        if self.cloud is not None and self.cloud > max_cloud:
            return "too cloudy in the area"
        return ""


def shares(layer: Array, kind: str, nodata: float | None, inside: Bools) -> Shares:
    """Measure one layer.

    Cloud is cloud of high confidence or cirrus by ``qa_pixel``, and the cloud classes 8 to 10 of
    ``scl``; shadow is not counted. Other layers know only missing pixels.

    Parameters
    ----------
    layer
        Flags ``(rows, columns)``, or any band.
    kind
        ``"qa_pixel"``, ``"scl"``, or the name of a band.
    nodata
        The band's number for nothing; NaN counts always.
    inside
        The area's pixels.
    """
    values = layer[inside]
    if kind == "qa_pixel":
        gone = (values & int(QaPixel.FILL)) != 0
        cloud = (values & int(QaPixel.CLOUD | QaPixel.CIRRUS)) != 0
    elif kind == "scl":
        gone = values == int(Scl.NO_DATA)
        cloud = np.isin(values, [int(Scl.CLOUD_MEDIUM), int(Scl.CLOUD_HIGH), int(Scl.CIRRUS)])
    else:
        gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        gone |= values == nodata if nodata is not None else False
        return Shares(cloud=None, missing=_percent(gone, values.size))
    seen = int(values.size - gone.sum())
    return Shares(cloud=_percent(cloud & ~gone, seen), missing=_percent(gone, values.size))


def _percent(hits: Bools, of: int) -> float:
    return 100.0 * float(hits.sum()) / of if of else 0.0
