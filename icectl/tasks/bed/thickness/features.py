"""What the thickness law and the networks of step (b) see of a glacier: its surface, its outline, physics."""

from dataclasses import dataclass

import numpy as np

from icectl.arrays import F32, F64, Bools, Floats
from icectl.tasks.bed.thickness import physics

FEATURES = ("ln flux thickness", "ln distance to the margin", "height", "ln slope", "ln relief", "ln size")
"""Channels of `Features`, in order; the last sets the level alone."""

MARGIN = 80.0
"""Metres from the margin over which ice thins out to nothing."""


@dataclass(frozen=True, slots=True)
class Features:
    """A glacier as step (b) sees it; all arrays are 0 off the ice.

    `channels` is ``(c, y, x)``; `flux` is the thickness (m) that carries the balance flux ``(y, x)``;
    `thinning` the share (0 to 1) that is left of the thickness near the margin ``(y, x)``.
    """

    channels: F32
    flux: F64
    thinning: F64


def glacier_features(
    surface: Floats,
    ice: Bools,
    resolution: float,
    *,
    all_ice: Bools | None = None,
    balance: Floats | None = None,
) -> Features:
    """Return what is known of a glacier without its thickness.

    `surface`: height of the ice surface (m), ``(y, x)``.
    `ice`: where the glacier is.
    `resolution`: pixel size in metres.
    `all_ice`: the glacier and its neighbours: a divide between them is no margin. By default the glacier
        alone.
    `balance`: mass balance (m of ice a year), NaN where unknown; without, one linear in height.

    >>> slope = np.linspace(400.0, 0.0, 40)[:, None] + np.zeros((40, 20))
    >>> ice = np.zeros((40, 20), dtype=bool)
    >>> ice[4:-4, 4:-4] = True
    >>> glacier_features(slope, ice, 50.0).channels.shape
    (6, 40, 20)
    """
    size = float(np.sqrt(ice.sum()) * resolution)
    source = None if balance is None else np.where(np.isfinite(balance), balance, np.nanmean(balance[ice]))
    flux = physics.mass_conservation(surface, ice, resolution, source)
    own = physics.edge_distance(ice, resolution)
    margin = own if all_ice is None else margin_distance(ice, all_ice, resolution, own)
    slope = np.maximum(physics.ice_slope(surface, ice, resolution, 0.05 * size), physics.GENTLEST)
    low, high = float(surface[ice].min()), float(surface[ice].max())
    height = (surface - low) / max(high - low, 1.0)
    # Glaciers of much relief are thicker: their bed carries more stress (Haeberli & Hoelzle 1995, *Ann.
    # Glaciol.* 21, 206–212).
    relief = float(np.ptp(np.percentile(surface[ice], (2, 98))))
    planes = [
        np.log(flux + 1.0),
        np.log(np.maximum(margin, 1.0)),
        height,
        np.log(slope),
        np.full(ice.shape, np.log(max(relief, 1.0))),
        np.full(ice.shape, np.log(size)),
    ]
    channels = np.where(ice, np.stack(planes), 0.0).astype(np.float32)
    return Features(channels, flux, thinning(margin))


def thinning(margin: F64) -> F64:
    """Return the share of the thickness that is left at a distance (m) from the margin, 0 at it."""
    return np.asarray(1.0 - np.exp(-margin / MARGIN))


def margin_distance(ice: Bools, all_ice: Bools, resolution: float, own: F64 | None = None) -> F64:
    """Return the distance (m) of each pixel of a glacier to where ice ends; divides are no end.

    It is no larger than the largest distance to the glacier's own outline (`own`): in the middle of an ice
    cap it says nothing of one of its basins.
    """
    own = physics.edge_distance(ice, resolution) if own is None else own
    far = physics.edge_distance(ice | all_ice, resolution)
    return np.where(ice, np.minimum(far, own.max(initial=resolution)), 0.0)
