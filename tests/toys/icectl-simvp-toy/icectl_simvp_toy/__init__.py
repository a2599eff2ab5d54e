"""SimVP (Gao et al. 2022, CVPR) in small, as a model of the snow task."""

from pydantic import Field

from icectl.contract import Plugin
from icectl.tasks.snow import TrainOptions, stages


class Train(TrainOptions):
    """Options of `train` with the size of the network."""

    width: int = Field(default=16, ge=1, le=1024, description="Channels of a frame.")


plugin = Plugin(
    name="simvp-toy", task="snow",
    summary="SimVP in small: the next snow masks of a glacier from the last.",
    model="icectl_simvp_toy.network:Model",
    stages=stages(Train),
)  # fmt: skip
