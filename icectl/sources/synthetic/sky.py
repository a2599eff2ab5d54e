"""What stands between the ground and the satellite: clouds and their shadows, gaps, the edge of the swath."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from icectl.arrays import F64, Bools
from icectl.sources.synthetic.noise import fractal, generator


@dataclass(frozen=True, slots=True)
class Sky:
    """One look through the sky: opacity of clouds (0 to 1), their shadow (0 to 1), and seen pixels."""

    opacity: F64
    shadow: F64
    seen: Bools

    @property
    def cloud(self) -> Bools:
        """Where a mask of clouds would be set: any opacity that changes the ground's colour."""
        return self.opacity > 0.01

    @property
    def dark(self) -> Bools:
        """Where a mask of cloud shadows would be set."""
        return (self.shadow > 0.01) & ~self.cloud

    @property
    def dilated(self) -> Bools:
        """Three pixels around clouds, as CFMask's dilated cloud."""
        return np.asarray(ndimage.binary_dilation(self.cloud, iterations=3) & ~self.cloud)


def look(
    seed: int,
    day: int,
    shape: tuple[int, int],
    resolution: float,
    cover: float,
    azimuth: float,
    elevation: float,
) -> Sky:
    """Return the sky of one day, with clouds over the share `cover` of the scene.

    Shadows fall away from the sun by the cloud's height over the tangent of the sun's elevation.
    """
    rng = generator(seed, "sky", day)
    if cover <= 0:
        clear = np.zeros(shape)
        return Sky(clear, clear, np.ones(shape, bool))
    field = fractal(rng, shape, 3.3, 5000 / resolution, 60 / resolution)
    opacity = np.clip((field - np.quantile(field, 1 - min(cover, 1.0))) / 0.5, 0, 1)
    reach = rng.uniform(900, 2200) / np.tan(np.deg2rad(max(elevation, 20.0))) / resolution
    bearing = np.deg2rad(azimuth + 180.0)
    shift = (-reach * np.cos(bearing), reach * np.sin(bearing))
    shadow = ndimage.shift(opacity, shift, order=1, mode="mirror")
    return Sky(opacity, np.clip(shadow, 0, 1), np.ones(shape, bool))


def scan_line_gaps(seed: int, day: int, shape: tuple[int, int]) -> Bools:
    """Return the pixels that Landsat 7 misses since its scan-line corrector failed (2003-05-31).

    Wedges every 33 lines, tilted against the rows, that widen to one side from nothing to a dozen pixels.
    """
    rng = generator(seed, "gaps", day)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    side = columns / max(shape[1] - 1, 1)
    width = 2.0 + 9.0 * (side if rng.random() < 0.5 else 1 - side)
    line = rows + np.tan(np.deg2rad(9.0)) * columns + rng.uniform(0, 33)
    return np.asarray(np.mod(line, 33.0) < width)


def missing_wedge(seed: int, day: int, shape: tuple[int, int]) -> Bools:
    """Return the pixels beyond the edge of the swath: a corner cut by a line about 9° off the columns."""
    rng = generator(seed, "wedge", day)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    across = columns - np.tan(np.deg2rad(9.0)) * rows
    cut = np.quantile(across, rng.uniform(0.05, 0.35))
    return np.asarray(across < cut if rng.random() < 0.5 else across > across.max() - (cut - across.min()))
