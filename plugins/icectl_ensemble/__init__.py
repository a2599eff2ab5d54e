"""The mean of several snow models as one model, with their spread as its uncertainty."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from icectl.contract import Plugin
from icectl.tasks.snow import stages
from icectl.tasks.snow.options import TrainOptions


class EnsembleTrain(TrainOptions):
    """Options of `train`; those of the networks are their own models' defaults."""

    preset: Literal["small"] = Field(default="small", description="Preset of the members' networks.")
    member: tuple[str, ...] = Field(
        default=("convlstm", "lstm", "salstm", "unet"),
        min_length=1,
        description="Snow model that takes part. May be given several times.",
    )
    draws: int = Field(
        default=1, ge=1, le=32, description="Networks of each member, each from weights drawn anew."
    )


plugin = Plugin(
    name="ensemble",
    summary="Mean of several snow models, with their spread: four snow masks from the four before.",
    task="snow",
    model="icectl_ensemble.network:EnsembleModel",
    stages=stages(EnsembleTrain),
    inputs=("green", "swir16"),
    estimate="icectl.tasks.snow.estimate:estimate",
)
