"""SVGModel: the flow task with a stochastic video generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from icectl.errors import UsageError
from icectl.tasks.flow.model import FlowModel
from icectl.training import Learner
from icectl_svg import SVGTrain
from icectl_svg.learner import SVGLearner
from icectl_svg.svg import SVG, Sizes


class SVGModel(FlowModel):
    """See `icectl.tasks.flow.model.FlowModel` for the five verbs."""

    def network(self, options: SVGTrain, size: int) -> SVG:
        """Build the network for chips of `size` pixels."""
        if size < 16 or size & (size - 1):
            raise UsageError(
                f"svg takes chips whose side is a power of two of at least 16, not {size}",
                "prepare with --chip 64 or --chip 128",
            )
        return SVG(sizes(options, size))

    def learner(
        self, network: nn.Module, options: SVGTrain, updates: int, facts: Mapping[str, Any]
    ) -> Learner:
        """Return what trains the network."""
        assert isinstance(network, SVG)
        return SVGLearner(network, options, updates, facts)


def sizes(options: SVGTrain, size: int, bands: int = 1) -> Sizes:
    """Return the sizes that options mean. A sequence is one band, so that `bands` is 1."""
    names = (
        "vector",
        "latent",
        "latent_map",
        "hidden",
        "predictor_layers",
        "gaussian_layers",
        "width",
        "norm",
        "recurrence",
        "skip",
    )
    return Sizes(bands=bands, size=size, **{name: getattr(options, name) for name in names})
