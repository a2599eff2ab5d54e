"""How long a training lasts, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from icectl.errors import UsageError


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
    tensorboard
        Whether to write TensorBoard event files.
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
    tensorboard: bool = True

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
