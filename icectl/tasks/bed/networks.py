"""What a plugin's networks must answer, so that the task can predict with them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Networks(Protocol):
    """Trained networks of both steps; either step may be missing."""

    has_inpaint: bool
    has_thickness: bool
    volume_error: float
    pixel_error: float

    def inpaint(self, heights: Floats, hidden: Bools, rounds: int, seed: int) -> tuple[Floats, Floats]:
        """Return ground ``(y, x)`` (m) with the hidden pixels filled, and its spread (m) over `rounds`
        masks.
        """
        ...

    def thickness(self, channels: NDArray[np.float32], prior: NDArray[np.float32]) -> Floats:
        """Return the members' thickness (m) ``(members, y, x)`` for channels ``(c, y, x)`` and prior
        ``(y, x)``.
        """
        ...


class Loader(Protocol):
    """Loads networks from the folder of a finished training; a function of a module, so that it pickles."""

    def __call__(self, folder: Path, device: str) -> Networks:
        """Return the networks whose weights lie in `folder`, on a device of torch's name."""
        ...
