"""InpaintGAN: the generator, its adversary, and what is offered to other runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from icectl.contract import OnnxNetwork
from icectl.tasks.bed.model import BedModel, Ports
from icectl.training import Learner
from icectl_inpaint_gan.learner import GanLearner
from icectl_inpaint_gan.networks import Generator


class InpaintGAN(BedModel):
    """Maffezzoli 2023: gated inpainting of the ground."""

    def network(self, ports: Ports, options: Any) -> nn.Module:
        """Build the generator."""
        return Generator(ports.channels, options.width, residual=ports.residual, size=ports.size)

    def learner(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> Learner:
        """Return what trains the generator against a discriminator."""
        assert isinstance(network, Generator)
        return GanLearner(network, options, facts)

    def offered(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> Sequence[OnnxNetwork]:
        """Return the generator, if it was trained."""
        if "share" not in facts:
            return []
        ports, side = self.ports(options, facts), options.net_size
        x = torch.randn(1, ports.channels, side, side, generator=torch.Generator().manual_seed(0))
        x[:, -1] = 0
        x[:, -1, side // 4 : side // 2, side // 4 : side // 2] = 1
        note = "`patch`: normalised heights, slopes, mask; `heights` normalised alike."
        return [
            OnnxNetwork(
                name="generator", module=network, inputs={"patch": x}, outputs=("heights",),
                axes={"patch": {0: "batch"}}, note=note,
            )
        ]  # fmt: skip
