"""What prediction finds in one image, and what counts as a front."""

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


@dataclass(frozen=True, slots=True)
class Rules:
    """How probabilities become fronts.

    `looks`: magnifications that are averaged over, each with the σ in pixels of a Gaussian that smooths the
    image first. `flip`: whether the mirrored image is averaged with.
    `full_size`: longer side of the views of two passes, None for one pass over the image's own pixels;
    `window` and `stride`: the network's windows in views, and between them, in pixels;
    `box_padding`: side of a front's box in pass two over the front's extent.
    `edge`, `box`, `mask`: probabilities of a skeleton's pixels, of a front's box, of ice.
    `minimum_length`: as a share of the view; `minimum_area`, `minimum_area_two`: of a part as a share of
    the pixels in pass one and two; `minimum_relative`: of the largest part; `minimum_points`: of a line.
    `edge_confidence`: least 2·mean|p − ½|. `band_bias`: largest |mean(mask − ½)| beside
    the edge. `mask_ratio`: largest ratio of ice to ocean or ocean to ice. `front_distance`: between fronts
    as a share of the view; `fronts`: most of one image.
    `neighbours`, `bridge`: gaps are bridged to this share of nearest pixels, and up to so many pixels.
    `mask_support`: an edge counts less where the mask hardly changes within a square of this side; 0 is off.
    `smoothing`: along the line in pixels. `fallback`: look below the thresholds where no front passes.
    """

    looks: tuple[tuple[float, float], ...] = ((0.8, 1.2), (1.0, 0.8), (1.25, 0.0))
    flip: bool = True
    full_size: int | None = None
    window: int = 224
    stride: int = 16
    box_padding: float = 2.5
    edge: float = 0.33
    box: float = 0.25
    mask: float = 0.5
    minimum_length: float = 0.125
    minimum_area: float = 1e-4
    minimum_area_two: float = 5e-4
    minimum_relative: float = 0.15
    minimum_points: int = 4
    edge_confidence: float = 0.525
    band_bias: float = 1.0
    mask_ratio: float = 32.0
    front_distance: float = 0.25
    fronts: int = 1
    neighbours: float = 0.25
    bridge: float = 10.0
    mask_support: int = 15
    smoothing: float = 1.0
    fallback: bool = True


ROWS = {
    "ours": Rules(),
    "calfin": Rules(
        looks=((1.0, 0.0),),
        flip=False,
        band_bias=0.13,
        bridge=float("inf"),
        mask_support=0,
        fronts=100,
        fallback=False,
    ),
}
"""By the name that ``--thresholds`` takes; calfin's are those of Cheng et al. 2021 in production."""
