"""Task ``snow``: given four past snow masks of a glacier, what are the next four (Müller 2023)?

Light: options only. The rest is imported when a stage runs.
"""

from collections.abc import Mapping
from typing import Any

from icectl.contract import Options, Plugin, by_verb
from icectl.tasks.snow.options import (
    EvaluateOptions,
    FetchOptions,
    PredictOptions,
    PrepareOptions,
    TrainOptions,
)

__all__ = [
    "EvaluateOptions", "FetchOptions", "PredictOptions", "PrepareOptions", "TrainOptions", "of_mueller",
    "stages",
]  # fmt: skip


def stages(train: type[TrainOptions]) -> Mapping[str, type[Options]]:
    """Return the options of all five stages of a snow model whose training options are `train`."""
    return by_verb(FetchOptions, PrepareOptions, train, PredictOptions, EvaluateOptions)


def of_mueller(name: str, summary: str, model: str, train: type[TrainOptions], **more: Any) -> Plugin:
    """Describe one of the four models of Müller 2023; see `icectl.contract.Plugin` for the parameters."""
    return Plugin(
        name=name,
        summary=f"{summary}: four snow masks from the four before.",
        task="snow",
        model=model,
        stages=stages(train),
        schema=3,
        upgrades={n: f"icectl.tasks.snow.options:from_schema_{n}" for n in (1, 2)},
        estimate="icectl.tasks.snow.estimate:estimate",
        paper="Müller 2023, Glacier Movement Prediction with Deep Learning Models and Satellite Data",
        **more,
    )
