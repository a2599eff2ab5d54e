"""Options of the five stages of the front task. Light: read at every ``--help``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from icectl.contract import BatchSize, Options
from icectl.sources.options import SceneQuery

Source = Literal["auto", "folder", "synthetic", "planetary-computer", "earth-search", "calfin"]
Flow = Literal["auto", "unknown", "up", "down", "left", "right"]


_CALFIN: Mapping[str, Any] = {
    # Domains resampled to 256 px and cropped to 224; Adam, 1e-4; 2 × 8 images an update; affine
    # augmentation; edge 25/26. Their weights are not averaged over time.
    "train_size": 256,
    "crop": (224, 224),
    "rates": (1, 2, 3, 4, 5),
    "turn_angle": 12.0,
    "zoom": 1.0,
    "shift": 0.07,
    "tone": 0.0,
    "contrast": 0.0,
    "stretch": 1.0,
    "sharpen": 0.2,
    "noise": 0.2,
    "edge_share": 25 / 26,
    "optimizer": "adam",
    "lr": 1e-4,
    "schedule": "constant",
    "average": 0.0,
    "batch_size": 16,
    "balance": False,
    "updates": 260_000,  # 65 epochs of 4,000 steps
    "validate_every": 2_000,
}


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
        "planetary-computer. calfin is the archive of Cheng et al. (doi:10.7280/D1FH5D).",
    )
    labels: Path | None = Field(
        default=None, description="Folder of labels: lines or masks as PNG or GeoTIFF, or vector files."
    )
    table: Path | None = Field(
        default=None,
        description="CSV with a column 'image' and columns of conditions (glacier, clouds, tongue …).",
    )
    asset: str = Field(
        default="nir08", description="Band to fetch, e.g. nir08, red or pan of Landsat, hh of sentinel-1-rtc."
    )
    world: int = Field(default=0, ge=0, description="Seed of the synthetic fjord; others are other places.")
    worlds: int = Field(default=3, ge=1, le=50, description="Synthetic fjords, from --world on.")
    size: int = Field(default=128, ge=64, le=2_048, description="Side of the synthetic fjord in pixels.")
    years: int = Field(default=4, ge=1, le=60, description="Years of the synthetic fjord's series.")

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


class PrepareOptions(Options):
    """From images and labels to one data set."""

    label_kind: Literal["auto", "line", "mask"] = Field(
        default="auto", description="What label rasters hold; auto tells lines from masks by their area."
    )
    flow: Flow = Field(
        default="auto",
        description="Where ice flows to in every image, for sets turned that way; then there are no quarter "
        "turns, and a front alone tells glacier from ocean. auto: up where no image has a CRS and all fronts "
        "run from left to right, else unknown.",
    )
    band: int | None = Field(
        default=None, ge=1, description="Band to read of images with several; else their grey."
    )
    resolution: float | None = Field(
        default=None, gt=0, description="Metres per pixel of the source images where they have no CRS."
    )
    wrs_glaciers: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Glacier names by WRS path and row, e.g. helheim = ['233013']."
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


class TrainOptions(Options):
    """Network, augmentation and optimisation."""

    preset: Literal["small", "best", "paper", "calfin"] = Field(
        default="small",
        description="A network for two cores; what did best here; the paper's; the authors' layout.",
    )
    network: Literal["compact", "unet", "calfin", "tu-xception41", "tu-xception65", "tu-xception71"] = Field(
        default="compact", description="Network; the tu-xception… are DeepLabV3+."
    )
    width: int = Field(default=16, ge=4, le=256, description="Channels of the first level (compact, unet).")
    rates: tuple[int, ...] = Field(default=(1, 2, 3), description="Atrous rates. May be given several times.")
    layers: tuple[Literal["raw", "contrast", "shadows"], ...] = Field(
        default=("raw", "contrast", "shadows"), description="Input layers. May be given several times."
    )
    train_size: int | None = Field(
        default=None,
        ge=32,
        description="Longer side that images are resampled to; none trains on source pixels.",
    )
    crop: tuple[int, int] = Field(default=(128, 128), description="Rows and columns of a training crop.")
    turn_angle: float = Field(
        default=12.0, ge=0, le=180, description="Largest rotation of a crop in degrees."
    )
    zoom: float = Field(
        default=1.15, ge=1, le=4, description="Largest zoom of a crop, and its inverse the smallest."
    )
    shift: float = Field(default=0.1, ge=0, le=1, description="Largest displacement as a share of the crop.")
    tone: float = Field(default=1.0, ge=0, le=3, description="Strength of changes in brightness; 0 is none.")
    contrast: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of crops in which glacier and ocean change brightness apart.",
    )
    stretch: float = Field(default=1.3, ge=1, le=4, description="Largest ratio of zooms along two axes.")
    sharpen: float = Field(
        default=0.3, ge=0, le=1, description="Share of crops that are sharpened or blurred."
    )
    noise: float = Field(default=0.3, ge=0, le=1, description="Share of crops with added noise.")
    edge_width: int = Field(default=3, ge=1, le=15, description="Width of the drawn front in pixels.")
    edge_share: float = Field(
        default=25 / 26, gt=0, le=1, description="Share of the edge in the loss; rest: mask."
    )
    overlap: float = Field(default=1.0, ge=0, le=10, description="Weight of −ln IoU in the loss.")
    lr: float = Field(default=2e-3, gt=0, le=1, description="Learning rate.")
    optimizer: Literal["adamw", "adam"] = Field(default="adamw", description="Optimiser.")
    schedule: Literal["constant", "cosine"] = Field(
        default="cosine", description="Learning rate over the training: constant, or a warm-up and a cosine."
    )
    weight_decay: float = Field(default=1e-2, ge=0, le=1, description="Weight decay of AdamW.")
    average: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the running mean of weights that is kept; 0 is none."
    )
    batch_size: BatchSize = Field(
        default=8, ge=0, le=4_096, description="Images in a batch, over all processes; auto: as many as fit."
    )
    balance: bool = Field(default=True, description="Draw each glacier equally often.")
    updates: int = Field(default=250, ge=1, le=10_000_000, description="Updates to train for.")
    validate_every: int = Field(default=50, ge=1, description="Updates between validations.")
    patience: int = Field(default=1_000, ge=1, description="Validations without gain before training stops.")
    clip: float = Field(default=5.0, gt=0, description="Bound of the gradient's norm.")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {},
        "best": {
            "crop": (256, 192),
            "turn_angle": 15.0,
            "zoom": 1.4,
            "tone": 1.2,
            "contrast": 0.3,
            "sharpen": 0.4,
            "noise": 0.4,
            "edge_width": 5,
            "edge_share": 0.7,
            "updates": 1_000,
            "validate_every": 100,
        },
        "paper": {"network": "tu-xception65", **_CALFIN},
        "calfin": {"network": "calfin", **_CALFIN},
    }


class PredictOptions(Options):
    """Two passes over each image, filters, and the line; CALFIN's values are the defaults."""

    passes: Literal["auto", "whole", "one", "two"] = Field(
        default="auto",
        description="whole: the image at its own resolution; one: the domain at --full-size; two: and again "
        "each front's box. auto: whole for networks trained on source pixels, else two.",
    )
    full_size: int = Field(default=256, ge=32, le=4_096, description="Longer side of the domain in pass one.")
    window: int = Field(default=224, ge=32, le=4_096, description="Side of the network's windows.")
    window_stride: int = Field(default=16, ge=1, le=4_096, description="Pixels between windows.")
    flip: bool = Field(default=True, description="Average with the mirrored image.")
    zooms: tuple[float, ...] = Field(
        default=(0.8, 1.0, 1.25),
        min_length=1,
        description="Average over the image magnified by these factors (passes=whole). May be given several "
        "times.",
    )
    domain: int = Field(default=4_096, ge=64, description="Larger scenes are cut into domains of this side.")
    box_padding: float = Field(
        default=2.5, ge=1, le=20, description="Side of a front's box over the front's extent."
    )
    edge_threshold: float = Field(default=0.33, gt=0, lt=1, description="Probability of a skeleton's pixels.")
    box_threshold: float = Field(default=0.25, gt=0, lt=1, description="Probability of a front's box.")
    mask_threshold: float = Field(default=0.5, gt=0, lt=1, description="Probability of ice.")
    minimum_length: float = Field(
        default=0.125, ge=0, le=1, description="Shortest front as a share of --full-size."
    )
    minimum_area: float = Field(
        default=1e-4, ge=0, le=1, description="Smallest part as a share of pass one's area."
    )
    minimum_area_two: float = Field(default=5e-4, ge=0, le=1, description="The same in pass two.")
    minimum_relative: float = Field(
        default=0.15, ge=0, le=1, description="Smallest part as a share of the largest."
    )
    minimum_points: int = Field(default=4, ge=2, description="Fewest points of a line.")
    edge_confidence: float = Field(
        default=0.525, ge=0, le=1, description="Least confidence 2·mean|p − ½| of an edge."
    )
    mask_confidence: float = Field(
        default=0.0, ge=0, le=1, description="The same of the mask (0.875 to validate)."
    )
    band_bias: float = Field(
        default=1.0, ge=0, le=1, description="Largest |mean(mask − ½)| beside the edge (0.13 in production)."
    )
    mask_ratio: float = Field(
        default=32.0, gt=0, description="Largest ratio of ice to ocean, or ocean to ice."
    )
    front_distance: float = Field(
        default=0.25, ge=0, le=1, description="Least distance of fronts over --full-size."
    )
    fronts: int = Field(default=1, ge=1, le=100, description="Most fronts to report in one image.")
    neighbours: float = Field(
        default=0.25, gt=0, le=1, description="Share of nearest neighbours that bridge gaps."
    )
    bridge: float = Field(
        default=10.0, gt=0, description="Widest gap in pixels that a line bridges; CALFIN has no bound (inf)."
    )
    mask_support: int = Field(
        default=15,
        ge=0,
        le=255,
        description="An edge counts less where the ice mask hardly changes within a square of so many "
        "pixels; 0 looks at the edge alone, as CALFIN does, and so does a network that saw no mask.",
    )
    follow: Literal["tree", "path"] = Field(
        default="tree",
        description="Line by the skeleton's tree, or the cheapest path between that line's ends.",
    )
    fallback: bool = Field(
        default=True,
        description="Where no front passes the filters, lower the thresholds and flag the result.",
    )
    series: bool = Field(
        default=True,
        description="Read an image again whose front lies far from those of its glacier at near dates "
        "(five dated images of one grid or more).",
    )
    series_days: float = Field(
        default=500.0, gt=0, description="Days in which such neighbours' votes fade by 1/e."
    )
    series_agreement: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="Share of the series' median support below which a front disagrees.",
    )
    walls: bool = Field(
        default=True,
        description="Let fronts end at ground that stays the same on all dates of a glacier, and carry them "
        "on to it (five dated images of one grid or more).",
    )
    smoothing: float = Field(default=1.0, ge=0, le=50, description="Smoothing along the line in pixels.")
    fjord: Path | None = Field(
        default=None, description="Fjord boundary (vector, or mask raster): gives polygons."
    )
    product_crs: str | None = Field(
        default=None, description="CRS of the products; EPSG:3413 for Greenland, else the images' own."
    )

    @field_validator("zooms")
    @classmethod
    def _check_zooms(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for value in values:
            if not 0.25 <= value <= 4:
                raise ValueError(f"{value:g} is no magnification from 0.25 to 4")
        return values


class EvaluateOptions(Options):
    """What errors are broken down by, and the box for changes of length."""

    by: tuple[str, ...] = Field(
        default=("glacier", "sensor", "year", "slc_off"),
        description="Conditions to tabulate: these, or columns of --table. May be given several times.",
    )
    bootstrap: int = Field(default=1_000, ge=0, le=100_000, description="Resamples of images for intervals.")
    length_method: Literal["box", "centre-line"] = Field(
        default="box",
        description="Relative length: area of a box along the flow over its width, or a centre line.",
    )
