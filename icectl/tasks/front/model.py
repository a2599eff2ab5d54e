"""What a front model needs beside the five verbs: ports, a learner, and trained weights as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from icectl.contract import OnnxNetwork
from icectl.tasks.model import TaskModel

if TYPE_CHECKING:
    from torch import Tensor, nn

    from icectl.arrays import F32
    from icectl.training import Learner


@dataclass(frozen=True, slots=True)
class Ports:
    """What a front network has to fit: (batch, bands, rows, columns) to (batch, outputs, rows, columns).

    Sides are multiples of 32. Outputs are logits of the front's edge and of the mask of ice.
    """

    bands: int = 3
    outputs: int = 2


class FrontModel(TaskModel):
    """A model of calving fronts; a subclass gives the network.

    Examples
    --------
    >>> from torch import nn
    >>> class Plain(FrontModel):
    ...     def network(self, ports, options):
    ...         return nn.Conv2d(ports.bands, ports.outputs, 3, padding=1)
    >>> Plain().build(None, {}).weight.shape
    torch.Size([2, 3, 3, 3])
    """

    task: ClassVar[str] = "front"
    needs: ClassVar[tuple[str, ...]] = ("options", "seen", "pose")

    def ports(self, options: Any, facts: Mapping[str, Any]) -> Ports:
        """Return the three layers and the two maps."""
        return Ports()

    def example(self, network: nn.Module, ports: Ports) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Return the layers of two windows, and the shape of logits of edge and mask."""
        import torch

        return (torch.zeros(2, ports.bands, 64, 96),), (2, ports.outputs, 64, 96)

    def learner(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> Learner:
        """Return the loss of Cheng et al. 2021 and a running mean of the weights."""
        from icectl.tasks.front.network.learner import FrontLearner

        return FrontLearner(network, options, facts)

    def trained(self, network: nn.Module, facts: Mapping[str, Any], device: str) -> Callable[[F32], F32]:
        """Return trained weights as probabilities of arrays (see `icectl.tasks.front.image.windows`)."""
        from icectl.tasks.front.network.learner import Trained

        return Trained(network, device)

    def offered(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> Sequence[OnnxNetwork]:
        """Return the network that finds edge and mask of ice in windows of any size."""
        import torch
        from torch import nn

        from icectl.tasks.front.image.layers import LAYERS

        example = torch.rand(1, len(LAYERS), 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        note = (
            f"`layers`: {', '.join(LAYERS)} in [-1, 1], sides multiples of 32;"
            " `probabilities`: front edge and ice mask."
        )
        return [
            OnnxNetwork(
                module=nn.Sequential(network, nn.Sigmoid()),
                inputs={"layers": example},
                outputs=("probabilities",),
                axes={"layers": {0: "batch", 2: "rows", 3: "columns"}},
                note=note,
            )
        ]
