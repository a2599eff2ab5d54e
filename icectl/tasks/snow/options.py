"""Options of the five stages of the snow task. Light: read at every ``--help``."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from icectl.contract import BatchSize, Draws, Options
from icectl.errors import DataError
from icectl.sources.options import SceneQuery

HeadKind = Literal["plain", "product", "mixed"]
Split = Literal["blocks", "time", "paper"]
Guide = Literal["flags", "season", "linear", "calendar", "terrain"]
Updates = Annotated[int | None, Field(ge=1, description="Stop after so many updates.")]
ValidateEvery = Annotated[
    int, Field(ge=0, description="Updates between validations; 0: none, all ground but the test trains.")
]

THRESHOLD = 0.3
"""NDSI from which a pixel counts as snow (Müller 2023, section 2.1)."""


class World(Options):
    """The synthetic glacier, as ``[options.snow.fetch.world]`` of its file says."""

    number: int = Field(default=0, ge=0, le=799, description="Which of the synthetic glaciers.")
    years: int = Field(default=8, ge=1, le=100, description="Years of the series.")
    size: int = Field(default=224, ge=64, le=4096, description="Side of a scene in pixels.")


class FetchOptions(SceneQuery):
    """Where scenes come from."""

    pattern: str | None = Field(
        default=None,
        description="Regular expression with named groups that reads dates and bands from file names.",
    )
    scale: float | None = Field(
        default=None,
        description="What stored numbers are multiplied by to be reflectance, for files that do not say it.",
    )
    offset: float | None = Field(default=None, description="What is added after --scale, e.g. -0.2.")
    bands: tuple[str, ...] = Field(
        default=(),
        description="What the bands of stacks are, in their order, e.g. green; may be given several times.",
    )
    cloud_of: Literal["area", "scene"] = Field(
        default="area",
        description="What --max-cloud is a share of: the area, by the quality layer, or the scene, by the "
        "catalogue (eo:cloud_cover).",
    )
    world: World = Field(default=World(), description="The synthetic glacier: number, years, size.")


class PrepareOptions(Options):
    """From scenes to one cube of snow masks."""

    of_the_images: ClassVar[frozenset[str]] = frozenset({"start", "end", "dem"})

    cadence: Literal["months", "scenes"] = Field(
        default="months", description="One frame for each period of months, or one for each scene as it is."
    )
    months: int = Field(default=3, ge=1, le=24, description="Months in a period.")
    composite: Literal["mean", "median", "mean-of-masks"] = Field(
        default="mean",
        description="How the scenes of a period become one frame; mean-of-masks applies the threshold to "
        "each scene before, as the paper words it.",
    )
    start: date | None = Field(default=None, description="First day of the series (YYYY-MM-DD).")
    end: date | None = Field(default=None, description="The day after the last of the series (YYYY-MM-DD).")
    align: Literal["translation", "homography", "none"] = Field(
        default="translation",
        description="How ECC lays scenes onto each other: shifted onto the temporal median, by the paper's "
        "homography onto its smoothed mean, or not at all.",
    )
    fill: bool = Field(default=True, description="Fill gaps of the bands from valid neighbours.")
    dem: Path | None = Field(
        default=None,
        description="Elevation model in metres: gives the snowline's altitude, and --guides terrain.",
    )


class TrainOptions(Options):
    """Windows, split and optimisation. A plugin adds the sizes of its network, and any presets."""

    past: int = Field(default=4, ge=1, le=64, description="Frames that the network sees.")
    future: int = Field(default=4, ge=1, le=64, description="Frames that the network predicts.")
    patch: int = Field(default=50, ge=8, le=1024, description="Side of a window in pixels.")
    stride: int = Field(default=10, ge=1, le=1024, description="Pixels between neighbouring windows.")
    head: HeadKind = Field(
        default="mixed",
        description="What the network writes: the mask from one channel, chance of snow times index, or a "
        "weighted mean of no snow, a learned index and the guides that are whole frames.",
    )
    guides: tuple[Guide, ...] = Field(
        default=("flags", "season", "linear", "calendar"),
        description="Inputs of the network besides the masks: snow flags (mask ≥ 0.3) of the past; and of "
        "each future frame the same season of the past, the linear baseline, the time of year, the ground "
        "(--dem: height, slope, aspect, potential radiation).",
    )
    split: Split = Field(
        default="blocks",
        description="Test on blocks in space and later years, on later years, or at random as the paper.",
    )
    epochs: int = Field(default=100, ge=1, le=100_000, description="Passes over the training windows.")
    updates: Updates = 1500
    lr: float = Field(default=3e-3, gt=0, le=1, description="Learning rate of AdamW.")
    weight_decay: float = Field(default=1e-2, ge=0, le=1, description="Weight decay of AdamW.")
    batch_size: BatchSize = 8
    validate_every: ValidateEvery = 100
    patience: int | None = Field(
        default=10,
        ge=1,
        description="Validations without gain before training stops; presets of papers: never.",
    )
    mix_years: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of training windows whose frames come from random training years, each of its "
        "own season, against overfitting.",
    )
    count_filled: bool = Field(
        default=False, description="Let filled and interpolated pixels count in the loss and the metric."
    )
    draw: int = Field(
        default=0, ge=0, description="Which of several trainings: other weights, order and validation blocks."
    )

    @property
    def as_published(self) -> bool:
        """Whether a published training is repeated: a constant rate, true frames fed back."""
        return False


class PublishedOptions(TrainOptions):
    """Options of the models of Müller 2023, with the presets that repeat them."""

    preset: Literal["paper", "reference", "small"] = Field(
        default="small",
        description="The paper's text, its authors' code, or a network for two cores; sets other defaults.",
    )

    @property
    def as_published(self) -> bool:
        """Whether the paper, or its authors' code, is repeated."""
        return self.preset != "small"


