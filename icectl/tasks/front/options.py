"""Options of the five stages of the front task. Light: read at every ``--help``."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from icectl.contract import BatchSize, CrsName, Draws, Options
from icectl.sources.options import Placed, SceneQuery

Source = Literal["auto", "folder", "synthetic", "planetary-computer", "earth-search", "calfin", "caffe"]

WORDS = {"up": 0.0, "right": 90.0, "down": 180.0, "left": 270.0}
"""Directions in an image, in degrees clockwise from its top."""

COMPASS = {"north": 0.0, "east": 90.0, "south": 180.0, "west": 270.0}
"""Directions on the ground, in degrees clockwise from north."""


class World(Options):
    """The synthetic fjords, as ``[options.front.fetch.world]`` of the glacier's file says."""

    first: int = Field(default=0, ge=0, description="Seed of the first; others are other places.")
    count: int = Field(default=3, ge=1, le=50, description="Fjords.")
    years: int = Field(default=4, ge=1, le=60, description="Years of a series.")
    size: int = Field(default=128, ge=64, le=2_048, description="Side in pixels.")


class FetchOptions(SceneQuery):
    """Images, and the labels that belong to them."""

    dates: str | None = Field(
        default=None,
        description="Days of the series as FIRST/LAST (YYYY-MM-DD, both included; '..' is open), instead of "
        "--start and --end.",
    )

    source: Source = Field(  # type: ignore[assignment]
        default="auto",
        description="Where images come from; auto takes --scenes, else the glacier's own source, else "
        "planetary-computer. calfin is the archive of Cheng et al. (doi:10.7280/D1FH5D), caffe that of "
        "Gourmelon et al. (doi:10.1594/PANGAEA.940950; with --scenes, a copy of your own).",
    )
    labels: Path | None = Field(
        default=None, description="Folder of labels: lines or masks as PNG or GeoTIFF, or vector files."
    )
    table: Path | None = Field(
        default=None,
        description="CSV with a column 'image' and columns of conditions (glacier, clouds, tongue …).",
    )
    asset: str = Field(
        default="nir08",
        description="Band to fetch, or to take from a folder of scenes with several: nir08, red or pan of "
        "Landsat, hh of sentinel-1-rtc.",
    )
    wrs_glaciers: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Glacier names by WRS path and row, e.g. helheim = ['233013']."
    )
    world: World = Field(default=World(), description="The synthetic fjords: first, count, years, size.")

    @model_validator(mode="before")
    @classmethod
    def _from_dates(cls, values: Any) -> Any:
        """Turn ``dates`` into the first day and the day after the last."""
        if not isinstance(values, Mapping) or values.get("dates") is None:
            return values
        first, last = days_of(str(values["dates"]))
        meant = {"start": first, "end": None if last is None else last + timedelta(days=1)}
        for name, day in meant.items():
            if values.get(name) is not None and str(values[name]) != str(day):
                raise ValueError("give --dates, or --start and --end, not both")
        return {**values, **meant}


def days_of(dates: str) -> tuple[date | None, date | None]:
    """Return first and last day of an interval in STAC's form; None where it is open.

    >>> days_of("2013-06-01/2013-06-30")
    (datetime.date(2013, 6, 1), datetime.date(2013, 6, 30))
    >>> days_of("2013-06-01/..")
    (datetime.date(2013, 6, 1), None)
    """
    parts = dates.split("/")
    try:
        first, last = (None if part in ("", "..") else date.fromisoformat(part) for part in parts)
    except ValueError:
        raise ValueError(f"'{dates}' is no interval: give FIRST/LAST, e.g. 2013-06-01/2020-09-30") from None
    return first, last


class PrepareOptions(Placed):
    """From images and labels to one data set."""

    of_the_images: ClassVar[frozenset[str]] = Placed.of_the_images | {"flow", "flow_from"}

    label_kind: Literal["auto", "line", "mask"] = Field(
        default="auto", description="What label rasters hold; auto decides by their area."
    )
    flow: str = Field(
        default="auto",
        description="Where ice flows to: up, down, left or right in the image; north, east, south, west or "
        "degrees clockwise from north on the ground; unknown. auto: each image's own ('flow' in --table, the "
        "glacier's files), else found from the image.",
    )
    flow_from: Path | None = Field(
        default=None,
        description="File with the direction of flow: a line down the glacier, both components of a velocity "
        "(bands, or …vx… beside …vy…), or heights.",
    )
    band: int | None = Field(
        default=None, ge=1, description="Band to read of images with several; else their grey."
    )
    held_out: tuple[str, ...] = Field(
        default=(), description="Glaciers to test on and never to train on. May be given several times."
    )
    valid_share: float = Field(
        default=0.15, gt=0, lt=0.9, description="Share of the training images to validate on."
    )
    test_share: float = Field(
        default=0.25,
        ge=0,
        lt=0.9,
        description="Share of the latest dates to test on where no glacier is held out.",
    )
    guard: float = Field(
        default=10.0, ge=0, description="Days between training and validation or test images of one glacier."
    )

    @field_validator("flow")
    @classmethod
    def _check_flow(cls, value: str) -> str:
        word = value.strip().lower()
        if word not in ("auto", "unknown"):
            bearing_of(word)
        return word


