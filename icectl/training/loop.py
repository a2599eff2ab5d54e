"""fit: the training loop, from the first update to the best weights.

It stops early on the best validation score, keeps the best weights, saves a state that
resumes bit-equal, writes ``log.jsonl`` and TensorBoard files, and stops cleanly on a signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icectl.run import Run
    from icectl.training.batches import Batches
    from icectl.training.learner import Learner
    from icectl.training.settings import FitResult, FitSettings


def fit(
    run: Run, learner: Learner, train: Batches, valid: Batches | None, settings: FitSettings
) -> FitResult:
    """Train `learner`, or go on with the training whose state lies in ``run.out``.

    Rank 0 writes ``weights.safetensors`` (the best so far), ``state.safetensors``,
    ``log.jsonl`` and ``tensorboard/`` into ``run.out``; other processes write nothing.

    Parameters
    ----------
    train, valid
        Batches (see `icectl.training.batches`); without `valid` the last weights are kept.

    Raises
    ------
    Interrupted
        A signal came; the state is saved. Exit code 128 + signal.
    DataError
        The saved state is damaged or belongs to another network.
    WorkError
        Out of memory, a loss that is not finite, a full disk.
    """
    from icectl.training.trainer import Trainer  # brings Fabric: paid for by a training alone

    return Trainer(run, learner, train, valid, settings).fit()
