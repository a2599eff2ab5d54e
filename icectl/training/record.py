"""The record of a training: ``log.jsonl``, and what ``--logger`` names outside icectl.

Rank 0 hands its options, curves and scores to one thread, which alone talks to the tracker: a server that
is slow or gone neither delays nor stops the training. What fails is one warning, and ends the tracking.
An evaluation adds its scores to the record of its training.
"""

from __future__ import annotations

import json
import math
import queue
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icectl.errors import UsageError, brief, did_you_mean
from icectl.run import Run
from icectl.workspace import writing

if TYPE_CHECKING:
    from torch import Tensor

    from icectl.arrays import U8
    from icectl.contract import Metrics
    from icectl.training.trackers import Tracker

TRACKERS = ("mlflow", "wandb", "tensorboard")
"""What ``--logger`` names; each is the name of its package, and of the extra that installs it."""

PATIENCE, HURRY = 30.0, 5.0
"""Seconds that a finished training, and a stopped one, waits for the tracker to take the rest."""


def check(name: str) -> None:
    """Refuse a tracker that is unknown or whose package is not installed; imports nothing.

    UsageError: with the line that installs it.

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

    `run`: its `logger` names the tracker; `step`: the update that a resumed training goes on from, else 0;
    anything else for an evaluation.
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
        """End the record with `scores`; wait a while for what is still to be taken, less where stopped."""
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
            self._give_up(f"{type(error).__name__}: {brief(error)}")

    def _give_up(self, why: str) -> None:
        if self.failed:
            return
        self.failed = True
        stage = f"the {self.run.verb} stage"
        self.run.warn(f"{stage} is not, or not wholly, recorded in {self.run.logger}: {why}")


def follow_scores(run: Run, metrics: Metrics) -> None:
    """Add an evaluation's scores to the record of its training, or to one of their own.

    `run`: the evaluation, whose `logger` names the tracker; of `metrics` the model's first row is
    recorded, as ``evaluate/KEY``.

    >>> follow_scores(run, metrics)  # doctest: +SKIP
    """
    rows = (row for table in metrics.tables[:1] for row in table.rows if row.kind == "model")
    values = next((row.values for row in rows), {})
    found = {f"evaluate/{key}": float(v) for key, v in values.items() if v is not None and math.isfinite(v)}
    Following(run, 1).close(True, found)


LOG = "log.jsonl"


class Record:
    """Writes lines and curves, on rank 0 only; a resumed run first drops what lies ahead of it."""

    def __init__(self, run: Run, step: int, active: bool) -> None:
        self.path, self.active = run.out / LOG, active
        self.following: Following | None = None
        if not active:
            return
        truncate(self.path, step)
        self._file = self.path.open("a", encoding="utf-8")
        if run.logger:
            self.following = Following(run, step)

    def line(
        self,
        step: int,
        epoch: int,
        values: Mapping[str, float],
        rates: Mapping[str, float],
        seconds: float,
    ) -> None:
        """Append one line; values that are not finite become null."""
        if not self.active:
            return
        plain = {name: value if math.isfinite(value) else None for name, value in values.items()}
        line = {"step": step, "epoch": epoch, **plain, **rates, "seconds": round(seconds, 3)}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self.following is not None:
            finite = {name: float(v) for name, v in {**values, **rates}.items() if math.isfinite(v)}
            self.following.scalars(finite, step)

    def image(self, step: int, title: str, image: Tensor) -> None:
        """Hand an image (3 or 1, rows, columns) in [0, 1] to what follows the training."""
        if self.following is not None:
            shown = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte()
            self.following.image(title, shown.expand(3, -1, -1).permute(1, 2, 0).numpy(), step)

    def close(self, finished: bool, scores: Mapping[str, float]) -> None:
        """Flush and close; `scores` are those of the best weights."""
        if self.active:
            self._file.close()
        if self.following is not None:
            self.following.close(finished, {f"best/{name}": value for name, value in scores.items()})


def truncate(path: Path, step: int) -> None:
    """Drop the lines of `path` that lie after update `step`, and a half-written last one."""
    if not path.exists():
        return
    kept = [line for line in read(path) if isinstance(line.get("step"), int) and line["step"] <= step]
    with writing(path) as file:
        file.write("".join(json.dumps(line) + "\n" for line in kept))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, none where there is no log; a half-written one is left out."""
    lines: list[dict[str, Any]] = []
    if not path.is_file():
        return lines
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines
