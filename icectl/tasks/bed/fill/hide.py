"""Turns a patch of raw ground into a sample of step (a): turned, mirrored, with a hole."""

from typing import TypedDict

import numpy as np

from icectl.arrays import F32, U8, Array, Bools
from icectl.tasks.bed.fill import masks
from icectl.tasks.bed.fill.ice import Cover
from icectl.tasks.bed.fill.inputs import Begin, averaged, masked_patch, thin

KINDS = ("box", "brush", "glacier")
"""Shapes of training holes."""

VARIANTS = 3
"""Holes made of each training patch that begins at a fill."""

MAX_KEPT = 20_000
"""Samples kept in memory (a network's patch of 32 pixels takes 25 kB)."""

Sample = dict[str, F32]


class Ground(TypedDict):
    """Heights (m) and cover of a patch ``(y, x)``, the side of its hole in pixels, and its number."""

    heights: F32
    cover: U8
    hole: int
    index: int


class Hide:
    """Turns, mirrors and masks a patch, and computes the network's channels from what is left.

    Ice inside the patch is hidden too, as it is at a prediction, and never a target. Channels that begin at a
    fill cost a solve of all of a patch's pixels; so some holes of each patch are made once and kept.
    """

    def __init__(self, size: int, begin: Begin, shapes: masks.Shapes, train: bool) -> None:
        self.size, self.begin, self.shapes, self.train = size, begin, shapes, train
        self.kept: dict[tuple[int, int], Sample] = {}

    def __call__(self, patch: Ground, rng: np.random.Generator) -> Sample:
        """Return ``x`` (c, y, x), ``y`` (1, y, x) normalised heights, ``valid`` (1, y, x) target pixels,
        ``scale``.
        """
        if self.begin == "flat":
            return self._made(patch, rng)
        key = (patch["index"], int(rng.integers(VARIANTS)) if self.train else 0)
        if key not in self.kept or key[0] < 0:
            made = self._made(patch, np.random.default_rng([64, key[0] + 1, key[1]]))
            if len(self.kept) >= MAX_KEPT:
                return made
            self.kept[key] = made
        return self.kept[key]

    def _made(self, patch: Ground, rng: np.random.Generator) -> Sample:
        heights = np.asarray(patch["heights"], np.float64)
        banned = np.asarray(patch["cover"]) != Cover.GROUND
        if self.train:
            turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
            heights, banned = (_turned(a, turns, mirror) for a in (heights, banned))
        hole = self._hole(float(patch["hole"]), heights.shape[0], rng)
        made = masked_patch(heights, _some_known(hole | banned), self.size, self.begin)
        target, off_limits = thin(heights, banned, self.size)
        wanted = averaged(hole.astype(np.float64), self.size) > 0
        valid = wanted & ~off_limits & (made.channels[-1] > 0)
        return {
            "x": made.channels,
            "y": ((target - made.level) / made.scale)[None].astype(np.float32),
            "valid": valid[None].astype(np.float32),
            "scale": np.array([made.scale], dtype=np.float32),
        }

    def _hole(self, width: float, side: int, rng: np.random.Generator) -> Bools:
        if not self.train:
            return masks.centred_box(side, max(2, round(width)))
        wanted = max(2, round(width * rng.uniform(0.6, 1.3)))
        return masks.draw(rng, KINDS, side, wanted, self.shapes)


def _some_known(hidden: Bools) -> Bools:
    if hidden.all():
        hidden = hidden.copy()
        hidden[0, :] = False
    return hidden


def _turned(array: Array, turns: int, mirror: bool) -> Array:
    turned = np.rot90(array, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)
