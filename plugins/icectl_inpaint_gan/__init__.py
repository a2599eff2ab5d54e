"""inpaint-gan: the bed of a glacier from the terrain around it, and its thickness from physics.

Maffezzoli 2023. Light: the networks are imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from icectl.contract import Plugin
from icectl.tasks.bed import stages
from icectl.tasks.bed.options import TrainOptions


class InpaintTrain(TrainOptions):
    """Options of `train` with the sizes of the networks."""

    preset: Literal["paper", "small"] = Field(
        default="small", description="The paper's networks, or ones for two cores; sets other defaults."
    )
    width: int = Field(
        default=48, ge=8, le=256, multiple_of=4, description="Channels of the generator's first level."
    )
    critic_width: int = Field(
        default=64, ge=4, le=256, description="Channels of the discriminator's first layer."
    )
    fine: bool = Field(default=True, description="Refine with contextual attention after the coarse stage.")
    net_size: int = Field(
        default=256,
        ge=16,
        le=1024,
        multiple_of=8,
        description="Side in pixels to which patches are averaged.",
    )
    begin: Literal["flat", "fill"] = Field(
        default="flat", description="Answer the heights themselves, or what to add to a biharmonic fill."
    )
    thickness_width: int = Field(default=12, ge=2, le=512, description="Hidden units of a thickness network.")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "small": {
            "width": 24,
            "critic_width": 16,
            "fine": False,
            "net_size": 32,
            "begin": "fill",
            "reconstruction": "l2",
            "gan_weight": 1e-4,
            "updates": 2000,
            "batch_size": 24,
            "lr": 1.5e-3,
            "validate_every": 100,
        },
    }


plugin = Plugin(
    name="inpaint-gan",
    summary="GAN inpainting of the ground below the ice, and thickness from a physical prior.",
    task="bed",
    model="icectl_inpaint_gan.model:InpaintGAN",
    stages=stages(InpaintTrain),
    inputs=("dem",),
    estimate="icectl.tasks.bed.estimate:estimate",
    paper="Maffezzoli 2023, Estimate the ice volume of Earth's glaciers with deep learning",
)
