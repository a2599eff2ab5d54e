"""BedModel: what the models of the bed task share. A plugin subclasses it and supplies the network of step
(a).

::

    class MyModel(BedModel):
        def network(self, ports, options):
            return MyNetwork(ports.channels, ports.size)

The network turns a masked patch ``(n, channels, size, size)`` into normalised heights ``(n, 1, size, size)``.
Step (b), thickness, is a law fitted by the task; its numbers lie beside the weights.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from icectl.contract import OnnxNetwork
from icectl.run import Run
from icectl.tasks.bed.fill.answer import Filler
from icectl.tasks.bed.fill.inputs import CHANNELS
from icectl.tasks.bed.options import TrainOptions
from icectl.tasks.bed.thickness.law import Law, law_of
from icectl.tasks.model import TaskModel
from icectl.training import Learner


@dataclass(frozen=True, slots=True)
class Ports:
    """What a network has to fit: channels (`icectl.tasks.bed.fill.inputs.CHANNELS`) and side of a patch.

    With `residual`, the network's answer is added to the first channel, a smooth fill; else it is the
    heights.
    """

    channels: int
    size: int
    residual: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """Trained weights: what fills in ground, and the thickness law; either may be missing."""

    filler: Filler | None
    law: Law | None


class BedModel(TaskModel):
    """A model of the bed below the ice; see `icectl.model.Model` for the verbs."""

    task = "bed"
    resumes = ("predict",)

    @abstractmethod
    def network(self, ports: Ports, options: Any) -> nn.Module:
        """Build the network of step (a).

        `ports` says what it has to fit; `options` are the plugin's own training options.
        """

    def ports(self, options: TrainOptions, facts: Mapping[str, Any]) -> Ports:
        """Return what a network for `options` has to fit."""
        return Ports(CHANNELS, options.net_size, options.begin == "fill")

    def example(self, network: nn.Module, ports: Ports) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
        """Return two patches, and the shape of the heights that a network returns of them."""
        patch = torch.zeros(2, ports.channels, ports.size, ports.size)
        patch[:, -1, ports.size // 4 : ports.size // 2, ports.size // 4 : ports.size // 2] = 1
        return (patch,), (2, 1, ports.size, ports.size)

    def build(self, options: TrainOptions, facts: Mapping[str, Any]) -> nn.Module:
        """Return the network, or nothing where step (b) alone is trained."""
        return nn.Identity() if options.step == "thickness" else super().build(options, facts)

    def learner(self, network: nn.Module, options: TrainOptions, facts: Mapping[str, Any]) -> Learner:
        """Return what trains a network by the error of its heights alone."""
        from icectl.tasks.bed.train import FillLearner

        return FillLearner(network, options, facts)

    def offered(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> Sequence[OnnxNetwork]:
        """Return the network of step (a), if it was trained."""
        if "share" not in facts:
            return []
        ports, side = self.ports(options, facts), options.net_size
        x = torch.randn(1, ports.channels, side, side, generator=torch.Generator().manual_seed(0))
        x[:, -1] = 0
        x[:, -1, side // 4 : side // 2, side // 4 : side // 2] = 1
        note = "`patch`: normalised heights, slopes, mask; `heights` normalised alike."
        return [
            OnnxNetwork(
                name="fill", module=network, inputs={"patch": x}, outputs=("heights",),
                axes={"patch": {0: "batch"}}, note=note,
            )
        ]  # fmt: skip

    def trained(self, network: nn.Module, facts: Mapping[str, Any], device: str) -> Answers:
        """Return what fills in ground, and the thickness law."""
        filler = None
        if "share" in facts:
            filler = Filler(network.eval().to(device), torch.device(device), facts["options"], facts)
        return Answers(filler, law_of(facts["law"]) if facts.get("law") else None)


def answers_of(model: TaskModel, run: Run) -> Answers:
    """Return trained weights of a run, loaded once a process (a worker computes many glaciers)."""
    key = (str(run.inputs["train"]), run.compute.device)
    if key not in _LOADED:
        _LOADED.clear()
        _LOADED[key] = model.answering(run)[0]
    return _LOADED[key]


_LOADED: dict[tuple[str, str], Answers] = {}
