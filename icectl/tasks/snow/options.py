"""Options of the five stages of the snow task. Light: read at every ``--help``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Literal

from pydantic import Field

from icectl.contract import BatchSize, Options
from icectl.sources.options import SceneQuery

HeadKind = Literal["plain", "gated", "mixed"]
Target = Literal["mask", "departure"]
Split = Literal["blocks", "time", "paper"]
Guide = Literal["season", "linear", "calendar"]

THRESHOLD = 0.3
"""NDSI from which a pixel counts as snow (Müller 2023, section 2.1)."""


class FetchOptions(SceneQuery):
    """Where scenes come from."""

    pattern: str | None = Field(
        default=None,
        description="Regular expression with named groups that reads dates and bands from file names.",
    )
    world: int = Field(default=0, ge=0, le=799, description="Which of the synthetic glaciers.")
    years: int = Field(default=8, ge=1, le=100, description="Years of the synthetic series.")
    size: int = Field(default=224, ge=64, le=4096, description="Side of the synthetic scene in pixels.")


class PrepareOptions(Options):
    """From scenes to one cube of snow masks."""

    cadence: Literal["months", "scenes"] = Field(
        default="months", description="One frame for each period of months, or one for each scene as it is."
    )
    months: int = Field(default=3, ge=1, le=24, description="Months in a period.")
    composite: Literal["mean", "median"] = Field(
        default="mean", description="How the scenes of a period become one frame."
    )
    start: date | None = Field(default=None, description="First day of the series (YYYY-MM-DD).")
    end: date | None = Field(default=None, description="The day after the last of the series (YYYY-MM-DD).")
    align: Literal["median", "mean", "none"] = Field(
        default="median",
        description="What ECC aligns scenes to: the temporal median, the paper's smoothed mean, or nothing.",
    )
    motion: Literal["homography", "affine", "translation"] = Field(
        default="translation",
        description="Family of warps of the alignment. Snow that comes and goes pulls free warps astray.",
    )
    fill: bool = Field(default=True, description="Fill gaps of the bands from valid neighbours.")
    threshold: float = Field(default=THRESHOLD, gt=-1, lt=1, description="NDSI below this becomes 0.")
    threshold_before_mean: bool = Field(
        default=False,
        description="Apply the threshold to each scene before averaging, as the paper words it.",
    )


class TrainOptions(Options):
    """Windows, split and optimisation. Each plugin adds the sizes of its network and its presets."""

    preset: Literal["paper", "reference", "small"] = Field(
        default="small",
        description="The paper's text, its authors' code, or a network for two cores; sets other defaults.",
    )
    past: int = Field(default=4, ge=1, le=64, description="Frames that the network sees.")
    future: int = Field(default=4, ge=1, le=64, description="Frames that the network predicts.")
    patch: int = Field(default=50, ge=8, le=1024, description="Side of a window in pixels.")
    stride: int = Field(default=10, ge=1, le=1024, description="Pixels between neighbouring windows.")
    target: Target = Field(
        default="departure",
        description="Learn the mask itself, or its departure from the same season of the past.",
    )
    head: Literal["plain", "product"] = Field(
        default="product",
        description="One output channel, or chance of snow times index (a mean of choices for departures).",
    )
    guides: tuple[Guide, ...] = Field(
        default=("season", "linear", "calendar"),
        description="What the network is told of each future frame: the same season of the past, the linear "
        "baseline, the time of year. May be given several times.",
    )
    flags: bool = Field(
        default=True, description="Give snow flags (mask ≥ 0.3) to the network beside the masks."
    )
    split: Split = Field(
        default="blocks",
        description="Test on blocks in space and later years, on later years, or at random as the paper.",
    )
    epochs: int = Field(default=100, ge=1, le=100_000, description="Passes over the training windows.")
    updates: int | None = Field(default=1500, ge=1, description="Stop after so many updates.")
    lr: float = Field(default=2e-3, gt=0, le=1, description="Learning rate of AdamW.")
    schedule: Literal["constant", "cosine"] = Field(
        default="cosine", description="Learning rate over the training: constant, or a warm-up and a cosine."
    )
    weight_decay: float = Field(default=1e-2, ge=0, le=1, description="Weight decay of AdamW.")
    batch_size: BatchSize = Field(
        default=16,
        ge=0,
        le=65_536,
        description="Windows in a batch, over all processes; auto: as many as fit.",
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of units dropped in training.")
    clip: float = Field(default=3.0, gt=0, description="Bound of each gradient's value.")
    teacher_forcing: float = Field(
        default=0.0, ge=0, le=1, description="Share of samples fed with true frames while training."
    )
    validate_every: int = Field(default=100, ge=1, description="Updates between validations.")
    validation_windows: int = Field(
        default=256,
        ge=1,
        description="Windows scored at a validation, evenly drawn from the validation part.",
    )
    patience: int = Field(default=10, ge=1, description="Validations without gain before training stops.")
    mix_years: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of training windows whose frames come from random training years, each of its "
        "own season, so that none is learnt by heart.",
    )
    count_filled: bool = Field(
        default=False, description="Let filled and interpolated pixels count in the loss and the metric."
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}


def published(
    lr: float, weight_decay: float, epochs: int, teacher_forcing: float = 0.0, **more: Any
) -> dict[str, Any]:
    """Return the defaults of a preset that trains as Table 1 of Müller 2023 says.

    Batches of 100, AdamW, the mask itself from one plain channel, nothing told of the future.
    """
    return {
        "lr": lr,
        "weight_decay": weight_decay,
        "epochs": epochs,
        "patch": 50,
        "stride": 10,
        "batch_size": 100,
        "schedule": "constant",
        "target": "mask",
        "head": "plain",
        "guides": (),
        "flags": False,
        "teacher_forcing": teacher_forcing,
        "mix_years": 0.0,
        "updates": None,
        **more,
    }


class PredictOptions(Options):
    """Whole scenes, window by window."""

    tile: int = Field(
        default=512,
        ge=16,
        le=65_536,
        description="Side of the blocks read and written; the result is the same.",
    )
    overlap: int | None = Field(
        default=None, ge=0, description="Pixels shared by neighbouring windows (default: half a window)."
    )
    moments: Literal["auto", "last", "all"] = Field(
        default="auto",
        description="What to predict besides the coming frames: test moments, nothing, or every moment.",
    )


class EvaluateOptions(Options):
    """Scores beside the baselines."""

    bootstrap: int = Field(
        default=1000, ge=0, le=100_000, description="Draws of the bootstrap intervals; 0: none."
    )
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Share of draws inside an interval.")
    count_filled: bool = Field(
        default=False, description="Let filled and interpolated pixels count in the loss and the metric."
    )
    arrows: int = Field(default=40, ge=5, description="Pixels between the arrows of the flow maps.")
