"""Windows: past frames of a sequence and the two that follow, as a network is fed with them."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from icectl.arrays import F32, I64
from icectl.tasks.flow.dataset import Sequences
from icectl.tasks.flow.options import AHEAD


class Scaling:
    """Brings chips to the numbers a network sees, and back.

    ``chip``: each chip of each frame loses its mean and is divided by its deviation plus a
    fiftieth of the band's range, so that a flat cloud stays flat. ``scene``: each band's 1st and
    99th percentiles become 0 and 1, and values beyond are clipped.
    """

    def __init__(self, kind: str, low: F32, high: F32) -> None:
        self.kind = kind
        self.low = np.asarray(low, np.float32)
        self.range = np.maximum(np.asarray(high, np.float32) - self.low, np.float32(1e-6))

    def __call__(self, chips: F32, band: I64 | int) -> F32:
        """Scale chips ``(…, time, rows, cols)`` of a band (or ``(n, time, rows, cols)`` of n bands)."""
        low, wide = self._of(band, chips)
        if self.kind == "scene":
            return np.asarray(np.clip((chips - low) / wide, 0, 1), np.float32)
        mean, deviation = self._moments(chips)
        return np.asarray((chips - mean) / (deviation + wide / 50), np.float32)

    def undo(self, made: F32, last: F32, band: I64 | int) -> F32:
        """Bring generated chips back to the sensor's units, with the mean and deviation of `last`.

        `last` is the last clear frame seen, ``(n, rows, cols)``; `made` is ``(n, steps, rows, cols)``.
        """
        low, wide = self._of(band, made)
        if self.kind == "scene":
            return np.asarray(made * wide + low, np.float32)
        mean, deviation = self._moments(last[:, None])
        return np.asarray(made * (deviation + wide / 50) + mean, np.float32)

    def _of(self, band: I64 | int, like: F32) -> tuple[F32, F32]:
        shape = (-1,) + (1,) * (like.ndim - 1) if np.ndim(band) else ()
        return self.low[band].reshape(shape), self.range[band].reshape(shape)

    @staticmethod
    def _moments(chips: F32) -> tuple[F32, F32]:
        return chips.mean(axis=(-1, -2), keepdims=True), chips.std(axis=(-1, -2), keepdims=True)


def scaling(sequences: Sequences, kind: str) -> Scaling:
    """Return the scaling of a dataset's bands."""
    return Scaling(kind, sequences.array("low"), sequences.array("high"))


class Windows:
    """Windows of some sequences: ``{"frames", "days", "cloud"}`` of numpy arrays.

    `sequences` and `chosen`: the dataset, and the numbers of the sequences to use. `windows`: ``(first,
    past)`` of each window; all of one length. `normalise`: how chips are scaled; see `Scaling`. `memory`:
    keep chips in memory if they fit into so many bytes.
    """

    def __init__(
        self,
        sequences: Sequences,
        chosen: I64,
        windows: Iterable[tuple[int, int]],
        normalise: str,
        memory: int = 2 * 2**30,
    ) -> None:
        self.sequences, self.scale = sequences, scaling(sequences, normalise)
        self.band, self.days = sequences.array("sequence_band"), sequences.days
        self.cloud = sequences.array("cloud_share").astype(np.float32)
        self.pairs = [(int(s), first, past) for s in chosen for first, past in windows]
        self._where = {int(s): i for i, s in enumerate(chosen)}
        size = sequences.chip.dtype.itemsize * len(chosen) * sequences.times * sequences.size**2
        self._held = sequences.held(chosen) if size <= memory and len(chosen) else None

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sequence, first, past = self.pairs[index]
        span = slice(first, first + past + AHEAD)
        return {
            "frames": self.frames(sequence)[span, None],
            "days": self.days[span] - self.days[first],
            "cloud": self.cloud[sequence, span],
        }

    def frames(self, sequence: int) -> F32:
        """Return the scaled chips of a sequence, ``(time, rows, cols)``."""
        if self._held is None:
            chips = self.sequences.held(np.array([sequence]))[0]
        else:
            chips = self._held[self._where[sequence]]
        return self.scale(np.asarray(chips, np.float32), int(self.band[sequence]))


class Drawn(Windows):
    """Windows of a split in time, for training: a target, and past frames drawn from the other dates.

    `draw` picks number, spacing and order of what is seen, so that nothing of the calendar can be learnt.
    Where fewer are drawn than fit, some stand before them again with NaN as their cloud: they do not count.
    """

    def __init__(
        self,
        sequences: Sequences,
        chosen: I64,
        targets: tuple[int, ...],
        past: int,
        normalise: str,
    ) -> None:
        super().__init__(sequences, chosen, [(target, past) for target in targets], normalise)
        self.known = np.asarray(targets)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sequence, target, _ = self.pairs[index]
        order = [target, *(int(t) for t in self.known if t != target)]
        days = np.abs(self.days[order] - self.days[target])
        return {
            "frames": self.frames(sequence)[order, None],
            "days": days.astype(np.float32),
            "cloud": self.cloud[sequence, order],
        }

    def draw(self, sample: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Return a window: frames drawn, then the target twice (t1 and t2)."""
        past = self.pairs[0][2]
        others = np.arange(1, len(sample["days"]))
        size = int(rng.integers(min(2, len(others)), min(len(others), past) + 1))
        few = rng.choice(others, size=size, replace=False)
        few = few[np.argsort(-sample["days"][few], kind="stable")] if rng.random() < 0.5 else few
        order = np.concatenate([rng.choice(few, size=past - size), few, [0] * AHEAD])
        lags, cloud = sample["days"][order], sample["cloud"][order]
        cloud[: past - size] = np.nan
        return {
            "frames": sample["frames"][order],
            "days": (lags.max() - lags).astype(np.float32),
            "cloud": cloud,
        }


def turn(sample: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Flip a window and turn it by quarters, all frames alike."""
    frames = np.rot90(sample["frames"], int(rng.integers(4)), (-2, -1))
    if rng.random() < 0.5:
        frames = frames[..., ::-1]
    return {**sample, "frames": np.ascontiguousarray(frames)}
