"""DeepLab-Xception on the front task: which of the networks is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icectl.tasks.front.model import FrontModel, Ports
from icectl_deeplab_xception import TIMM

if TYPE_CHECKING:
    from torch import nn


class DeepLabXception(FrontModel):
    """Edge and mask by DeepLabV3+ with an Xception encoder: a small one, timm's, or CALFIN's own layout."""

    def network(self, ports: Ports, options: Any) -> nn.Module:
        """Return the network of ``options.network``, with ``options.rates`` in its pyramid."""
        if options.network in ("small", "calfin"):
            from icectl_deeplab_xception.calfin import CALFIN, SMALL, Calfin

            layout = SMALL if options.network == "small" else CALFIN
            return Calfin(ports.bands, ports.outputs, layout, options.rates)
        from icectl_deeplab_xception.xception import deeplab

        return deeplab(options.network, bands=ports.bands, outputs=ports.outputs, rates=options.rates)

    def initialise(self, network: nn.Module, options: Any) -> nn.Module:
        """Return `network` with its encoder started from ``options.encoder_weights``."""
        if options.encoder_weights is not None:
            from icectl.tasks.encoders import load_encoder

            name = options.network.removeprefix(TIMM)
            load_encoder(network.encoder.model, name, options.encoder_weights)  # type: ignore[union-attr, arg-type]
        return network
