"""What a plugin's networks must answer, so that the task can predict with them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.bed.thickness.features import PRIOR_PIXEL_ERROR, PRIOR_VOLUME_ERROR

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Networks(Protocol):
    """Trained networks of both steps; either step may be missing.

    `kind` is the best kind of truth that step (b) has learnt from: measured, modelled or synthetic.
    """

    has_inpaint: bool
    has_thickness: bool
    volume_error: float
    pixel_error: float
    kind: str

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


class PriorAlone:
    """Networks whose step (b) is left out: thickness is the prior, with its errors on measured glaciers.

    Networks that have seen nothing but synthetic ice are far off on real glaciers (South Glacier: 143 m RMSE,
    the prior 28.5 m), and their own errors, which are those on synthetic ice, do not say so.
    """

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.has_inpaint, self.has_thickness, self.kind = networks.has_inpaint, True, "measured"
        self.volume_error, self.pixel_error = PRIOR_VOLUME_ERROR, PRIOR_PIXEL_ERROR

    def inpaint(self, heights: Floats, hidden: Bools, rounds: int, seed: int) -> tuple[Floats, Floats]:
        """Return what step (a) answers."""
        return self.networks.inpaint(heights, hidden, rounds, seed)

    def thickness(self, channels: NDArray[np.float32], prior: NDArray[np.float32]) -> Floats:
        """Return the prior as the only member's thickness ``(1, y, x)``."""
        return np.asarray(prior, dtype=np.float64)[None]


def suited(networks: Networks, real: bool) -> Networks:
    """Return networks that may answer on real glaciers (`real`), or on the synthetic one."""
    unfit = real and networks.has_thickness and networks.kind == "synthetic"
    return PriorAlone(networks) if unfit else networks


class Loader(Protocol):
    """Loads networks from the folder of a finished training; a function of a module, so that it pickles."""

    def __call__(self, folder: Path, device: str) -> Networks:
        """Return the networks whose weights lie in `folder`, on a device of torch's name."""
        ...
