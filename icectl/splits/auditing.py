"""Counts what test and training share, pixel by pixel and frame by frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from icectl.arrays import Bools
from icectl.splits.making import TEST, TRAIN, VALIDATE, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """How much of what is scored was seen in training.

    A pixel-moment is one pixel of one frame. `moments` counts those of all test windows (inputs and
    targets) at scored pixels, `shared` those of them that lie in a training window too.
    """

    kind: str
    train_windows: int
    validation_windows: int
    test_windows: int
    scored_pixels: int
    moments: int
    shared: int
    shared_frames: int
    space_only: bool

    @property
    def share(self) -> float:
        """Share of the test pixel-moments also seen in training."""
        return self.shared / self.moments if self.moments else 0.0

    def sentence(self) -> str:
        """Return the audit in words."""
        where = {
            "blocks": "blocks in space only (one window in time)"
            if self.space_only
            else "blocks in space, later frames",
            "time": "later frames",
            "paper": "windows at random, as in the paper",
        }[self.kind]
        return (
            f"split by {where}: {self.train_windows:,} training and {self.validation_windows:,} validation "
            "windows; "
            f"{self.scored_pixels:,} pixels scored; shared pixels: {self.shared:,} of {self.moments:,} test "
            f"pixel-moments ({self.share:.1%}) were seen in training"
        )

    def facts(self) -> dict[str, Any]:
        """Return the audit for a report: label to value."""
        return {
            "split": self.kind + (" (space only)" if self.space_only else ""),
            "training windows": self.train_windows,
            "validation windows": self.validation_windows,
            "scored pixels": self.scored_pixels,
            "test pixel-moments": self.moments,
            "shared with training": self.shared,
            "share seen in training": round(self.share, 6),
            "frames in training and test": self.shared_frames,
        }


def audit(split: Split) -> Audit:
    """Count what test and training share, pixel by pixel and frame by frame."""
    moments = shared = frames = 0
    for train, test in zip(_covered(split, TRAIN), _covered(split, TEST), strict=True):
        scored = test & split.scored
        moments += int(scored.sum())
        shared += int((scored & train).sum())
        frames += bool(train.any() and scored.any())
    count = {part: int((split.windows == part).sum()) for part in (TRAIN, VALIDATE, TEST)}
    return Audit(
        kind=split.kind,
        train_windows=count[TRAIN],
        validation_windows=count[VALIDATE],
        test_windows=count[TEST],
        scored_pixels=int(split.scored.sum()),
        moments=moments,
        shared=shared,
        shared_frames=frames,
        space_only=split.kind == "blocks" and split.cut is None,
    )


def _covered(split: Split, part: int) -> Iterator[Bools]:
    """Yield for each frame which pixels lie in a window of `part`."""
    grid, alive = split.grid, []
    for frame in range(grid.frames):
        if frame < grid.shape[2]:
            chosen = split.windows[:, :, frame] == part
            alive.append(
                grid.coverage(chosen) > 0 if chosen.any() else np.zeros((grid.rows, grid.cols), bool)
            )
        alive = alive[-grid.length :]
        first = max(0, frame - grid.length + 1)
        count = min(frame, grid.shape[2] - 1) - first + 1
        yield np.logical_or.reduce(alive[-count:]) if count > 0 else np.zeros((grid.rows, grid.cols), bool)
