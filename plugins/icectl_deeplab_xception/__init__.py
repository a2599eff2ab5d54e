"""Calving fronts by DeepLabV3+ with an Xception encoder (Cheng et al. 2021)."""

from icectl.contract import Plugin
from icectl.tasks.front.options import (
    EvaluateOptions,
    FetchOptions,
    PredictOptions,
    PrepareOptions,
    TrainOptions,
)

plugin = Plugin(
    name="deeplab-xception",
    aliases=("deeplab", "calfin"),
    summary="Calving fronts as GIS lines: DeepLabV3+ with an Xception encoder.",
    task="front",
    model="icectl_deeplab_xception.model:DeepLabXception",
    stages={
        "fetch": FetchOptions,
        "prepare": PrepareOptions,
        "train": TrainOptions,
        "predict": PredictOptions,
        "evaluate": EvaluateOptions,
    },
    inputs=("image",),
    estimate="icectl.tasks.front.estimate:estimate",
    paper="Cheng et al. 2021, Calving Front Machine (CALFIN), The Cryosphere 15(3), 1663–1675",
)
