"""LSTM encoder and decoder for snow masks (Müller 2023, section 2.2.1)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from icectl.tasks.snow import of_mueller
from icectl.tasks.snow.options import VectorOptions, published


class LSTMTrain(VectorOptions):
    """Options of `train` with the sizes of the network."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = published(1e-4, 1e-3, 40, layers=3, side=0)


plugin = of_mueller("lstm", "LSTM encoder and decoder", "icectl_lstm.network:LSTMModel", LSTMTrain)
