"""Holistically nested edges (Xie and Tu 2015, ICCV) in small, as a model of the front task."""

from pydantic import Field

from icectl.contract import Plugin
from icectl.tasks.front import TrainOptions, stages


class Train(TrainOptions):
    """Options of `train` with the size of the network."""

    width: int = Field(default=8, ge=1, le=1024, description="Channels of the first level.")


plugin = Plugin(
    name="hed-toy", task="front",
    summary="HED in small: the calving front of a glacier in an image.",
    model="icectl_hed_toy.network:Model",
    stages=stages(Train),
)  # fmt: skip
