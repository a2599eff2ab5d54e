"""LSTM encoder and decoder for snow masks (Müller 2023, section 2.2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from icectl.contract import Plugin
from icectl.tasks.snow import stages
from icectl.tasks.snow.options import TrainOptions, published

_PUBLISHED = published(1e-4, 1e-3, 40, teacher_forcing=1.0, layers=3, side=0)  # Table 1


class LSTMTrain(TrainOptions):
    """Options of `train` with the sizes of the network."""

    layers: int = Field(default=1, ge=1, le=16, description="Cells of the encoder, and of the decoder.")
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


plugin = Plugin(
    name="lstm",
    summary="LSTM encoder and decoder: four snow masks from the four before.",
    task="snow",
    model="icectl_lstm.network:LSTMModel",
    stages=stages(LSTMTrain),
    inputs=("green", "swir16"),
    estimate="icectl.tasks.snow.estimate:estimate",
    paper="Müller 2023, Glacier Movement Prediction with Deep Learning Models and Satellite Data",
)
