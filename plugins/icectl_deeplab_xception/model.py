"""DeepLab-Xception on the front task: which networks, how they learn, how they are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from icectl.tasks.front.model import FrontModel
from icectl_deeplab_xception.learner import FrontLearner, Trained

if TYPE_CHECKING:
    from torch import nn

    from icectl.tasks.front.infer import Network
    from icectl.tasks.front.options import TrainOptions
    from icectl.training import Learner


class DeepLabXception(FrontModel):
    """Edge and mask by DeepLabV3+ with an Xception encoder, CALFIN's layout, a compact net or a U-Net."""

    def learner(self, options: TrainOptions, facts: Mapping[str, Any]) -> Learner:
        """Return the network and its loss."""
        return FrontLearner(options, facts)

    def trained(self, state: Mapping[str, Any], facts: Mapping[str, Any], device: str) -> Network:
        """Return trained weights as a function of windows."""
        return Trained(state, facts, device)

    def probabilities(self, state: Mapping[str, Any], facts: Mapping[str, Any]) -> nn.Module:
        """Return trained weights as a module that ends in probabilities."""
        from torch import nn

        return nn.Sequential(Trained(state, facts).network, nn.Sigmoid())
