"""Self-attention LSTM hybrid for snow masks (Müller 2023, section 2.2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from icectl.contract import Plugin
from icectl.tasks.snow import stages
from icectl.tasks.snow.options import TrainOptions, published

_PUBLISHED = published(1e-4, 1e-3, 40, teacher_forcing=1.0, layers=3, heads=5, side=0)  # Table 1


class SALSTMTrain(TrainOptions):
    """Options of `train` with the sizes of the network."""

    layers: int = Field(default=1, ge=1, le=16, description="LSTM cells.")
    heads: int = Field(default=4, ge=1, le=64, description="Heads of the attention; they divide the vector.")
    peepholes: bool = Field(default=True, description="Let the gates see the cell state (Gers et al. 2002).")
    side: int = Field(
        default=5,
        ge=0,
        le=64,
        description="Side of a sub-patch that becomes a vector; 0: the whole patch flattened.",
    )
    hidden: int = Field(default=48, ge=1, description="Length of a sub-patch's vector.")
    width: int = Field(default=8, ge=1, description="Channels of the convolutions at full resolution.")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": _PUBLISHED,
        "reference": {**_PUBLISHED, "peepholes": False},
        "small": {},
    }

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        size = self.hidden if self.side else self.patch**2
        if size % self.heads:
            raise ValueError(f"{self.heads} heads do not divide vectors of {size}")
        return self


plugin = Plugin(
    name="salstm",
    summary="Self-attention LSTM hybrid (SA-LSTM-H): four snow masks from the four before.",
    task="snow",
    model="icectl_salstm.network:SALSTMModel",
    stages=stages(SALSTMTrain),
    aliases=("sa-lstm-h",),
    inputs=("green", "swir16"),
    estimate="icectl.tasks.snow.estimate:estimate",
    paper="Müller 2023, Glacier Movement Prediction with Deep Learning Models and Satellite Data",
)
