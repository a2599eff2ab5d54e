"""Snow masks by a perceptron of each pixel and the means around it: the recommended model without a GPU."""

from typing import Literal

from pydantic import Field

from icectl.contract import BatchSize, Plugin
from icectl.tasks.snow import stages
from icectl.tasks.snow.options import TrainOptions, Updates, ValidateEvery


class SnowMLPTrain(TrainOptions):
    """Options of `train` with the size of the network."""

    preset: Literal["small"] = Field(default="small", description="A network for two cores.")
    hidden: int = Field(default=64, ge=1, description="Units of both hidden layers.")
    batch_size: BatchSize = 64
    updates: Updates = 800
    validate_every: ValidateEvery = 0


plugin = Plugin(
    name="snow-mlp",
    summary="Perceptron of each pixel and the means around it: four snow masks from the four before.",
    task="snow",
    model="icectl_snow_mlp.network:SnowMLP",
    stages=stages(SnowMLPTrain),
    estimate="icectl.tasks.snow.estimate:estimate",
)
