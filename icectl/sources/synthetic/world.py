"""World: one small physical landscape, the same for the same seed, that every view is taken of."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from affine import Affine
from scipy import ndimage

from icectl.arrays import F64, Bools
from icectl.errors import UsageError
from icectl.raster import Grid
from icectl.sources.synthetic.ice import Climate, Ice, grow
from icectl.sources.synthetic.terrain import Relief, ground

Setting = Literal["alpine", "fjord"]

FRONT_LINE = 0.7
"""Share of the fjord world's height, from the north, that the ice reaches at its greatest advance."""

_PLACES = {"alpine": ("EPSG:32643", 3_550_005.0, 32.0), "fjord": ("EPSG:32622", 7_800_015.0, 70.0)}
_RELIEF = {
    "alpine": Relief(),
    "fjord": Relief(
        base=-230.0,
        rise=1100.0,
        width=700.0,
        walls=0.5,
        flat=0.45,
        hang=330.0,
        single=True,
        roughness=60.0,
    ),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """A landscape with its ice. Fields are computed once, on first use (a few seconds for 256 × 256).

    Parameters
    ----------
    seed
        Names the landscape; worlds of different seeds lie in different places and share no ground.
    shape
        Rows and columns.
    resolution
        Pixel size (m).
    setting
        ``"alpine"``: valley glaciers between 2,500 and 5,000 m. ``"fjord"``: an outlet glacier that ends in
        the sea, faster and fed by more snow.
    """

    seed: int = 0
    shape: tuple[int, int] = (256, 256)
    resolution: float = 30.0
    setting: Setting = "alpine"

    def __post_init__(self) -> None:
        if min(self.shape) < 64 or self.resolution <= 0 or self.seed < 0:
            raise UsageError(
                f"a synthetic world of {self.shape[0]} × {self.shape[1]} pixels of {self.resolution} m, "
                f"seed {self.seed}, cannot be made",
                "at least 64 pixels a side, a positive pixel size, and a seed from 0",
            )

    @cached_property
    def grid(self) -> Grid:
        """CRS, transform and shape; pixel edges at 15 mod 30 m for 30 m pixels, as Landsat's are."""
        crs, north, _ = _PLACES[self.setting]
        east = 330_015.0 + 15_000.0 * (self.seed % 20)
        top = north + 15_000.0 * (self.seed // 20 % 40)
        return Grid(self.shape, Affine(self.resolution, 0, east, 0, -self.resolution, top), crs)

    @property
    def latitude(self) -> float:
        """Degrees north, for the height of the sun."""
        return _PLACES[self.setting][2]

    @property
    def relief(self) -> Relief:
        """The shape of the landscape."""
        return _RELIEF[self.setting]

    @cached_property
    def bed(self) -> F64:
        """Height of the ground below ice and sea (m)."""
        return ground(self.seed, self.shape, self.resolution, self.relief)

    @cached_property
    def climate(self) -> Climate:
        """The climate that the ice is in balance with."""
        if self.setting == "alpine":
            return Climate(equilibrium=float(np.quantile(self.bed, 0.68)), gradient=0.012)
        length = self.shape[0] * self.resolution
        return Climate(
            equilibrium=float(np.quantile(self.bed, 0.52 if length < 10_000 else 0.58)),
            gradient=0.01,
            accumulation=2.5 * min(1.0, 8000.0 / length),  # a longer catchment gathers more as it is
            sliding=1.5e-3,
            tilt=400.0 / length,
            fastest=700.0,
        )

    @cached_property
    def ice(self) -> Ice:
        """Thickness, surface and velocity; in a fjord, at the greatest advance of the front."""
        allowed = None
        if self.setting == "fjord":
            rows = np.arange(self.shape[0])[:, None]
            allowed = ~((self.bed < 0) & (rows >= FRONT_LINE * self.shape[0]))
        return grow(self.bed, self.resolution, self.climate, allowed)

    @property
    def thickness(self) -> F64:
        """Ice thickness (m), never negative, zero off the ice."""
        return self.ice.thickness

    @property
    def surface(self) -> F64:
        """Height of ice or ground (m): exactly bed + thickness."""
        return self.ice.surface

    @cached_property
    def glacier(self) -> Bools:
        """Where there is ice."""
        return self.thickness > 0

    @cached_property
    def snow_lines(self) -> tuple[float, float]:
        """Mean altitudes (m) of the snow line in late winter and late summer."""
        low, high = np.quantile(self.surface, (0.06, 0.72))
        return float(low), float(high)

    @cached_property
    def tree_line(self) -> float:
        """Altitude (m) below which grass grows."""
        return float(np.quantile(self.surface, 0.3))

    @cached_property
    def slope(self) -> tuple[F64, F64]:
        """Slope of the surface towards north and east (m per m)."""
        down, east = np.gradient(ndimage.gaussian_filter(self.surface, 0.7, mode="nearest"), self.resolution)
        return -down, east
