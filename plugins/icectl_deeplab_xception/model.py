"""DeepLab-Xception on the front task: which of the networks is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icectl.tasks.front.model import FrontModel, Ports

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
