"""LSTM encoder and decoder for snow masks (Müller 2023, section 2.2.1). Light: the network is imported on use."""

from __future__ import annotations

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
    size: int = Field(default=64, ge=1, description="Length of a sub-patch's vector.")
    width: int = Field(default=12, ge=1, description="Channels of the convolutions at full resolution.")

    presets = {"paper": _PUBLISHED, "reference": {**_PUBLISHED, "peepholes": False}, "small": {}}


plugin = Plugin(
    name="lstm",
    summary="LSTM encoder and decoder: the next four snow masks of a glacier from the last four.",
    task="snow",
    model="icectl_lstm.network:LSTMModel",
    stages=stages(LSTMTrain),
    inputs=("green", "swir16"),
    estimate="icectl.tasks.snow.estimate:estimate",
    paper="Müller 2023, Glacier Movement Prediction with Deep Learning Models and Satellite Data",
)
