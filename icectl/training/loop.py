"""fit: the training loop, from the first update to the best weights.

It stops early on the best validation score, keeps the best weights, saves a state that
resumes bit-equal, writes ``log.jsonl``, tells what ``--logger`` names, and stops cleanly on a signal.
What one update does stands in `Loop._update` and in the learner (`icectl.training.learner`).
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
import torch.distributed as dist

from icectl.errors import DataError, UsageError, WorkError
from icectl.run import Run
from icectl.training import checkpoint, memory, sampling, state
from icectl.training import fabric as fabrics
from icectl.training.batches import Batch, Batches
from icectl.training.context import Context, wrapped
from icectl.training.learner import Learner
from icectl.training.record import Record
from icectl.training.settings import STATE, FitResult, FitSettings
from icectl.training.signals import Signals
from icectl.training.state import Parts, Position

WEIGHTS = "weights.safetensors"


def fit(
    run: Run, learner: Learner, train: Batches, valid: Batches | None, settings: FitSettings
) -> FitResult:
    """Train `learner`, or go on with the training whose state lies in ``run.out``.

    Rank 0 writes ``weights.safetensors`` (the best so far), ``state.safetensors`` and ``log.jsonl``
    into ``run.out``, and records into what ``run.logger`` names; other processes write nothing.

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
    return Loop(run, learner, train, valid, settings).fit()


