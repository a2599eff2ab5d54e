"""Calving fronts by DeepLabV3+ with an Xception encoder (Cheng et al. 2021)."""

from icectl.contract import Plugin
from icectl.tasks.front import TrainOptions, stages

plugin = Plugin(
    name="deeplab-xception",
    aliases=("deeplab", "calfin"),
    summary="Calving fronts as GIS lines: DeepLabV3+ with an Xception encoder.",
    task="front",
    model="icectl_deeplab_xception.model:DeepLabXception",
    stages=stages(TrainOptions),
    inputs=("image",),
    estimate="icectl.tasks.front.estimate:estimate",
    paper="Cheng et al. 2021, Calving Front Machine (CALFIN), The Cryosphere 15(3), 1663–1675",
)
