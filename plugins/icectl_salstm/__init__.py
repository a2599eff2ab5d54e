"""Self-attention LSTM hybrid for snow masks (Müller 2023, section 2.2.4)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import model_validator

from icectl.tasks.snow import of_mueller
from icectl.tasks.snow.options import VectorOptions, published


class SALSTMTrain(VectorOptions):
    """Options of `train` with the sizes of the network."""

    @property
    def heads(self) -> int:
        """Heads of the attention: the paper's five divide its vectors of 2,500, four those of sub-patches."""
        return 4 if self.side else 5

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = published(1e-4, 1e-3, 40, layers=3, side=0)

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        size = self.hidden if self.side else self.patch**2
        if size % self.heads:
            raise ValueError(f"{self.heads} heads of attention do not divide vectors of {size}")
        return self


plugin = of_mueller(
    "salstm",
    "Self-attention LSTM hybrid (SA-LSTM-H)",
    "icectl_salstm.network:SALSTMModel",
    SALSTMTrain,
    aliases=("sa-lstm-h",),
)
