"""The networks of the front task by name, and the model that icectl runs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

NAMES = ("tu-xception41", "tu-xception65", "tu-xception71", "calfin", "compact", "unet")


def build(name: str, *, bands: int = 3, rates: Sequence[int] = (1, 2, 3, 4, 5), width: int = 16) -> nn.Module:
    """Return a network with two outputs, logits of the front edge and of the ice mask.

    Parameters
    ----------
    name
        One of `NAMES`.
    bands
        Input layers.
    rates
        Atrous rates (DeepLab and compact).
    width
        Channels of the first level (compact and unet).
    """
    if name == "calfin":
        from icectl_deeplab_xception.calfin import Calfin

        return Calfin(bands)
    if name == "compact":
        from icectl_deeplab_xception.compact import Compact

        return Compact(bands, tuple(width * factor for factor in (1, 2, 4, 6, 8)), rates)
    if name == "unet":
        from icectl_deeplab_xception.unet import UNet

        return UNet(bands, width=width)
    from icectl_deeplab_xception.xception import deeplab

    return deeplab(name, bands=bands, rates=rates)
