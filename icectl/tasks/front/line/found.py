"""What prediction finds in one image."""

from dataclasses import dataclass, field

import numpy as np

from icectl.arrays import F32, F64
from icectl.tasks.front.line.lines import Line


@dataclass(frozen=True, slots=True)
class Front:
    """One predicted front in pixels of its image, and how it came about.

    `certainty` is CALFIN's 2·mean|p − ½|; `along` the edge's probability at each point of the line;
    `length` its length in pixels of the network's view; `contrast` how far the mask of ice differs behind
    and before it, −1…1; `fallback` whether the thresholds were lowered; `enlarged` how far the source was
    magnified for it; `bearing` where the ice behind it flows to (degrees clockwise from north), None if
    nobody looked; `rival` how good the network's answers in other directions are, as a share of those in
    this one, 0 where the direction was told. `confidence` is the probability that the line lies within
    500 m of the front, and `doubt` says in words why it may not.
    """

    line: Line
    certainty: float
    passes: str
    enlarged: float = 1.0
    fallback: bool = False
    along: F64 = field(default_factory=lambda: np.empty(0))
    length: float = 0.0
    contrast: float = 0.0
    bearing: float | None = None
    rival: float = 0.0
    confidence: float = 1.0
    doubt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """All that prediction says of one image. `edge` and `mask` are on the image's own pixels."""

    fronts: tuple[Front, ...]
    edge: F32
    mask: F32
    notes: tuple[str, ...] = field(default=())
