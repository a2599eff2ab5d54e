"""ConvLSTM for snow masks (Müller 2023, section 2.2.2)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from icectl.tasks.snow import of_mueller
from icectl.tasks.snow.options import PublishedOptions, published


class ConvLSTMTrain(PublishedOptions):
    """Options of `train` with the sizes of the network."""

    encoder: tuple[int, ...] = Field(default=(16,), description="Hidden channels of the encoder's cells.")
    decoder: tuple[int, ...] = Field(default=(16,), description="Hidden channels of the decoder's cells.")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = published(
        1e-4, 1e-3, 35, encoder=(64, 64, 24), decoder=(24, 64, 24)
    )
    """Table 1; equation 4 and the authors' code agree: no peepholes."""


plugin = of_mueller(
    "convlstm",
    "Convolutional LSTM encoder and decoder",
    "icectl_convlstm.network:ConvLSTMModel",
    ConvLSTMTrain,
)
