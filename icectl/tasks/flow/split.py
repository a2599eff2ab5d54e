"""Parts of the ground: which chips train, validate and test, without a shared pixel.

The ground is cut by two lines across, so that one side is tested on. A chip belongs to a part if
its whole path, over all dates, lies in it; chips that cross a line belong to none. All dates occur
on both sides: what is tested is other ice, not another time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icectl.errors import DataError
from icectl.tasks.flow.dataset import Sequences
from icectl.tasks.flow.options import AHEAD, TrainOptions

TRAIN, VALIDATE, TEST = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Parts:
    """The part of each sequence (0: none), and where the cuts are.

    Attributes
    ----------
    of
        ``(sequence,)`` `TRAIN`, `VALIDATE`, `TEST` or 0.
    axis, cuts
        0 for rows, 1 for columns; the border of training ground and that of test ground, in pixels.
    shared
        Pixels that training or validation chips share with test chips, over all frames: 0.
    """

    of: NDArray[np.uint8]
    axis: int
    cuts: tuple[float, float]
    shared: int

    def sentence(self) -> str:
        """Say what was split, for people."""
        counts = {name: int((self.of == part).sum()) for name, part in _NAMES.items()}
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        across = int((self.of == 0).sum())
        return f"split in space: {said} sequences, {across} across a border; {self.shared} pixels shared"

    def facts(self) -> dict[str, Any]:
        """Return the audit as label and value."""
        counts = {f"{name} sequences": int((self.of == part).sum()) for name, part in _NAMES.items()}
        return {
            "split": f"space, along {'columns' if self.axis else 'rows'}",
            **counts,
            "across a border (unused)": int((self.of == 0).sum()),
            "pixels shared by training and test": self.shared,
            "dates": "all dates occur in both parts",
        }


_NAMES = {"training": TRAIN, "validation": VALIDATE, "test": TEST}


def split(dataset: Sequences, options: TrainOptions, seed: int = 0) -> Parts:
    """Split sequences by the side of the ground that they lie on; nothing is drawn.

    Raises
    ------
    DataError
        If no chip lies wholly on the training or the test side.
    """
    position, size = dataset.array("position"), dataset.size
    axis = 0 if options.test_side in ("north", "south") else 1
    low, high = position[..., axis].min(axis=1), position[..., axis].max(axis=1) + size
    beyond = options.test_side in ("south", "east")
    if not beyond:  # mirror, so that the test side has the greater coordinates
        low, high = -high, -low
    middle = (low + high) / 2
    test_cut = float(np.quantile(middle, 1 - options.test_share))
    valid_cut = float(np.quantile(middle, max(1 - options.test_share - options.valid_share, 0)))
    if options.valid_share > 0:  # wide enough for a chip
        valid_cut = min(valid_cut, test_cut - 1.1 * float((high - low).min()))
    else:
        valid_cut = test_cut
    of = np.zeros(len(position), np.uint8)
    of[high <= valid_cut] = TRAIN
    of[(low >= valid_cut) & (high <= test_cut)] = VALIDATE
    of[low >= test_cut] = TEST
    for part, name in ((TRAIN, "training"), (TEST, "test")):
        if not (of == part).any():
            raise DataError(
                f"no chip of {size} pixels lies wholly on the {name} side of the ground",
                "use smaller chips, more of them, or another --test-side or --test-share",
            )
    sign = 1 if beyond else -1
    return Parts(of, axis, (sign * valid_cut, sign * test_cut), _shared(dataset, of))


def _shared(sequences: Sequences, of: NDArray[np.uint8]) -> int:
    """Count pixels, frame by frame, that lie in a chip of test and in one of training or validation."""
    position, size = sequences.array("position"), sequences.size
    total = 0
    for t in range(sequences.times):
        covered = np.zeros((2, *sequences.grid.shape), dtype=bool)
        for row, col, part in zip(*position[:, t].T, of, strict=True):
            if part:
                covered[int(part == TEST), row : row + size, col : col + size] = True
        total += int((covered[0] & covered[1]).sum())
    return total


def check_past(sequences: Sequences, past: int) -> int:
    """Return how many windows of `past` frames and two more there are.

    Raises
    ------
    DataError
        If the series is too short for one.
    """
    count = sequences.times - past - AHEAD + 1
    if count < 1:
        raise DataError(
            f"--past {past} needs {past + AHEAD} frames, but only {sequences.times} are usable",
            f"use --past {max(sequences.times - AHEAD, 1)} or less, or give more frames",
        )
    return count