def bearing_of(flow: str) -> tuple[float, bool]:
    """Return a direction in degrees clockwise, and whether it is one on the ground (else in the image).

    >>> bearing_of("right"), bearing_of("south"), bearing_of("-10")
    ((90.0, False), (180.0, True), (350.0, True))
    """
    if flow in WORDS:
        return WORDS[flow], False
    if flow in COMPASS:
        return COMPASS[flow], True
    try:
        degrees = float(flow)
    except ValueError:
        degrees = float("nan")
    if not -360 <= degrees <= 360:
        known = ", ".join((*WORDS, *COMPASS))
        raise ValueError(f"'{flow}' is no direction: give {known}, or degrees clockwise from north")
    return degrees % 360, True


class TrainOptions(Options):
    """Network, augmentation and optimisation."""

    train_size: int | None = Field(
        default=None,
        ge=32,
        description="Longer side that images are resampled to; none trains on source pixels.",
    )
    crop: tuple[int, int] = Field(default=(128, 128), description="Rows and columns of a training crop.")
    augment: Literal["mild", "wide", "calfin"] = Field(
        default="mild",
        description="How far crops are turned, zoomed and changed in brightness (see the docs).",
    )
    edge_width: int = Field(default=3, ge=1, le=15, description="Width of the drawn front in pixels.")
    edge_share: float = Field(
        default=25 / 26, gt=0, le=1, description="Share of the edge in the loss; rest: mask."
    )
    lr: float = Field(default=2e-3, gt=0, le=1, description="Learning rate.")
    schedule: Literal["constant", "cosine"] = Field(
        default="cosine", description="Learning rate over the training: constant, or a warm-up and a cosine."
    )
    weight_decay: float = Field(
        default=1e-2, ge=0, le=1, description="Weight decay of AdamW; 0 makes it Adam."
    )
    average: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the running mean of weights that is kept; 0 is none."
    )
    batch_size: BatchSize = 8
    balance: bool = Field(default=True, description="Draw each glacier equally often.")
    updates: int = Field(default=250, ge=1, le=10_000_000, description="Updates to train for.")
    validate_every: int = Field(default=50, ge=1, description="Updates between validations.")


BEST: Mapping[str, Any] = {
    "crop": (256, 192),
    "augment": "wide",
    "edge_width": 5,
    "edge_share": 0.7,
    "updates": 5_000,
    "validate_every": 250,
}
"""What did best on glaciers left out, with about twenty minutes of one CPU core."""

CALFIN: Mapping[str, Any] = {
    # Domains resampled to 256 px and cropped to 224; Adam, 1e-4; 2 × 8 images an update; affine
    # augmentation; edge 25/26. Their weights are not averaged over time.
    "train_size": 256,
    "crop": (224, 224),
    "augment": "calfin",
    "lr": 1e-4,
    "weight_decay": 0.0,
    "schedule": "constant",
    "average": 0.0,
    "batch_size": 16,
    "balance": False,
    "updates": 260_000,  # 65 epochs of 4,000 steps
    "validate_every": 2_000,
}
"""Training of Cheng et al. 2021."""


class PredictOptions(Options):
    """The pose, the passes over each image, what counts as a front, and what is written."""

    turns: int = Field(
        default=12,
        ge=1,
        le=72,
        description="Directions to try, evenly around the circle, where the direction of flow is not given.",
    )
    thresholds: Literal["ours", "calfin"] = Field(
        default="ours",
        description="Thresholds, filters and averaging: ours, or those of Cheng et al.",
    )
    least_confidence: float = Field(
        default=0.03,
        ge=0,
        lt=1,
        description="A front of which the network is less sure is not reported ('no front found').",
    )
    fronts: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Most fronts to report in one image; ours 1 (of a large scene all), calfin all.",
    )
    domain: int = Field(
        default=384,
        ge=64,
        description="Larger scenes are cut into domains of this side (pixels of the network).",
    )
    fjord: Path | None = Field(
        default=None,
        description="Fjord between its walls (polygons, or a mask raster): fronts end at its walls, and "
        "polygons of glacier and ocean are written.",
    )
    product_crs: CrsName | None = Field(
        default=None, description="CRS of the products; EPSG:3413 for Greenland, else the images' own."
    )


class EvaluateOptions(Options):
    """What errors are broken down by, and the box for changes of length."""

    by: tuple[str, ...] = Field(
        default=("glacier", "sensor", "year", "slc_off"),
        description="Conditions to tabulate: these, or columns of --table. May be given several times.",
    )
    bootstrap: Draws = 1_000
    length_method: Literal["box", "centre-line"] = Field(
        default="box",
        description="Relative length: area of a box along the flow over its width, or a centre line.",
    )
