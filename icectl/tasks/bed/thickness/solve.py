"""Thickness of one glacier, as arrays: physical estimates, the law that joins them, and its interval."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from icectl.arrays import F32, F64, Bools, Floats
from icectl.imagery.missing import nearest
from icectl.tasks.bed.fill import smooth
from icectl.tasks.bed.readers import thickness_samples as samples
from icectl.tasks.bed.thickness import physics
from icectl.tasks.bed.thickness.features import glacier_features, margin_distance, thinning
from icectl.tasks.bed.thickness.law import Law, size_of

LEVEL_ERROR, LOCAL_ERROR = 0.4, 0.35
"""Standard deviations of ln thickness by the inversion of a velocity, of a glacier's mean and about it.

The mean holds what sliding, the rate factor and the shape of the valley are off: thickness goes with the
fourth root of speed over rate, so sliding of 0 to 0.9 and a rate within a factor of three make 0.4.
"""

VELOCITY_SHARE = 0.5
"""Least share of the ice with a velocity that is not zero, below which a field is not used."""

SLOWEST = 1.0
"""Metres a year that the fastest ice of a glacier moves at least: satellites tell no slower motion."""

TOO_SLOW = f"the velocity is below {SLOWEST:g} m a year on the ice and is not used"
FAR_OFF = "times the law's thickness and is not used"
"""How notes end on a velocity that may be in another unit, where that is so of all glaciers."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A glacier and its surroundings: heights (m, NaN unknown), its ice, all ice, and what is known of it.

    `speed` is m/a, `balance` m of ice a year, both NaN where unknown; `region` the two digits of an RGI
    region; `area` km² on the ground by the outline, by default that of the pixels of ice.
    """

    heights: F64
    ice: Bools
    all_ice: Bools
    resolution: float
    speed: F64 | None = None
    balance: F64 | None = None
    region: str = ""
    area: float | None = None

    @property
    def surface(self) -> F64:
        """Heights (m) without voids: on the ice by a membrane over their rims, else by the nearest pixel."""
        whole, void = samples.whole(self.heights), self.ice & ~np.isfinite(self.heights)
        return smooth.bounded(smooth.harmonic, whole, void) if void.any() else whole


@dataclass(slots=True)
class Thickness:
    """Thickness (m) with its 90 % interval on the scene's grid, 0 off the glacier; `others` by name.

    `factor` is what the 90 % interval of the volume extends to, up and down.
    """

    thickness: F64
    low: F64
    high: F64
    factor: float
    others: dict[str, F64]
    notes: tuple[str, ...] = ()


def solve(scene: Scene, law: Law) -> Thickness:
    """Return the thickness of a glacier, worked out on its own grid of about 70 pixels across.

    With a velocity, thickness is the mean of the logarithms of the law's and the inversion's, each weighted
    by the inverse of its expected variance: one weight for the glacier's mean, one for what differs from it.
    """
    surface = scene.surface
    part = frame(scene.ice, 6)
    fine = Scene(
        surface[part], scene.ice[part], scene.all_ice[part], scene.resolution,
        _part(scene.speed, part), _part(scene.balance, part), scene.region,
    )  # fmt: skip
    small = _working(fine)
    found = glacier_features(
        small.heights, small.ice, small.resolution, all_ice=small.all_ice, balance=small.balance
    )
    features = np.moveaxis(found.channels, 0, -1)
    full = _full(law, features, small.ice, scene.region)
    size = size_of(features[small.ice])
    _, variance = law.level(scene.region, size)
    near = thinning(margin_distance(fine.ice, fine.all_ice, scene.resolution))
    others = {"mass conservation": _back(0.50 * found.flux, small.ice, fine.ice)}
    inverted, notes = _inverted(fine, small, full)
    if inverted is not None:
        others["law alone"] = _back(full, small.ice, fine.ice) * near
        others["velocity inversion"] = _back(inverted, small.ice, fine.ice) * near
        full = _mixed(full, inverted, variance, law.local)
    thickness = _back(full, small.ice, fine.ice) * near
    low, high = law.interval(thickness, scene.region, size)
    return Thickness(
        thickness=_placed(thickness, part, scene.ice),
        low=_placed(low, part, scene.ice),
        high=_placed(high, part, scene.ice),
        factor=law.volume_factor(scene.region, size),
        others={name: _placed(a, part, scene.ice) for name, a in others.items()},
        notes=notes,
    )


def _full(law: Law, features: F32, ice: Bools, region: str) -> F64:
    out = np.zeros(ice.shape)
    out[ice] = law.full(features[ice], region)
    return out


def _mixed(full: F64, inverted: F64, level: float, local: float) -> F64:
    """Return thickness between the law's and the inversion's; `level` and `local` are the law's variances."""
    both = (inverted > 0) & (full > 0)
    own, theirs = np.log(full[both] + 1.0), np.log(inverted[both] + 1.0)
    off = theirs - own
    shift = off.mean() * level / (level + LEVEL_ERROR**2)
    out = full.copy()
    out[both] = np.exp(own + shift + (off - off.mean()) * local / (local + LOCAL_ERROR**2)) - 1.0
    return out


