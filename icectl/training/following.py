"""Following a training outside icectl, as ``--logger`` asks: in MLflow, Weights & Biases or TensorBoard.

Rank 0 hands its options, curves and scores to one thread, which alone talks to the tracker: a server that
is slow or gone neither delays nor stops the training. What fails is one warning, and ends the tracking.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from icectl.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from icectl.arrays import U8
    from icectl.run import Run
    from icectl.training.trackers import Tracker

TRACKERS = ("mlflow", "wandb", "tensorboard")
"""What ``--logger`` names; each is the name of its package, and of the extra that installs it."""

PATIENCE, HURRY = 30.0, 5.0
"""Seconds that a finished training, and a stopped one, waits for the tracker to take the rest."""


def check(name: str) -> None:
    """Refuse a tracker that is unknown or whose package is not installed; imports nothing.

    UsageError: with the line that installs it.

    Examples
    --------
    >>> check("tensorboard")  # doctest: +SKIP
    """
    if name not in TRACKERS:
        raise UsageError(f"no logger called '{name}'", did_you_mean(name, TRACKERS))
    spec = find_spec(name)
    if spec is None or spec.origin is None:  # a mere folder of that name
        raise UsageError(
            f"--logger {name} needs the package {name}, which is not installed",
            f"pip install 'icectl[{name}]'",
        )


class Following:
    """Hands records to a tracker in a thread of its own.

    `run`: its `logger` names the tracker; `step`: the update that a resumed training goes on from, else 0.
    """

    def __init__(self, run: Run, step: int) -> None:
        self.run, self.failed = run, False
        self._calls: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(step,), daemon=True, name="icectl-tracker")
        self._thread.start()

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add finite values to the curves, by name."""
        self._calls.put(lambda tracker: tracker.scalars(values, step))

    def image(self, title: str, image: U8, step: int) -> None:
        """Add an image (rows, columns, 3)."""
        self._calls.put(lambda tracker: tracker.image(title, image, step))

    def close(self, finished: bool, scores: Mapping[str, float]) -> None:
        """End the record; wait a while for what is still to be taken, less where the training was stopped."""
        self._calls.put(lambda tracker: tracker.close(finished, scores))
        self._calls.put(None)
        patience = PATIENCE if finished else HURRY
        self._thread.join(patience)
        if self._thread.is_alive():
            self._give_up(f"no answer for {patience:.0f} s")

    def _work(self, step: int) -> None:
        try:
            from icectl.training.trackers import OPEN

            tracker = OPEN[str(self.run.logger)](self.run, step)
            while (call := self._calls.get()) is not None:
                call(tracker)
        except Exception as error:
            text = str(error).strip().partition("\n")[0]
            self._give_up(f"{type(error).__name__}: {text}")

    def _give_up(self, why: str) -> None:
        if self.failed:
            return
        self.failed = True
        self.run.warn(f"the training is not, or not wholly, recorded in {self.run.logger}: {why}")
