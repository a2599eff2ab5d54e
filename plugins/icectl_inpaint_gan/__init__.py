"""inpaint-gan: the bed of a glacier from the terrain around it, and its thickness from physics.

Maffezzoli 2023. Light: the networks are imported on use.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from icectl.contract import Plugin
from icectl.tasks.bed import stages
from icectl.tasks.bed.options import TrainOptions


class InpaintTrain(TrainOptions):
    """Options of `train` with the sizes of the networks."""

    preset: Literal["paper", "small"] = Field(
        default="small", description="The paper's sizes, or ones for two cores; sets other defaults."
    )
    width: int = Field(
        default=48, ge=8, le=256, multiple_of=4, description="Channels of the generator's first level."
    )
    critic_width: int = Field(
        default=64, ge=4, le=256, description="Channels of the discriminator's first layer."
    )
    gan_loss: Literal["hinge", "minimax"] = Field(
        default="hinge", description="Adversarial loss: hinge, or V(D, G) of the slides."
    )
    gan_weight: float = Field(default=1.0, gt=0, description="Weight of the adversarial loss.")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"net_size": 256},
        "small": {
            "width": 16,
            "critic_width": 16,
            "begin": "fill",
            "gan_weight": 1e-4,
            "updates": 1000,
            "batch_size": 16,
            "lr": 1.5e-3,
            "validate_every": 100,
        },
    }


plugin = Plugin(
    name="inpaint-gan",
    summary="GAN inpainting of the ground below the ice, and thickness from physics.",
    task="bed",
    model="icectl_inpaint_gan.learner:InpaintGAN",
    stages=stages(InpaintTrain),
    schema=2,
    upgrades={1: "icectl.tasks:gone"},
    estimate="icectl.tasks.bed.estimate:estimate",
    weights=("icectl:weights/bed-thickness-law",),
    paper="Maffezzoli 2023, Estimate the ice volume of Earth's glaciers with deep learning",
)
