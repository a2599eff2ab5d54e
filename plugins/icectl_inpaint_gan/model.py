"""InpaintGAN: the generator and its adversary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

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
