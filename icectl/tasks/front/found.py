"""What prediction finds in one image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.lines import Line

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Front:
    """One predicted front in pixels of its image, and how it came about."""

    line: Line
    confidence: float
    passes: str
    enlarged: float = 1.0
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """All that prediction says of one image. `edge` and `mask` are on the image's own pixels."""

    fronts: tuple[Front, ...]
    edge: Floats
    mask: Floats
    notes: tuple[str, ...] = field(default=())
