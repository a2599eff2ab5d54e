"""SnowModel: what the models of the snow task share. A plugin subclasses it and supplies the network.

::

    class MyModel(SnowModel):
        def network(self, ports, options):
            return MyNetwork(ports.head, ports.inputs, ports.guides)
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from icectl.contract import OnnxNetwork
from icectl.tasks.model import TaskModel
from icectl.tasks.snow.masks.terrain import CHANNELS
from icectl.tasks.snow.networks.forecaster import Forecaster, Ports, ports
from icectl.tasks.snow.options import TrainOptions
from icectl.training import Learner

__all__ = ["Ports", "SnowModel"]


class SnowModel(TaskModel):
    """A model of the snow task; see `icectl.model.Model` for the verbs."""

    task = "snow"
    needs = ("options", "cube", "seed")

    spread: ClassVar[bool] = False
    """Whether the trained network gives, after the F future frames, F channels of their spread."""

    @abstractmethod
    def network(self, ports: Ports, options: Any) -> nn.Module:
        """Build the network: ``network(past, guide)`` to (B, F, H, W).

        `ports` says what it has to fit; `options` are the plugin's own training options.
        """

    def ports(self, options: TrainOptions, facts: Mapping[str, Any]) -> Ports:
        """Return what a network for `options` has to fit."""
        return ports(options)

    def example(self, network: nn.Module, ports: Ports) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
        """Return past and guide of two windows, and the shape (B, F, H, W) of what a network returns."""
        sides = (ports.patch, ports.patch)
        past = torch.zeros(2, ports.past, ports.inputs, *sides)
        guide = torch.zeros(2, ports.future, ports.guides, *sides)
        return (past, guide), (2, ports.future, *sides)

    def build(self, options: TrainOptions, facts: Mapping[str, Any]) -> Forecaster:
        """Return the network with what surrounds it, and the linear baseline of the facts."""
        forecaster = Forecaster(self.network(self.ports(options, facts), options), options)
        if "linear" in facts:
            forecaster.set_linear(facts["linear"])
        return forecaster

    def learner(self, network: nn.Module, options: TrainOptions, facts: Mapping[str, Any]) -> Learner:
        """Return what trains a forecaster: the mean squared error, AdamW and a schedule."""
        from icectl.tasks.snow.train import SnowLearner

        return SnowLearner(network, options, facts)

    def offered(
        self, network: nn.Module, options: TrainOptions, facts: Mapping[str, Any]
    ) -> Sequence[OnnxNetwork]:
        """Return the trained network with its inputs (past, season, phase)."""
        drawn = torch.Generator().manual_seed(0)
        inputs = {
            "past": torch.rand(1, options.past, options.patch, options.patch, generator=drawn),
            "season": torch.arange(options.future)[None] % options.past,
            "phase": torch.rand(1, options.future, generator=drawn),
        }
        if "terrain" in options.guides:
            inputs["terrain"] = torch.rand(1, len(CHANNELS), options.patch, options.patch, generator=drawn)
        note = (
            "`past`: snow masks of patches, 0 to 1; `season`: the past frame of each future frame's season;"
            " `phase`: time of year in [0, 1); `future`: masks to come."
        )
        axes = {name: {0: "batch"} for name in inputs}
        return [OnnxNetwork(module=network, inputs=inputs, outputs=("future",), axes=axes, note=note)]
