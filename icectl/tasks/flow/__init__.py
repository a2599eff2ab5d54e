"""Task ``flow``: how does the ice move, and what does the next chip look like (Min et al. 2019)?

Light: options only. The rest is imported when a stage runs.
"""

from collections.abc import Mapping

from icectl.contract import Options, by_verb
from icectl.tasks.flow.options import (
    EvaluateOptions,
    FetchOptions,
    PredictOptions,
    PrepareOptions,
    TrainOptions,
)

__all__ = ["EvaluateOptions", "FetchOptions", "PredictOptions", "PrepareOptions", "TrainOptions", "stages"]


def stages(train: type[TrainOptions]) -> Mapping[str, type[Options]]:
    """Return the options of all five stages of a flow model whose training options are `train`."""
    return by_verb(FetchOptions, PrepareOptions, train, PredictOptions, EvaluateOptions)