def _working(fine: Scene) -> Scene:
    area = float(fine.ice.sum() * fine.resolution**2 / 1e6)
    zoom = min(1.0, fine.resolution / samples.working_resolution(area))
    ice = samples.rescale(fine.ice.astype(np.float64), zoom) > 0.5
    if not ice.any():  # thinner than a working pixel
        zoom, ice = 1.0, fine.ice
    all_ice = samples.rescale((fine.ice | fine.all_ice).astype(np.float64), zoom) > 0.5
    speed, balance = (_rescaled(field, fine.ice, zoom) for field in (fine.speed, fine.balance))
    surface = samples.rescale(fine.heights, zoom)
    return Scene(surface, ice, all_ice, fine.resolution / zoom, speed, balance, fine.region)


def _part(field: F64 | None, part: tuple[slice, slice]) -> F64 | None:
    return None if field is None else field[part]


def _rescaled(field: F64 | None, ice: Bools, zoom: float) -> F64 | None:
    if field is None or not (np.isfinite(field) & ice).any():
        return None
    return samples.rescale(samples.whole(field), zoom)


def _inverted(fine: Scene, small: Scene, full: F64) -> tuple[F64 | None, tuple[str, ...]]:
    """Return thickness by the inversion of the velocity, or why it is not used."""
    if fine.speed is None or small.speed is None:
        return None, ()
    moving = fine.speed[fine.ice] > 0
    if moving.mean() < VELOCITY_SHARE:
        words = (
            f"the velocity is zero or missing on {100 * (1 - moving.mean()):.0f} % of the ice and is not used"
        )
        return None, (words,)
    if float(np.nanpercentile(fine.speed[fine.ice], 99)) < SLOWEST:
        return None, (TOO_SLOW,)
    length = 4.0 * float(full[small.ice].mean())
    made = physics.velocity_inversion(small.heights, small.ice, small.resolution, small.speed, length)
    usual = float(np.median(made[small.ice]) / max(np.median(full[small.ice]), 1.0))
    if not 1 / 4 < usual < 4:
        return None, (f"the inversion of the velocity gives {usual:.2g} {FAR_OFF}",)
    return made, ()


def _back(values: Floats, ice: Bools, target: Bools) -> F64:
    """Bring values from the working grid to the shape of `target`; off the ice neighbours lend theirs."""
    whole = nearest(np.asarray(values, dtype=np.float64), ice)
    axes = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(target.shape, whole.shape, strict=True)]
    wide = ndimage.map_coordinates(whole, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")
    return np.where(target, np.maximum(wide, 0.0), 0.0)


def _placed(values: F64, part: tuple[slice, slice], ice: Bools) -> F64:
    out = np.zeros(ice.shape)
    out[part] = values
    return np.where(ice, out, 0.0)


def frame(mask: Bools, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns that hold `mask`, with `margin` more on each side."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(cols[0]) - margin), int(cols[-1]) + 1 + margin),
    )
