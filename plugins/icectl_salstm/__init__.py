"""Self-attention LSTM hybrid for snow masks (Müller 2023, section 2.2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from icectl.tasks.snow import of_mueller
from icectl.tasks.snow.options import VectorOptions, published

_PUBLISHED = published(1e-4, 1e-3, 40, teacher_forcing=1.0, layers=3, heads=5, side=0)  # Table 1


class SALSTMTrain(VectorOptions):
    """Options of `train` with the sizes of the network."""

    heads: int = Field(default=4, ge=1, le=64, description="Heads of the attention; they divide the vector.")

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


plugin = of_mueller(
    "salstm",
    "Self-attention LSTM hybrid (SA-LSTM-H)",
    "icectl_salstm.network:SALSTMModel",
    SALSTMTrain,
    aliases=("sa-lstm-h",),
)
