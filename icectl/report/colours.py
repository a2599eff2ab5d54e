"""Colour scales, safe for the colour-blind, and rasters as small palette PNGs.

A pixel's number in the palette is its step on the scale; step 0 is transparent and means no data. So
the page can turn a colour back into a value, and a picture of 64 steps compresses well.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex

from icectl.arrays import F32, U8
from icectl.raster.write import png
from icectl.report.panels import Colours

STEPS = 96

_SNOW = LinearSegmentedColormap.from_list(
    "snow", ["#2e2a2b", "#5a4a42", "#4c6a8c", "#8db4d6", "#d9e9f5", "#ffffff"]
)
_NAMES = {
    "sequential": "viridis",
    "diverging": "PuOr",
    "speed": "plasma",
    "terrain": "cividis",
    "thickness": "viridis",
    "quality": "cividis",
    "grey": "gray",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """A colour scale from `low` to `high`."""

    colours: Colours
    low: float
    high: float

    @property
    def palette(self) -> U8:
        """``(STEPS, 3)`` RGB from low to high."""
        table = colour_map(self.colours)(np.linspace(0, 1, STEPS))
        return np.asarray(np.round(table[:, :3] * 255), dtype=np.uint8)

    def hexes(self, count: int = 9) -> list[str]:
        """Return colours along the scale, for a gradient."""
        return [to_hex(c) for c in colour_map(self.colours)(np.linspace(0, 1, count))]


def colour_map(name: Colours) -> Colormap:
    """Return matplotlib's colour map for a kind of value."""
    return _SNOW if name == "snow" else colormaps[_NAMES[name]]


def scale_for(
    images: Sequence[F32], colours: Colours, low: float | None = None, high: float | None = None
) -> Scale:
    """Return a scale over all images; bounds that are not given come from the 2nd and 98th percentile.

    A diverging scale is symmetric around zero.
    """
    valid = [v[np.isfinite(v)][::7] for v in images]
    sample = np.concatenate(valid) if valid else np.empty(0, np.float32)
    if sample.size == 0:
        sample = np.zeros(1, np.float32)
    if colours == "diverging":
        limit = high if high is not None else float(np.percentile(np.abs(sample), 98)) or 1.0
        return Scale(colours, -abs(limit), abs(limit))
    if colours == "grey":  # pictures: keep highlights
        bottom, top = np.percentile(sample, [0.5, 99.5])
    else:
        bottom, top = np.percentile(sample, [2, 98])
    bottom, top = float(bottom if low is None else low), float(top if high is None else high)
    return Scale(colours, bottom, top if top > bottom else bottom + 1.0)


def encode(values: F32, scale: Scale) -> bytes:
    """Return a palette PNG; missing pixels are transparent, values beyond the scale take its ends."""
    share = np.clip((values - scale.low) / (scale.high - scale.low), 0, 1)
    steps = np.zeros(values.shape, dtype=np.uint8)
    valid = np.isfinite(values)
    steps[valid] = np.rint(share[valid] * (STEPS - 1)).astype(np.uint8) + 1
    return png(steps, scale.palette)


def data_uri(png: bytes) -> str:
    """Return a PNG as a ``data:`` address."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def hill_shade(elevation: F32, spacing: float) -> U8:
    """Return light from the north-west on a surface, 120 (shade) to 255 (lit); missing pixels are 255.

    `spacing`: metres between the pixels of `elevation`.
    """
    holes = np.isnan(elevation)
    filled = np.where(holes, np.nanmean(elevation) if not holes.all() else 0, elevation)
    down, right = np.gradient(filled.astype(np.float64), spacing)
    slope = np.sqrt(1 + down**2 + right**2)
    light = (0.5 * right + 0.5 * down + 0.707) / slope  # towards the light: west, north, up
    shade = np.clip(120 + 135 * np.clip(light, 0, 1), 120, 255)
    shade[holes] = 255
    return np.asarray(np.rint(shade / 5) * 5, dtype=np.uint8)
