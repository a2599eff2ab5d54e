"""How long a training lasts, its rate, what it came to, and how one is interrupted. Light: without torch."""

import math
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from icectl.errors import UsageError, WorkError

STATE = "state.safetensors"
"""The file in a run's folder from which its training resumes."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command."""

RESUME = "run the same command again: it goes on from where it stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How long to train, how often to look, and when to stop.

    Parameters
    ----------
    epochs, max_updates
        Train until the first of them is reached; one must be given.
    every
        The unit of `validate_every`: ``"epoch"`` or ``"update"``.
    validate_every
        How often to validate (and save the state).
    patience
        Stop after this many validations without improvement; None: never.
    monitor, better
        The validation score that decides, and whether ``"lower"`` or ``"higher"`` is better.
    clip_value, clip_norm
        Bounds on gradients.
    checkpoint_every
        Updates between saved states, besides those at validations; None: only there.
    log_every
        Updates between lines of the log.
    """

    epochs: int | None = None
    max_updates: int | None = None
    every: Literal["epoch", "update"] = "epoch"
    validate_every: int = 1
    patience: int | None = None
    monitor: str = "loss"
    better: Literal["lower", "higher"] = "lower"
    clip_value: float | None = None
    clip_norm: float | None = None
    checkpoint_every: int | None = None
    log_every: int = 50

    def __post_init__(self) -> None:
        if self.epochs is None and self.max_updates is None:
            raise UsageError("training needs a length", "set the epochs, or the updates")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """What a training came to.

    `best` is the best monitored score (None without validation) at update `best_step`;
    `scores` are all validation scores there; `stopped` is ``"epochs"``, ``"max_updates"`` or
    ``"patience"``; `weights` is the file of the best weights.
    """

    best: float | None
    best_step: int
    steps: int
    epochs: int
    stopped: str
    weights: Path
    seconds: float
    scores: Mapping[str, float] = field(default_factory=dict)


def cosine_rate(step: int, total: int, warm: int, after: int = 0, floor: float = 0.0) -> float:
    """Return the share of the full learning rate: a rise over `warm` updates, half a cosine down to `floor`.

    The cosine begins at update `after` and ends at update `total`; `step` is counted from 0.

    Examples
    --------
    >>> [round(cosine_rate(step, 100, 10), 2) for step in (0, 9, 50, 100)]
    [0.1, 0.98, 0.5, 0.0]
    """
    fallen = min(1.0, max(0, step - after) / max(1, total - after))
    return min(1.0, (step + 1) / warm) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fallen)))


class Interrupted(WorkError):
    """Training was told to stop (Ctrl-C, SIGTERM) and left a state to go on from."""

    def __init__(self, message: str, hint: str = RESUME, number: int = signal.SIGTERM) -> None:
        super().__init__(message, hint)
        self.number = int(number)
        self.exit_code = 128 + self.number

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.hint, self.number)
