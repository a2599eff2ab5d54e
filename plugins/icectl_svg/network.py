"""SVGModel: the flow task with a stochastic video generator."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from icectl.errors import UsageError
from icectl.tasks.flow.model import FlowModel, FlowPorts
from icectl.training import Learner
from icectl_svg import SVGTrain
from icectl_svg.learner import SVGLearner
from icectl_svg.svg import SVG, Sizes


class SVGModel(FlowModel):
    """See `icectl.tasks.model.TaskModel` for the five verbs."""

    def network(self, ports: FlowPorts, options: SVGTrain) -> SVG:
        """Build the network for chips of ``ports.size`` pixels."""
        if ports.size < 16 or ports.size & (ports.size - 1):
            raise UsageError(
                f"svg takes chips whose side is a power of two of at least 16, not {ports.size}",
                "prepare with --chip 64 or --chip 128",
            )
        return SVG(sizes(options, ports.size))

    def learner(self, network: nn.Module, options: SVGTrain, facts: Mapping[str, Any]) -> Learner:  # type: ignore[override]
        """Return what trains the network."""
        assert isinstance(network, SVG)
        return SVGLearner(network, options, facts)


def sizes(options: SVGTrain, size: int, bands: int = 1) -> Sizes:
    """Return the sizes that options mean. A sequence is one band, so that `bands` is 1."""
    own = {name: getattr(options, name) for name in ("width", "recurrence", "skip")}
    names = "vector", "latent", "latent_map", "hidden", "predictor_layers", "gaussian_layers", "norm"
    fixed = {name: getattr(options.fixed, name) for name in names}
    return Sizes(bands=bands, size=size, **own, **fixed)
