"""FlowModel: a model of the flow task is a network that makes the two frames after t0.

A network may be a function ``network(past, days)`` of tensors: ``past`` is ``(n, past, 1, size, size)`` as
scaled by `icectl.tasks.flow.chips.windows.Scaling`, ``days`` ``(n, past + 2)`` days since the first frame;
it returns the two frames after t0, ``(n, 2, 1, size, size)``. One that draws futures has
``generate(past, days, noise, cloud)`` besides, where ``noise(k)`` gives ``(n, k)`` normal draws, and `cloud`
``(n, past)`` is the share of each chip that is hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from icectl.contract import OnnxNetwork
from icectl.tasks.flow.options import AHEAD, TrainOptions
from icectl.tasks.model import TaskModel

if TYPE_CHECKING:
    from torch import Tensor, nn

    from icectl.training import Learner


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPorts:
    """What a network has to fit: the side of a chip in pixels, and the frames that it sees."""

    size: int
    past: int


class FlowModel(TaskModel):
    """A model of the flow task."""

    task = "flow"
    needs = ("options", "size")

    def ports(self, options: TrainOptions, facts: Mapping[str, Any]) -> FlowPorts:
        """Return what a network has to fit."""
        return FlowPorts(size=int(facts["size"]), past=options.past)

    def example(
        self, network: nn.Module, ports: FlowPorts
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]] | None:
        """Return chips of two windows with their days, and the shape of the two frames after t0."""
        import torch

        if hasattr(network, "generate"):  # it draws futures, and may be trained in a way of its own
            return None

        days = torch.arange(ports.past + AHEAD, dtype=torch.float32)[None].expand(2, -1) * 16
        past = torch.zeros(2, ports.past, 1, ports.size, ports.size)
        return (past, days), (2, AHEAD, 1, ports.size, ports.size)

    def learner(self, network: nn.Module, options: TrainOptions, facts: Mapping[str, Any]) -> Learner:
        """Return what trains a deterministic network: 1 − correlation, and a little squared error."""
        from icectl.tasks.flow.train import ForecastLearner

        return ForecastLearner(network, options, facts)

    def trained(self, network: nn.Module, facts: Mapping[str, Any], device: str) -> Any:
        """Return ``generate(past, days, noise, cloud)`` of trained weights on a device."""
        network = network.eval().to(device)
        drawn = getattr(network, "generate", None)
        return drawn if drawn is not None else lambda past, days, noise, cloud: network(past, days)

    def offered(
        self, network: nn.Module, options: TrainOptions, facts: Mapping[str, Any]
    ) -> Sequence[OnnxNetwork]:
        """Return the rollout to the two frames after t0, its noise an input."""
        import torch

        from icectl.tasks.flow.train import Rollout

        drawn = torch.Generator().manual_seed(0)
        frames = torch.rand(1, options.past, 1, int(facts["size"]), int(facts["size"]), generator=drawn)
        days = torch.arange(options.past + AHEAD, dtype=torch.float32)[None] * 16
        cloud = torch.zeros(1, options.past)
        module = Rollout(network, self.trained(network, facts, "cpu"), frames, days, cloud)
        inputs = {"past": frames, "days": days}
        if module.draws:
            inputs["cloud"] = cloud
            inputs["noise"] = torch.randn(1, sum(module.draws), generator=drawn)
        note = (
            "`past`: chips as scaled in training; `days` since the first frame, of past and future frames;"
            " `cloud`: share of each past chip that is hidden;"
            " `noise`: standard normal draws, or zeros for the latent's means; `future`: the next two frames."
        )
        axes = {name: {0: "batch"} for name in inputs}
        return [OnnxNetwork(module=module, inputs=inputs, outputs=("future",), axes=axes, note=note)]
