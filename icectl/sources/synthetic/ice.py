"""The ice: a shallow-ice glacier relaxed on the ground under an elevation-dependent mass balance.

Mass conservation and the shallow-ice flux with sliding (Hutter 1983; Oerlemans 2001, ch. 4; Cuffey and
Paterson 2010, eq. 8.35 and ch. 7) are

    ∂H/∂t = b − ∇·q,    q = −D ∇s,    s = B + H,
    D = 2A/(n+2) (ρ g)ⁿ Hⁿ⁺² |∇s|ⁿ⁻¹ + C ρ g H²,

with b = min(γ (s − ELA), b_max), reduced where the ground is too steep to hold snow. They are solved on a
grid of about 100 m with implicit steps (D from the step before); the flux takes the thickness of the
higher neighbour, so that no ice leaves a cell that has none. The surface is then brought onto the fine
ground.
Surface velocity follows from the same law:

    u = −(2A/(n+1) (ρ g)ⁿ Hⁿ⁺¹ |∇s|ⁿ⁻¹ + C ρ g H) ∇s,

(C: linear Weertman sliding), kept below a greatest speed by the factor (1 + (u/u_max)⁴)^(−1/4), since
shallow ice overrates steep icefalls.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from icectl.arrays import F64, Bools
from icectl.imagery.missing import nearest
from icectl.sources.synthetic.noise import coarsen, resize, smooth

DENSITY = 917.0
"""kg m⁻³ of ice (Cuffey and Paterson 2010, table 2.1)."""

GRAVITY = 9.81
RATE = 2.4e-24 * 31_557_600
"""Glen's rate factor A at 0 °C, Pa⁻³ a⁻¹ (Cuffey and Paterson 2010, table 3.4)."""

GLEN = 3
DRIVE = (DENSITY * GRAVITY) ** GLEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """What feeds and drains the ice.

    `equilibrium`: equilibrium-line altitude (m).
    `gradient`: γ, change of the mass balance with height (m of ice a⁻¹ m⁻¹).
    `accumulation`: b_max (m of ice a⁻¹).
    `sliding`: C (m a⁻¹ Pa⁻¹): sliding speed per driving stress ``ρ g H |∇s|``.
    `tilt`: rise of the equilibrium line towards the south (m per m), zero at the northern edge.
    `fastest`: u_max (m a⁻¹).
    `years`: time of relaxation.
    """

    equilibrium: float
    gradient: float = 0.008
    accumulation: float = 1.5
    sliding: float = 0.0
    tilt: float = 0.0
    fastest: float = 200.0
    years: float = 300.0


@dataclass(frozen=True, slots=True)
class Ice:
    """Thickness (m), surface height (m) and surface velocity (m a⁻¹; x east, y north) on the fine grid."""

    thickness: F64
    surface: F64
    vx: F64
    vy: F64


