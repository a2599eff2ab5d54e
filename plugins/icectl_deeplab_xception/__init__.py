"""Calving fronts by DeepLabV3+ with an Xception encoder (Cheng et al. 2021)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from icectl.contract import Plugin
from icectl.tasks.encoders import FileOrAddress
from icectl.tasks.front import stages
from icectl.tasks.front.options import BEST, CALFIN, TrainOptions

_RATES = (1, 2, 3, 4, 5)
TIMM = "tu-"
"""What names of timm's encoders begin with, as segmentation-models-pytorch has them."""


class DeepLabTrain(TrainOptions):
    """Options of `train` with the network; it is a DeepLabV3+ with an Xception encoder at every preset."""

    preset: Literal["small", "best", "paper", "calfin"] = Field(
        default="small",
        description="A small network for two cores; that trained longer; the paper's; the authors' layout.",
    )
    network: Literal["small", "calfin", "tu-xception41", "tu-xception65", "tu-xception71"] = Field(
        default="small", description="Size and layout of the encoder."
    )
    rates: tuple[int, ...] = Field(
        default=(1, 2, 3), description="Atrous rates of the pyramid. May be given several times."
    )
    encoder_weights: FileOrAddress | None = Field(
        default=None,
        description="Weights of timm's model to start the encoder of a tu-… network from: file or address.",
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {},
        "best": BEST,
        "paper": {"network": "tu-xception65", "rates": _RATES, **CALFIN},
        "calfin": {"network": "calfin", "rates": _RATES, **CALFIN},
    }

    @model_validator(mode="after")
    def _check_encoder(self) -> Self:
        if self.encoder_weights is not None and not self.network.startswith(TIMM):
            raise ValueError(
                f"--network '{self.network}' is none of timm's: give one that begins with {TIMM}"
            )
        return self


plugin = Plugin(
    name="deeplab-xception",
    aliases=("deeplab", "calfin"),
    summary="Calving fronts as GIS lines: DeepLabV3+ with an Xception encoder.",
    task="front",
    model="icectl_deeplab_xception.model:DeepLabXception",
    stages=stages(DeepLabTrain),
    schema=2,
    upgrades={1: "icectl.tasks:gone"},
    estimate="icectl.tasks.front.estimate:estimate",
    paper="Cheng et al. 2021, Calving Front Machine (CALFIN), The Cryosphere 15(3), 1663–1675",
)
