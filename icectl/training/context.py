"""Context: what a learner is handed at every step, on one device or on many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from icectl.training import sampling
from icectl.training.modes import Keys, Mode, Place, has_batch_norm, has_dropout, places

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from icectl.training.batches import Batch

_BUCKET = 64 * 2**20
"""Bytes of gradients put together in one all-reduce."""


class Context:
    """Position in the training, and every operation that depends on devices or processes.

    Attributes
    ----------
    seed, epoch, step_number
        Where the training is; `step_number` counts updates from 0.
    rank, world
        This process and how many there are.
    device, dtype
        Where batches are, and the floating type of inputs.
    indices
        Global sample indices of the present batch (this process's share).
    """

    def __init__(
        self,
        fabric: Fabric,
        seed: int,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        self.fabric, self.seed = fabric, seed
        self.rank, self.world, self.device = fabric.global_rank, fabric.world_size, fabric.device
        self.clip_value, self.clip_norm = clip_value, clip_norm
        self.epoch, self.step_number, self.training = 0, 0, True
        self.indices: list[int] = []
        self.optimizers: dict[str, Optimizer] = {}
        self._keys = Keys(seed, 0, [])
        self._mode: tuple[bool, bool] = (False, False)
        self._places: list[Place] = []

    @property
    def dtype(self) -> torch.dtype:
        """The floating type of inputs under the chosen precision."""
        probe: Tensor = self.fabric.strategy.precision.convert_input(torch.zeros(()))
        return probe.dtype

    def use(
        self, modules: nn.Module, optimizers: Mapping[str, Optimizer], keyed_dropout: bool | None
    ) -> None:
        """Take over a learner's networks and optimisers; see `Learner` for `keyed_dropout`."""
        self.optimizers = dict(optimizers)
        keyed = has_dropout(modules) if keyed_dropout is None else keyed_dropout
        self._mode = (self.world > 1 and has_batch_norm(modules), keyed)
        self._places = places(modules.modules())

    @contextmanager
    def at(self, step: int, epoch: int, indices: list[int], training: bool = True) -> Iterator[None]:
        """Stand at one batch: key the draws, synchronise batch statistics, set the precision."""
        self.step_number, self.epoch, self.indices, self.training = step, epoch, indices, training
        self._keys = Keys(self.seed, step if training else -1, indices)
        sync, keyed = self._mode
        on = training and (sync or keyed)
        mode = Mode(sync, self._keys if keyed else None, self._places) if on else nullcontext()
        with mode, self.fabric.autocast():
            yield

    def stand_on(self, indices: list[int]) -> None:
        """Key the draws of the next validation batch."""
        self.indices = indices
        self._keys = Keys(self.seed, -1, indices)

    def put(self, batch: Batch) -> dict[str, Tensor]:
        """Move a batch to the device; floating tensors take the type of the precision."""
        moved = self.fabric.to_device({name: value for name, value in batch.items() if name != "index"})
        put: dict[str, Tensor] = self.fabric.strategy.precision.convert_input(moved)
        return {**put, "index": batch["index"]} if "index" in batch else put

    def size(self, batch: Batch) -> int:
        """Return the number of samples in (this process's share of) a batch."""
        return int(next(iter(batch.values())).shape[0])

    def mean(self, errors: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the mean of `errors` over the valid elements of the *global* batch.

        Dividing by the valid elements of a process's own share would weigh samples by who
        they share a process with. The result is scaled so that averaging it over processes
        (as `step` does with gradients, and the log with values) gives the global mean.

        Parameters
        ----------
        errors
            Any shape; masked elements may be anything finite, or NaN if no gradient meets them.
        mask
            True (or a weight) where valid; broadcast to `errors`. None: everywhere.
        """
        wide = errors.float() if errors.dtype in (torch.float16, torch.bfloat16) else errors
        if mask is None:
            total, count = wide.sum(), wide.new_tensor(float(wide.numel()))
        elif mask.dtype == torch.bool:
            valid = mask.expand_as(wide)
            total, count = torch.where(valid, wide, 0.0).sum(), valid.sum().to(wide.dtype)
        else:
            weight = mask.to(wide.dtype).expand_as(wide)
            total, count = (wide * weight).sum(), weight.sum()
        if self.world > 1 and self.training:
            dist.all_reduce(count)
            total = total * self.world
        return total / count.clamp(min=torch.finfo(wide.dtype).tiny)

    def average(self, parts: Iterable[tuple[Mapping[str, Tensor], float]]) -> dict[str, float]:
        """Return weighted means of named scalars over all parts of all processes.

        `parts` yields ``(values, weight)``, e.g. the losses of a batch and its samples.
        """
        sums: dict[str, float] = {}
        weights = 0.0
        for values, weight in parts:
            weights += weight
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + float(value) * weight
        if self.world > 1:
            every: list[Any] = [None] * self.world
            dist.all_gather_object(every, (sums, weights))
            names = list(dict.fromkeys(name for one, _ in every for name in one))
            sums = {name: sum(one.get(name, 0.0) for one, _ in every) for name in names}
            weights = sum(weight for _, weight in every)
        return {name: value / weights if weights else float("nan") for name, value in sums.items()}

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss` (scaled where the precision needs it)."""
        with torch.autocast(self.device.type, enabled=False):
            self.fabric.backward(loss)

    def step(self, name: str) -> None:
        """Average gradients over processes, clip, step optimiser `name`, and zero its gradients.

        Only this optimiser's parameters are touched; clipping sees them as one vector.
        """
        optimizer = self.optimizers[name]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if self.world > 1:
            average_gradients(parameters, self.world)
        self._clip(optimizer, parameters)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _clip(self, optimizer: Optimizer, parameters: list[nn.Parameter]) -> None:
        if self.clip_value is not None or self.clip_norm is not None:
            self.fabric.strategy.precision.unscale_gradients(getattr(optimizer, "optimizer", optimizer))
        if self.clip_value is not None:
            nn.utils.clip_grad_value_(parameters, self.clip_value)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.clip_norm)

    def noise(self, *shape: int) -> Tensor:
        """Return standard normal noise (samples, *shape) keyed by (seed, step, draw, sample)."""
        return sampling.keyed(torch.randn, shape, self._keys.next(), self.device, self.dtype)

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform noise in [0, 1), keyed as `noise` is."""
        return sampling.keyed(torch.rand, shape, self._keys.next(), self.device, self.dtype)


def wrapped(fabric: Fabric, optimizer: Optimizer) -> Any:
    """Return the optimiser as the precision needs it (16-bit floats scale their gradients)."""
    return fabric.setup_optimizers(optimizer)


def average_gradients(parameters: list[nn.Parameter], world: int) -> None:
    """Replace every gradient by its mean over processes, in buckets of about 64 MB.

    A gradient that is missing here counts as zero if another process has one; if none has,
    it stays missing, so that the optimiser leaves the parameter alone as it would in one process.
    """
    bucket: list[nn.Parameter] = []
    filled = 0
    for parameter in (p for p in parameters if p.requires_grad):
        size = parameter.numel() * parameter.element_size()
        if bucket and (filled + size > _BUCKET or parameter.dtype != bucket[0].dtype):
            _average_bucket(bucket, world)
            bucket, filled = [], 0
        bucket.append(parameter)
        filled += size
    if bucket:
        _average_bucket(bucket, world)


def _average_bucket(parameters: list[nn.Parameter], world: int) -> None:
    """Average one bucket; the last numbers sent count who has each gradient."""
    missing = [p.grad is None for p in parameters]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    owners = gradients[0].new_tensor([0.0 if one else 1.0 for one in missing])
    flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), owners])
    dist.all_reduce(flat)
    start = 0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        mean = flat[start : start + gradient.numel()].view_as(gradient) / world
        start += gradient.numel()
        parameter.grad = gradient.copy_(mean)
    if any(missing):
        for parameter, here, owned in zip(parameters, missing, flat[start:].tolist(), strict=True):
            if here and owned == 0:
                parameter.grad = None