def grow(bed: F64, resolution: float, climate: Climate, allowed: Bools | None = None) -> Ice:
    """Grow a glacier on `bed` until it nearly stands still.

    `bed`: height of the ground (m).
    `resolution`: pixel size (m).
    `climate`: mass balance and sliding.
    `allowed`: where ice may be; elsewhere it breaks off at once (the sea beyond the calving front).
    """
    factor = max(1, round(100 / resolution))
    rows, columns = (-(-n // factor) * factor for n in bed.shape)
    padded = np.pad(bed, ((0, rows - bed.shape[0]), (0, columns - bed.shape[1])), mode="edge")
    open_ = np.ones(padded.shape, bool)
    if allowed is not None:
        open_[: bed.shape[0], : bed.shape[1]] = allowed
    coarse = coarsen(padded, factor)
    thickness = relax(coarse, resolution * factor, climate, coarsen(open_, factor) > 0.5)
    fine = _refine(padded, coarse, thickness, resolution)[: bed.shape[0], : bed.shape[1]]
    fine = np.where(open_[: bed.shape[0], : bed.shape[1]], fine, 0.0)
    fine = _drop_specks(fine, resolution)
    vx, vy = velocity(fine, bed + fine, resolution, climate)
    return Ice(fine, bed + fine, vx, vy)


def relax(bed: F64, resolution: float, climate: Climate, allowed: Bools, start: F64 | None = None) -> F64:
    """Return the thickness (m) after ``climate.years`` of flow, from the thickness `start` or no ice."""
    bed = smooth(bed, 1.0)
    north = np.gradient(bed, resolution)
    holds = np.clip((0.85 - np.hypot(*north)) / 0.4, 0.0, 1.0)
    shaded = 80.0 * np.clip(north[0], -1, 1)  # a slope that falls to the north is in the shade
    line = climate.equilibrium + climate.tilt * resolution * np.arange(bed.shape[0])[:, None] - shaded
    thickness = np.zeros_like(bed) if start is None else start
    before: list[F64] = []
    step, elapsed = 0.5, 0.0
    while elapsed < climate.years:
        surface = bed + thickness
        balance = np.minimum(climate.gradient * (surface - line), climate.accumulation)
        balance = np.where(balance > 0, balance * holds, balance)
        now = [_diffusivity(bed, thickness, resolution, climate.sliding, axis) for axis in (0, 1)]
        # Half of the step before: D depends steeply on H, and undamped it swings from step to step.
        before = [0.5 * (a + b) for a, b in zip(now, before or now, strict=True)]
        thickness = np.where(allowed, _implicit_step(bed, thickness, balance, before, resolution, step), 0.0)
        elapsed += step
        step = min(step * 1.1, 3.0)
    return thickness


def _diffusivity(bed: F64, thickness: F64, resolution: float, sliding: float, axis: int) -> F64:
    """Return D (m² a⁻¹) between neighbours along `axis`, with the thickness of the higher one."""
    surface = bed + thickness
    along = np.diff(surface, axis=axis) / resolution
    across = np.gradient(surface, resolution, axis=1 - axis)
    low, high = (slice(None, -1), slice(None)), (slice(1, None), slice(None))
    first, second = (low, high) if axis == 0 else (low[::-1], high[::-1])
    slope2 = along**2 + (0.5 * (across[first] + across[second])) ** 2
    upstream = np.where(along < 0, thickness[first], thickness[second])
    deformation = 2 * RATE / (GLEN + 2) * DRIVE * upstream ** (GLEN + 2) * slope2 ** ((GLEN - 1) / 2)
    return np.asarray(deformation + sliding * DENSITY * GRAVITY * upstream**2)


def _implicit_step(
    bed: F64, thickness: F64, balance: F64, diffusivity: list[F64], resolution: float, step: float
) -> F64:
    """Solve one backward step for the surface on the cells that hold, or may get, ice."""
    active = ndimage.binary_dilation((thickness > 0) | (balance > 0), iterations=6)
    number = np.full(bed.shape, -1)
    number[active] = np.arange(active.sum())
    right = (bed + thickness + step * balance)[active]
    diagonal = np.ones(right.size)
    parts = []
    for axis in (0, 1):
        weight = step / resolution**2 * diffusivity[axis]
        low, high = ((slice(None, -1), slice(None)), (slice(1, None), slice(None)))
        first, second = (low, high) if axis == 0 else (low[::-1], high[::-1])
        both = (number[first] >= 0) & (number[second] >= 0)
        a, b, w = number[first][both], number[second][both], weight[both]
        np.add.at(diagonal, a, w)
        np.add.at(diagonal, b, w)
        parts += [(a, b, -w), (b, a, -w)]
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    every = np.arange(right.size)
    matrix = sparse.csc_matrix(
        (
            np.concatenate([values, diagonal]),
            (np.concatenate([rows, every]), np.concatenate([columns, every])),
        )
    )
    solved = bed.copy()
    solved[active] = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(right)
    made = np.maximum(solved - bed, 0.0)
    made[[0, -1]], made[:, [0, -1]] = 0.0, 0.0  # ice leaves over the edges of the world
    return made


def _refine(bed: F64, coarse: F64, thickness: F64, resolution: float) -> F64:
    """Return the thickness on the fine ground: the coarse surface, smooth, minus the rough ground."""
    depth = np.maximum(resize(thickness, (bed.shape[0], bed.shape[1])), 0.0)
    surface = resize(coarse + thickness, (bed.shape[0], bed.shape[1]), order=1)
    surface = smooth(surface, 60.0 / resolution)
    return np.where(depth > 3.0, np.clip(surface - bed, 0.0, 1.6 * depth + 5.0), 0.0)


def _drop_specks(thickness: F64, resolution: float) -> F64:
    """Remove patches of ice smaller than 3 ha, and films thinner than 2 m."""
    kept = np.where(thickness >= 2.0, thickness, 0.0)
    labels, _ = ndimage.label(kept > 0)
    sizes = np.bincount(labels.ravel()) * resolution**2
    small = sizes < 3e4
    small[0] = False
    return np.where(small[labels], 0.0, kept)


def velocity(thickness: F64, surface: F64, resolution: float, climate: Climate) -> tuple[F64, F64]:
    """Return the surface velocity (vx east, vy north; m a⁻¹); zero where there is no ice.

    Slope and thickness are averaged over a few ice thicknesses, for the stresses that shallow ice neglects.
    """
    sigma = 150.0 / resolution
    ice = thickness > 0
    weight = smooth(ice, sigma)
    inside = np.where(
        weight > 0.02, smooth(np.where(ice, surface, 0.0), sigma) / np.maximum(weight, 0.02), 0.0
    )
    down, east = np.gradient(nearest(inside, ice), resolution)  # of the ice alone: a cliff is no slope
    depth = smooth(thickness, 0.5 * sigma)
    slope2 = down**2 + east**2
    factor = 2 * RATE / (GLEN + 1) * DRIVE * depth ** (GLEN + 1) * slope2 ** ((GLEN - 1) / 2)
    factor += climate.sliding * DENSITY * GRAVITY * depth
    factor *= (1 + (factor * np.sqrt(slope2) / climate.fastest) ** 4) ** -0.25
    vx = smooth(np.where(ice, -factor * east, 0.0), sigma) / np.maximum(weight, 0.02)
    vy = smooth(np.where(ice, factor * down, 0.0), sigma) / np.maximum(weight, 0.02)
    edge = np.clip(ndimage.distance_transform_edt(ice) * resolution / 150.0, 0, 1)
    return np.where(ice, vx * edge, 0.0), np.where(ice, vy * edge, 0.0)