class VectorOptions(PublishedOptions):
    """Sizes of a network whose cells hold vectors (`lstm`, `salstm`)."""

    layers: int = Field(default=1, ge=1, le=16, description="LSTM cells on top of each other.")
    side: int = Field(
        default=5,
        ge=0,
        le=64,
        description="Side of a sub-patch that becomes a vector; 0: the whole patch flattened.",
    )
    hidden: int = Field(default=48, ge=1, description="Length of a sub-patch's vector.")


def published(lr: float, weight_decay: float, epochs: int, **more: Any) -> dict[str, dict[str, Any]]:
    """Return the presets of a model that trains as Table 1 of Müller 2023 says; its authors' code does alike.

    Patches of 50 pixels every 10, four frames to four, batches of 100, AdamW at a constant rate, the mask
    itself from one plain channel, nothing known of the future; true frames are fed back in training. What is
    named here wins over a glacier's file.
    """
    row = {
        "past": 4,
        "future": 4,
        "patch": 50,
        "stride": 10,
        "lr": lr,
        "weight_decay": weight_decay,
        "epochs": epochs,
        "batch_size": 100,
        "head": "plain",
        "guides": (),
        "mix_years": 0.0,
        "updates": None,
        "patience": None,
        **more,
    }
    return {"paper": row, "reference": row, "small": {}}


class PredictOptions(Options):
    """Whole scenes, window by window."""

    moments: Literal["auto", "last", "all"] = Field(
        default="auto",
        description="What to predict besides the coming frames: test moments, nothing, or every moment.",
    )


class EvaluateOptions(Options):
    """Scores beside the baselines."""

    bootstrap: Draws = 1000
    count_filled: bool = Field(
        default=False, description="Let filled and interpolated pixels count in the loss and the metric."
    )


def from_schema_2(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return saved options without those of networks that the preset decides now.

    DataError: for another value than the preset's.
    """
    new = {verb: dict(values) for verb, values in options.items()}
    train = new.get("train", {})
    preset = train.get("preset", "small")
    as_published = preset != "small"
    meant = {
        "peepholes": preset != "reference",
        "heads": 4 if train.get("side", 5) else 5,
        "width": 8,
        "norm": "batch" if preset == "reference" else "group",
        "fed_back": as_published,
        "kernel": 3,
        "fold": 1 if as_published else 2,
    }
    for name, value in meant.items():
        if train.pop(name, value) != value:
            raise DataError(f"this run's network had another {name}, which is no more", "train again")
    for name in ("schedule", "teacher_forcing"):  # of the training alone, which is done
        train.pop(name, None)
    return new


def from_schema_1(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return options saved by version 0.1.0 as this version names them.

    DataError: for what is no more: a plain departure, another threshold, affine alignment.
    """
    new = {verb: dict(values) for verb, values in options.items()}
    prepare, train = new.get("prepare", {}), new.get("train", {})
    if prepare.pop("threshold", THRESHOLD) != THRESHOLD or prepare.get("motion") == "affine":
        raise DataError(
            "this run was prepared in a way that icectl offers no more", "prepare and train again"
        )
    motion = prepare.pop("motion", "translation")
    if prepare.get("align", "none") != "none":
        prepare["align"] = motion
    if prepare.pop("threshold_before_mean", False):
        prepare["composite"] = "mean-of-masks"
    target, head = train.pop("target", "departure"), train.get("head", "product")
    if (target, head) == ("departure", "plain"):
        raise DataError("this run learnt a plain departure, which is no more", "train again: --head mixed")
    train["head"] = "mixed" if target == "departure" else head
    told = train.get("guides", ("season", "linear", "calendar"))
    train["guides"] = ("flags", *told) if train.pop("flags", True) else tuple(told)
    for verb, names in {
        "train": ("clip", "dropout", "validation_windows"),
        "predict": ("tile", "overlap"),
        "evaluate": ("confidence", "arrows"),
    }.items():
        for name in names:
            new.get(verb, {}).pop(name, None)
    return new
