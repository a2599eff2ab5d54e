"""The residual U-Net on the front task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icectl.tasks.front.model import FrontModel, Ports

if TYPE_CHECKING:
    from torch import nn

LEVELS = (1, 2, 4, 6, 8)
"""Channels of the residual network's levels over those of the first."""


class FrontUNet(FrontModel):
    """Edge and mask by a U-Net, residual or plain."""

    def network(self, ports: Ports, options: Any) -> nn.Module:
        """Return the network that ``options.plain`` and ``options.width`` ask for."""
        if options.plain:
            from icectl_front_unet.networks import UNet

            return UNet(ports.bands, ports.outputs, options.width)
        from icectl_front_unet.networks import ResidualUNet

        widths = tuple(options.width * factor for factor in LEVELS)
        return ResidualUNet(ports.bands, widths, outputs=ports.outputs)
