"""Options of the five stages of the bed task. Light: read at every ``--help``."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from icectl.contract import BatchSize, CrsName, Draws, Options

TEST_GLACIERS = ("RGI60-01.16195",)
"""South Glacier: measured at 9,619 points, kept for the test."""


class World(Options):
    """The synthetic worlds, as ``[options.bed.fetch.world]`` of the glacier's file says."""

    count: int = Field(default=6, ge=2, le=200, description="Worlds: the first is the test, the rest train.")
    size: int = Field(default=192, ge=96, le=2048, description="Side in pixels of 30 m.")


class FetchOptions(Options):
    """Elevation models to learn from: one's own, one from a service, or the synthetic glacier's."""

    source: Literal["auto", "synthetic", "planetary-computer", "earth-search"] = Field(
        default="auto", description="Where the elevation model comes from; auto takes the glacier's own."
    )
    api: str | None = Field(
        default=None, pattern=r"^https?://[^\s?#@]+$", description="URL of another STAC API."
    )
    collection: str = Field(default="cop-dem-glo-30", description="STAC collection of the elevation model.")
    train_dem: tuple[Path, ...] = Field(
        default=(),
        description="Elevation model to learn from, or a folder of tiles of one; nothing is fetched then. "
        "May be given again.",
    )
    train_outlines: tuple[Path, ...] = Field(
        default=(), description="Outlines for each --train-dem, in their order (or one file for all)."
    )
    published: tuple[str, ...] = Field(
        default=(),
        description="Published data to bring for later, by name: rgi:11, rgi7:11 (outlines), glathida:3.1 "
        "(points), farinotti:11 (consensus thickness). May be given several times.",
    )
    world: World = Field(default=World(), description="The synthetic worlds: count, size.")

    def seeded(self) -> bool:
        """Tell whether the seed decides what is fetched: it does for the synthetic glacier alone."""
        return self.source == "synthetic"


class PrepareOptions(Options):
    """Ground to learn from, and glaciers of known thickness."""

    dem_crs: CrsName | None = Field(default=None, description="CRS of elevation models that carry none.")
    exclude: Path | None = Field(
        default=None, description="Vector file of more ice that the outlines do not list."
    )
    unlisted_ice: Literal["auto", "mask", "none"] = Field(
        default="auto",
        description="Mask ice that no outline lists by rule; auto: where more than half of what the rule "
        "suspects is unlisted.",
    )
    train_resolution: float | None = Field(
        default=30.0,
        gt=0,
        description="Pixel size of patches in metres; coarser elevation models keep their own.",
    )
    patch_size: int = Field(
        default=256, ge=32, le=2048, description="Side of a patch in pixels (7,680 m at 30 m)."
    )
    hole_size: int = Field(
        default=96,
        ge=8,
        le=1024,
        description="Side of the ice-free centre of a patch in pixels (2,880 m at 30 m).",
    )
    minimum_height: float = Field(default=2000.0, description="Least mean height of a patch in metres.")
    minimum_relief: float = Field(
        default=300.0, ge=0, description="Highest less lowest height of a patch in metres."
    )
    patches: int = Field(default=1500, ge=4, description="Most patches to draw from each elevation model.")
    thickness_data: tuple[Path, ...] = Field(
        default=(),
        description="Folder of glaciers of known thickness: dem_*/thickness_* rasters, or gridded CSV files. "
        "May be given again.",
    )
    hold_out: tuple[str, ...] = Field(
        default=TEST_GLACIERS, description="Glacier ids that train nothing. May be given several times."
    )


class TrainOptions(Options):
    """Both steps; a plugin adds the sizes of its network, and presets if it has any."""

    step: Literal["both", "inpaint", "thickness"] = Field(
        default="both", description="Which of the two steps to train."
    )
    net_size: int = Field(
        default=32,
        ge=16,
        le=1024,
        multiple_of=8,
        description="Side in pixels to which patches are averaged; smaller patches are left out.",
    )
    begin: Literal["flat", "fill"] = Field(
        default="flat", description="Answer the heights themselves, or what to add to a biharmonic fill."
    )
    updates: int = Field(default=100_000, ge=1, description="Updates of step (a).")
    batch_size: BatchSize = 12
    lr: float = Field(default=1e-4, gt=0, le=1, description="Learning rate of step (a).")
    validate_every: int = Field(default=500, ge=1, description="Updates between validations of step (a).")


class PredictOptions(Options):
    """Bed, thickness and volume of one glacier, of a list, or of a region; or holes filled in."""

    dem: Path | None = Field(
        default=None, description="Elevation model of the glaciers (GeoTIFF or a folder of tiles)."
    )
    outlines: Path | None = Field(
        default=None,
        description="Outlines (RGI 6 or 7, GLIMS, or any vector file), or rgi:11, rgi7:11 to fetch those.",
    )
    fill: Path | None = Field(
        default=None,
        description="Fill in holes of --dem instead: a mask (raster of what is not 0, or polygons), or the "
        "elevation model itself for its voids.",
    )
    ids: tuple[str, ...] = Field(
        default=(), description="Glacier id, e.g. RGI60-11.01421. May be given several times."
    )
    region: str | None = Field(default=None, pattern=r"^\d{1,2}$", description="RGI region, e.g. 11.")
    dem_crs: CrsName | None = Field(default=None, description="CRS of elevation models that carry none.")
    smallest: float = Field(default=0.01, ge=0, description="Least area of a glacier in km².")
    velocity: tuple[Path, ...] = Field(
        default=(), description="Surface velocity: speed, or the two components. May be given twice."
    )
    mass_balance: Path | None = Field(
        default=None, description="Mass balance (m of ice a year) on the glacier."
    )
    rounds: int = Field(default=5, ge=1, le=50, description="Sampled masks of step (a), for its spread.")

    def needs(self) -> tuple[str, ...] | None:
        """Return the trained networks alone where the elevation model is the user's own."""
        return None if self.dem is None else ("train",)


class EvaluateOptions(Options):
    """Scores on ice-free holes, and against measured thickness."""

    points: Path | None = Field(
        default=None,
        description="Measured thickness: GlaThiDa TTT (CSV), points of any vector file, or glathida:3.1.",
    )
    points_field: str | None = Field(
        default=None, description="Column of the thickness; by default THICKNESS, thickness or thick."
    )
    points_crs: CrsName | None = Field(default=None, description="CRS of x and y in a table of --points.")
    since: int | None = Field(
        default=None, ge=1900, le=2100, description="Leave out surveys before this year."
    )
    holes: tuple[int, ...] = Field(
        default=(32, 64, 96),
        description="Sides of ice-free test holes in pixels. May be given several times.",
    )
    holes_each: int = Field(default=25, ge=1, description="Test holes of each size and elevation model.")
    bootstrap: Draws = 1_000
    farinotti: Path | None = Field(
        default=None,
        description="Raster of Farinotti et al. 2019, a folder of them, or farinotti:11, to compare pixel by "
        "pixel.",
    )
    millan: Path | None = Field(
        default=None, description="Raster of Millan et al. 2022, or a folder of them, to compare likewise."
    )

    def needs(self) -> tuple[str, ...]:
        """Return the prediction alone; ice-free holes are scored where it needed ground to learn from."""
        return ("predict",)
