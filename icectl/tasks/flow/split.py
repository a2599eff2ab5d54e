"""What trains, validates and tests: parts of the ground, or parts of time.

In space, the ground is cut by two lines across; a chip belongs to a part if its whole path lies in it, and
all dates occur on both sides: what is tested is other ice. In time, a date is a target in one part only, and
what is tested is dates never seen: past frames of a test window may be training dates, since they are known
when one forecasts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icectl.arrays import I64, U8
from icectl.errors import DataError
from icectl.tasks.flow.dataset import Sequences
from icectl.tasks.flow.options import AHEAD, LEAST_PAST, TrainOptions

TRAIN, VALIDATE, TEST = 1, 2, 3

_NAMES = {"training": TRAIN, "validation": VALIDATE, "test": TEST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Sequences and windows of each part.

    `of`: ``(sequence,)`` `TRAIN`, `VALIDATE`, `TEST` or 0; in a split in time all sequences are in all
        parts.
    `every`: ``(first, past)``: first frame and number of past frames of every window; t0 is the last of
        them.
    `tested`: those of `every` that are tested.
    `targets`: of a split in time: the frames that are targets, by part; none of a split in space.
    `shared`: pixels that training or validation chips share with test chips, over all frames, in space: 0.
    """

    of: U8
    every: tuple[tuple[int, int], ...]
    tested: tuple[tuple[int, int], ...]
    targets: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    shared: int = 0

    def sequences(self, part: int) -> I64:
        """Return the numbers of the sequences of a part."""
        return np.arange(len(self.of)) if self.targets else np.flatnonzero(self.of == part)

    def sentence(self) -> str:
        """Say what was split, for people."""
        if self.targets:
            said = "; ".join(f"{name} on {self._dates(part)}" for name, part in _NAMES.items())
            return f"split in time: {said}; past frames may be of any date before"
        counts = {name: int((self.of == part).sum()) for name, part in _NAMES.items()}
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        across = int((self.of == 0).sum())
        return f"split in space: {said} sequences, {across} across a border; {self.shared} pixels shared"

    def facts(self) -> dict[str, Any]:
        """Return the audit as label and value."""
        if self.targets:
            dates = {f"{name} targets": self._dates(part) for name, part in _NAMES.items()}
            return {"split": "time", **dates, "dates that are targets of two parts": 0}
        counts = {f"{name} sequences": int((self.of == part).sum()) for name, part in _NAMES.items()}
        return {
            "split": "space",
            **counts,
            "across a border (unused)": int((self.of == 0).sum()),
            "pixels shared by training and test": self.shared,
            "dates": "all dates occur in both parts",
        }

    def _dates(self, part: int) -> str:
        frames = self.targets[part]
        if not frames:
            return "none"
        first, last = self.dates[frames[0]], self.dates[frames[-1]]
        return f"{len(frames)} dates, {first} to {last}" if len(frames) > 1 else first


def split(dataset: Sequences, options: TrainOptions, seed: int = 0) -> Parts:
    """Split by ``options.split``; nothing is drawn.

    DataError: if a part would be empty that may not be.
    """
    if not len(dataset.array("sequence_band")):
        raise DataError(
            "no chips were followed: there is nothing to train on or to forecast",
            "prepare three frames or more, with --chips above 0; for a velocity alone: predict --no-forecast",
        )
    return _in_time(dataset, options) if options.split == "time" else _in_space(dataset, options)


def _in_time(dataset: Sequences, options: TrainOptions) -> Parts:
    """Let the last dates be tested and the ones before validate."""
    count, least = dataset.times, min(options.past, LEAST_PAST)
    tested = round(options.test_share * count)
    validated = max(round(options.valid_share * count), 1 if options.valid_share > 0 else 0)
    cuts = count - tested - validated, count - tested
    frames = tuple(range(count))
    targets = {TRAIN: frames[: cuts[0]], VALIDATE: frames[cuts[0] : cuts[1]], TEST: frames[cuts[1] :]}
    if len(targets[TRAIN]) < 3 or count < least + AHEAD or (options.test_share > 0 and not tested):
        raise DataError(
            f"{count} dates cannot be split in time: {len(targets[TRAIN])} would train, {tested} would test",
            "give more frames, a smaller --past, or --split ground",
        )
    every = tuple((0, t - AHEAD + 1) for t in frames if t - AHEAD + 1 >= least)
    ends = {past + AHEAD - 1: (first, past) for first, past in every}
    dates = tuple(str(t)[:10] for t in dataset.data["time"].values)
    chosen = tuple(ends[t] for t in targets[TEST] if t in ends)
    whole = np.full(len(dataset.array("sequence_band")), TEST, np.uint8)
    return Parts(of=whole, every=every, tested=chosen, targets=targets, dates=dates)


def _in_space(dataset: Sequences, options: TrainOptions) -> Parts:
    """Let one side of the ground be tested, and a strip before it validate."""
    position, size = dataset.array("position"), dataset.size
    axis = 0 if options.test_side in ("north", "south") else 1
    low, high = position[..., axis].min(axis=1), position[..., axis].max(axis=1) + size
    if options.test_side in ("north", "west"):  # mirror, so that the test side has the greater coordinates
        low, high = -high, -low
    middle = (low + high) / 2
    test_cut = float(np.quantile(middle, 1 - options.test_share)) if options.test_share else np.inf
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
        if not (of == part).any() and (part == TRAIN or options.test_share > 0):
            raise DataError(
                f"no chip of {size} pixels lies wholly on the {name} side of the ground",
                "use smaller chips, more of them, or another --test-side or --test-share",
            )
    windows = tuple((first, options.past) for first in range(check_past(dataset, options.past)))
    return Parts(of=of, every=windows, tested=windows, shared=_shared(dataset, of))


def _shared(sequences: Sequences, of: U8) -> int:
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

    DataError: if the series is too short for one.
    """
    count = sequences.times - past - AHEAD + 1
    if count < 1:
        most = sequences.times - AHEAD
        fewer = f"use --past {most} or less" if most > 0 else "use --no-forecast with `icectl predict`"
        raise DataError(
            f"--past {past} needs {past + AHEAD} frames, but only {sequences.times} are usable",
            f"{fewer}, or give more frames",
        )
    return count