class Loop:
    """One training: networks, optimisers, position, and what has to happen after each update."""

    def __init__(
        self, run: Run, learner: Learner, train: Batches, valid: Batches | None, settings: FitSettings
    ) -> None:
        self.run, self.learner, self.train, self.valid, self.settings = run, learner, train, valid, settings
        self.fabric = fabrics.current(run)
        self.context = Context(self.fabric, run.seed, settings.clip_value, settings.clip_norm)
        self.position = Position()
        if len(train) == 0:
            raise DataError("there is no whole training batch", "lower --batch-size, or prepare more data")
        self.fabric.strategy.precision.convert_module(learner.modules)
        learner.modules.to(self.fabric.device)
        self._equalise()
        bare = dict(learner.configure())
        schedules = dict(learner.schedule(bare))
        self.parts = Parts(run, learner, self.fabric, self.context, bare, schedules)
        optimizers = {name: wrapped(self.fabric, one) for name, one in bare.items()}
        self.context.use(learner.modules, optimizers, learner.keyed_dropout)
        torch.manual_seed(sampling.key(run.seed, self.context.rank))

    def fit(self) -> FitResult:
        """Train to the end, or to a signal."""
        resumed = self._resume()
        self.leader = self.context.rank == 0
        self.record = Record(self.run, self.position.step, self.leader)
        self.started = time.monotonic() - self.position.seconds
        with Signals(self.run, self.context) as self.signals, self._progress() as self.advance:
            try:
                if not resumed and self._begin():
                    self._validate()
                while not self.position.stopped:
                    self._epoch()
            finally:
                self.record.close(bool(self.position.stopped), self.position.scores)
        return self._result()

    def _begin(self) -> bool:
        whole = (self.context.put(batch) for batch in self.train.epoch(0, 0, 1, 0))
        found = self.learner.begin(whole)
        self._equalise()
        return found

    def _epoch(self) -> None:
        """Learn from what is left of this epoch."""
        position = self.position
        self.learner.modules.train()
        share = self.train.epoch(position.epoch, self.context.rank, self.context.world, position.batch)
        for batch in share:
            self._update(batch)
            position.step += 1
            position.batch += 1
            position.count += 1
            self._after_update()
            if position.stopped:
                return
        position.epoch, position.batch = position.epoch + 1, 0
        if position.epoch == self.settings.epochs:
            position.stopped = "epochs"
        by_epoch = self.settings.every == "epoch" and position.epoch % self.settings.validate_every == 0
        if by_epoch or position.stopped:
            self._validate()

    def _update(self, batch: Batch) -> None:
        """Make one update and add its scalars to the log's sums."""
        indices = [int(one) for one in batch["index"].tolist()]
        if not indices:
            raise UsageError(
                f"a global batch is too small for {self.context.world} processes", "raise --batch-size"
            )
        try:
            with self.context.at(self.position.step, self.position.epoch, indices):
                scalars = self.learner.update(self.context.put(batch), self.context)
        except Exception as error:
            if memory.is_out_of_memory(error):
                tried = len(indices) * self.context.world
                raise memory.worded(tried, self._fits(batch)) from error
            if "more than 1 value per channel" in str(error):
                raise UsageError(
                    "the network's batch normalisation needs more than one sample of so small a crop",
                    f"raise --batch-size to {2 * self.context.world} or more",
                ) from error
            raise
        for schedule in self.parts.schedules.values():
            schedule.step()
        for name, value in scalars.items():
            self.parts.sums[name] = (
                self.parts.sums[name] + value.detach() if name in self.parts.sums else value.detach().clone()
            )

    def _after_update(self) -> None:
        """Log, validate, save and stop, each at its turn."""
        position, settings = self.position, self.settings
        self.advance()
        if position.step == settings.max_updates:
            position.stopped = "max_updates"
        by_update = settings.every == "update" and position.step % settings.validate_every == 0
        if by_update or position.stopped == "max_updates":
            self._validate()
        elif position.step % settings.log_every == 0:
            self._log({})
        if settings.checkpoint_every and position.step % settings.checkpoint_every == 0:
            self._save()
        number = self.signals.agreed()
        if number and not position.stopped:
            self._save()
            self.signals.stop(number, position.step)

    def _validate(self) -> None:
        """Score the validation batches, keep the best weights, count towards patience."""
        position, settings = self.position, self.settings
        scores = dict(self._scores())
        if scores:
            value = scores.get(settings.monitor)
            if value is None:
                raise UsageError(
                    f"the monitored score '{settings.monitor}' is not among the validation scores",
                    f"there are: {', '.join(scores)}",
                )
            self._judge(value, scores)
        elif position.stopped:
            self._keep_weights()
        self._log({f"valid/{name}": value for name, value in scores.items()})
        if settings.patience is not None and position.stale >= settings.patience and not position.stopped:
            position.stopped = "patience"
        self._save()

    def _judge(self, value: float, scores: Mapping[str, float]) -> None:
        position = self.position
        sign = 1.0 if self.settings.better == "lower" else -1.0
        if not math.isfinite(value):
            position.stale += 1
        elif position.best is None or sign * value < sign * position.best:
            position.best, position.best_step, position.stale = value, position.step, 0
            position.scores = dict(scores)
            self._keep_weights()
            if self.record.following and self.valid is not None:
                self._images()
        else:
            position.stale += 1

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Evaluate: no gradients, evaluation mode, local means."""
        position = self.position
        self.learner.modules.eval()
        try:
            with torch.no_grad(), self.context.at(position.step, position.epoch, [], training=False):
                yield
        finally:
            self.learner.modules.train()
            self.context.training = True

    def _scores(self) -> Mapping[str, float]:
        if self.valid is None:
            return {}
        with self._judging():
            share = self._valid_batches(self.context.rank, self.context.world)
            return self.learner.validate(share, self.context)

    def _valid_batches(self, rank: int, world: int) -> Iterator[Batch]:
        assert self.valid is not None
        batches = iter(self.valid.epoch(0, rank, world))
        while (batch := _next_of(batches)) is not None:
            self.context.stand_on([int(one) for one in batch["index"].tolist()])
            yield self.context.put(batch)

    def _images(self) -> None:
        with self._judging():
            images = self.learner.images(self._valid_batches(0, 1), self.context)
        for title, image in images.items():
            self.record.image(self.position.step, title, image)

    def _log(self, scores: Mapping[str, float]) -> None:
        """Write a line: means since the last line, over all processes."""
        position, values = self.position, self._means()
        rates = {
            f"learning_rate/{name}": one.param_groups[0]["lr"] for name, one in self.parts.optimizers.items()
        }
        self.record.line(position.step, position.epoch, {**values, **scores}, rates, self._seconds())
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise WorkError(
                f"{bad[0]} is not finite at update {position.step}",
                "lower the learning rate, clip gradients, or use --precision 32-true",
            )

    def _means(self) -> dict[str, float]:
        """Return the mean of each scalar since the last call, over all processes."""
        names, sums, count = list(self.parts.sums), list(self.parts.sums.values()), self.position.count
        self.parts.sums, self.position.count = {}, 0
        if not count or not sums:
            return {}
        wide = torch.float32 if self.context.device.type == "mps" else torch.float64
        packed = torch.stack([value.to(wide) for value in sums])
        if self.context.world > 1:
            dist.all_reduce(packed)
        means = (packed / (self.context.world * count)).tolist()
        return {f"train/{name}": mean for name, mean in zip(names, means, strict=True)}

    def _keep_weights(self) -> None:
        if self.leader:
            training = {
                "step": self.position.step,
                "monitor": self.settings.monitor,
                "scores": self.position.scores,
            }
            metadata = {**self.learner.describe(), "training": training}
            checkpoint.save_weights(self.run.out / WEIGHTS, self.learner.modules, metadata)

    def _save(self) -> None:
        """Save all that an equal continuation needs (every process takes part)."""
        self.position.seconds = self._seconds()
        parts = state.gather(self.parts)
        if self.leader:
            checkpoint.save_state(self.run.out / STATE, {**asdict(self.position), **parts})

    def _resume(self) -> bool:
        """Go on from a saved state; return whether there was one."""
        path = self.run.out / STATE
        if not path.exists():
            return False
        saved = checkpoint.load_state(path)
        if (saved["best"] is not None or saved["stopped"]) and not (self.run.out / WEIGHTS).exists():
            self.run.warn(
                f"{self.run.out / WEIGHTS} is missing, which the saved state counts on: training anew"
            )
            return False
        self.position = Position(**state.restore(self.parts, saved, path))
        if not self.position.stopped:
            self.run.say(f"training goes on from update {self.position.step}")
        return True

    def _result(self) -> FitResult:
        position = self.position
        result = FitResult(
            best=position.best,
            best_step=position.step if position.best is None else position.best_step,
            steps=position.step,
            epochs=position.epoch,
            stopped=position.stopped,
            weights=self.run.out / WEIGHTS,
            seconds=position.seconds,
            scores=position.scores,
        )
        facts = {**asdict(result), "weights": WEIGHTS, "processes": self.context.world}
        self.run.notes["training"] = {**facts, "device": str(self.context.device)}
        return result

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _progress(self) -> Any:
        total = self.settings.max_updates
        if self.settings.epochs is not None:
            total = min(total or 2**62, self.settings.epochs * len(self.train))
        return self.run.progress("training", None if total is None else total - self.position.step)

    def _equalise(self) -> None:
        """Give every process rank 0's weights and buffers."""
        if self.context.world > 1:
            for value in self.learner.modules.state_dict(keep_vars=True).values():
                dist.broadcast(value.data, src=0)

    def _fits(self, batch: Batch) -> Callable[[int], bool] | None:
        """Return a trial of smaller batches, in one process only (others would wait for ours)."""
        if self.context.world > 1:
            return None

        def attempt(size: int) -> None:
            part = {name: value[:size] for name, value in batch.items()}
            with self.context.at(self.position.step, self.position.epoch, part["index"].tolist()):
                self.learner.update(self.context.put(part), self.context)

        return memory.trial(attempt)


def _next_of(batches: Iterator[Batch]) -> Batch | None:
    """Return the next batch, if any; data are single precision, whatever type networks make tensors of."""
    kind = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        return next(batches, None)
    finally:
        torch.set_default_dtype(kind)
