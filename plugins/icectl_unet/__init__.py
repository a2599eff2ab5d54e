"""U-Net for snow masks (Müller 2023, section 2.2.3)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from icectl.tasks.snow import of_mueller
from icectl.tasks.snow.options import PublishedOptions, published


class UNetTrain(PublishedOptions):
    """Options of `train` with the sizes of the network."""

    widths: tuple[int, ...] = Field(default=(8, 16, 32), description="Channels of the levels, top to bottom.")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = published(
        1e-3, 1e-2, 20, widths=(64, 128, 256, 512, 1024)
    )


plugin = of_mueller("unet", "U-Net", "icectl_unet.network:UNetModel", UNetTrain, aliases=("u-net",))
