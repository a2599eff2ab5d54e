"""Calving fronts by a small residual U-Net: the recommended model without a GPU."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from icectl.contract import Plugin
from icectl.tasks.front import stages
from icectl.tasks.front.options import BEST, TrainOptions


class FrontUNetTrain(TrainOptions):
    """Options of `train` with the size of the network."""

    preset: Literal["small", "best"] = Field(
        default="small", description="A training of a CPU minute or two, or the one that did best."
    )
    width: int = Field(default=16, ge=4, le=256, description="Channels of the first level.")
    plain: bool = Field(
        default=False, description="A plain U-Net (Ronneberger et al. 2015), instead of the residual one."
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": {}, "best": BEST}


plugin = Plugin(
    name="front-unet",
    summary="Calving fronts as GIS lines: a residual U-Net with an atrous pyramid, for CPUs.",
    task="front",
    model="icectl_front_unet.model:FrontUNet",
    stages=stages(FrontUNetTrain),
    weights=("icectl:weights/front-mohajerani2019",),
    estimate="icectl.tasks.front.estimate:estimate",
    paper="He et al. 2016 (residual blocks); Ronneberger et al. 2015 (U-Net); Chen et al. 2018 (pyramid)",
)
