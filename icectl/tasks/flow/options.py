"""Options of the five stages of the flow task. Light: read at every ``--help``."""

from typing import Literal

from pydantic import Field

from icectl.contract import BatchSize, Draws, Options
from icectl.sources.options import Placed, SceneQuery

BANDS = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")
"""The seven bands of Min et al. (2019): 0.43 to 2.29 µm, Landsat-8 OLI."""

AHEAD = 2
"""Steps from the last frame seen (t0) to the one scored (t2)."""

LEAST_PAST = 4
"""Past frames that a window of a split in time has at least."""

CLOUDY = 0.3
"""Share of cloud from which a chip counts as cloudy."""

Side = Literal["north", "south", "east", "west"]


class World(Options):
    """The synthetic glacier, as ``[options.flow.fetch.world]`` of its file says."""

    setting: Literal["alpine", "fjord"] = Field(
        default="fjord", description="Slow valley glaciers, or a fast outlet into the sea."
    )
    frames: int = Field(default=12, ge=2, le=200, description="Dates.")
    size: int = Field(default=384, ge=128, le=4096, description="Side in pixels.")


class FetchOptions(SceneQuery):
    """Scenes of one track, or a folder of dated images."""

    bands: tuple[str, ...] = Field(default=BANDS, description="Bands to fetch. May be given several times.")
    max_cloud: float = Field(
        default=100.0, ge=0, le=100, description="Largest share of cloud inside the area in percent."
    )
    same_track: bool = Field(
        default=True, description="Take only scenes of the glacier's own WRS-2 path and row."
    )
    pattern: str | None = Field(
        default=None, description="Regular expression with named groups (year, month, day) for file names."
    )
    aerosol_limit: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Fetch the aerosol band too, and leave out frames with more high aerosol than this"
        " percentage.",
    )
    world: World = Field(default=World(), description="The synthetic glacier: setting, frames, size.")


class PrepareOptions(Placed):
    """From scenes to chip sequences that follow the ice."""

    chip: int = Field(default=64, ge=16, le=512, description="Side of a chip in pixels.")
    chips: int = Field(
        default=120,
        ge=0,
        le=1_000_000,
        description="Chips, on a regular grid of valid ground; 0 prepares frames alone, for velocity.",
    )
    scale: float = Field(
        default=1.5, gt=1, le=8, description="Width of the search window over that of a chip."
    )
    track: Literal["together", "each"] = Field(
        default="together",
        description="Follow the mean of all bands, or each band by itself as the paper does.",
    )
    trust: Literal["good", "all"] = Field(
        default="good",
        description="Carry a chip on by its velocity where its match is poor, as under cloud; or trust all"
        " matches, as the paper does.",
    )
    cloud_limit: float = Field(
        default=100.0, ge=0, le=100, description="Leave out frames with more cloud than this percentage."
    )
    cloud_guess: bool = Field(
        default=True, description="Guess clouds from brightness and texture where no quality band gives them."
    )

    def seeded(self) -> bool:
        """Return False: nothing is drawn."""
        return False


class TrainOptions(Options):
    """Windows, split and optimisation. A plugin adds its network's sizes, and presets if it has any."""

    past: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Frames that the network sees; in a split in time those drawn for it in training.",
    )
    split: Literal["ground", "time"] = Field(
        default="ground", description="Test on other ice at the same dates, or on dates never seen."
    )
    test_side: Side = Field(default="east", description="Side of the ground that is tested on.")
    test_share: float = Field(
        default=0.35,
        ge=0,
        lt=1,
        description="Share of the chips' ground, or dates, to test on; 0: train on all.",
    )
    valid_share: float = Field(
        default=0.1, ge=0, lt=0.5, description="Share of the ground, or dates, to validate on."
    )
    normalise: Literal["chip", "scene"] = Field(
        default="chip", description="Bring each chip to mean 0 and deviation 1, or each band to [0, 1]."
    )
    augment: bool = Field(default=True, description="Flip chips and turn them by quarters while training.")
    epochs: int = Field(default=40, ge=1, le=100_000, description="Passes over the training windows.")
    updates: int | None = Field(default=1500, ge=1, description="Stop after so many updates.")
    batch_size: BatchSize = 8
    lr: float = Field(default=2e-3, gt=0, le=1, description="Learning rate.")
    validate_every: int = Field(default=250, ge=1, description="Updates between validations.")


class PredictOptions(Options):
    """Chips of held-out ground, a forecast of the frames to come, and the velocity of the ice."""

    samples: int = Field(default=1, ge=1, le=1000, description="Futures to draw; one takes the prior's mean.")
    parts: Literal["test", "all"] = Field(
        default="test", description="Predict and score the test part only, or all."
    )
    forecast: bool = Field(
        default=True,
        description="Forecast chips and frames by the trained network; without it only the velocity is"
        " mapped, and nothing is trained.",
    )
    velocity_chip: int = Field(
        default=12, ge=8, le=256, description="Side of the smallest velocity chips in pixels."
    )
    velocity_reach: int = Field(
        default=16, ge=2, le=512, description="Pixels that a velocity chip is sought in every direction."
    )
    spacing: int = Field(default=12, ge=1, le=512, description="Pixels between velocities.")
    longest: float = Field(default=400.0, gt=0, description="Longest time between paired frames in days.")
    shortest: float = Field(default=1.0, gt=0, description="Shortest time between paired frames in days.")
    pairs: int = Field(
        default=12, ge=1, le=1000, description="Most pairs of frames to match for the velocity."
    )
    max_speed: float = Field(
        default=20_000.0, gt=0, description="Speed in metres (or pixels) a year above which cells are masked."
    )

    def needs(self) -> tuple[str, ...] | None:
        """Return what a velocity reads: frames, and no network."""
        return None if self.forecast else ("fetch", "prepare")

    def seeded(self) -> bool:
        """Return whether futures are drawn."""
        return self.forecast


class EvaluateOptions(Options):
    """Table 1 beside its baselines."""

    bootstrap: Draws = 1_000
