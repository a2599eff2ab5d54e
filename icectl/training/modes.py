"""What the loop changes under a network's feet so that one process equals two.

Two functions of torch depend on how a batch is split: batch normalisation in training and
dropout. `Mode` replaces both while it lasts, so that a network, ours or a
third party's, stays written for one device. Random draws hidden inside other kernels (the
dropout of ``nn.LSTM`` or of fused attention) cannot be reached: leave them off.

torch's SyncBatchNorm refuses CPU tensors and replaces modules, which drops what subclasses of
BatchNorm add (timm fuses an activation into theirs); so the function under all of them is replaced.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from icectl.training import sampling


class _AllReduceSum(torch.autograd.Function):
    """Sum over processes whose gradient is summed over processes too."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone().contiguous()
        dist.all_reduce(total)
        return total


def all_reduce_sum(value: Tensor) -> Tensor:
    """Return `value` summed over all processes, differentiable."""
    result: Tensor = _AllReduceSum.apply(value)
    return result


def synced_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise `input` (samples, channels, …) by the statistics of the *global* batch.

    Same arguments and result as ``torch.nn.functional.batch_norm`` over the batches of all
    processes put together (Ioffe and Szegedy 2015, algorithm 1): the mean is reduced first and
    the squared deviations from it second, since E[x²] − E[x]² loses digits in float32.
    """
    axes = [0, *range(2, input.dim())]
    shape = [1, -1] + [1] * (input.dim() - 2)
    wide = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
    local = wide.new_tensor([input.numel() / input.shape[1]])
    sums = all_reduce_sum(torch.cat([wide.sum(axes), local]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = wide - mean.view(shape)
    variance = all_reduce_sum(centred.square().sum(axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            unbiased = variance * (count / (count - 1).clamp(min=1))
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    result = centred * torch.rsqrt(variance + eps).view(shape)
    if weight is not None:
        result = result * weight.view(shape)
    if bias is not None:
        result = result + bias.view(shape)
    return result.to(input.dtype)


_ELEMENTWISE = (F.dropout,)
_CHANNELWISE = (F.dropout1d, F.dropout2d, F.dropout3d)
_BATCH_NORM = F.batch_norm
_REPLACED = (*_ELEMENTWISE, *_CHANNELWISE, _BATCH_NORM)

Place = tuple[dict[str, Any], str, Callable[..., Tensor]]
"""The names of a Python module, the name of a function there, and the function."""


def places(parts: Iterable[nn.Module] = ()) -> list[Place]:
    """Return where both are called by name: in torch, and in the modules of the classes of parts."""
    names = {kind.__module__ for part in parts for kind in type(part).__mro__} & set(sys.modules)
    return [
        (vars(sys.modules[module]), name, value)
        for module in sorted(names | {F.__name__})
        for name, value in vars(sys.modules[module]).items()
        if any(value is one for one in _REPLACED)
    ]


class Keys:
    """The seeds of one training step: one a sample, new ones for every draw in the step."""

    def __init__(self, seed: int, step: int, indices: list[int]) -> None:
        self.seed, self.step, self.indices, self.drawn = seed, step, indices, 0

    def next(self) -> list[int]:
        """Return a seed for each sample; draw n of a step is the same in every process."""
        self.drawn += 1
        return [sampling.key(self.seed, self.step, self.drawn, index) for index in self.indices]

    def fits(self, rows: int) -> bool:
        """Return whether `rows` rows (samples, or samples × times) can be keyed."""
        return bool(self.indices) and rows % len(self.indices) == 0

    def uniform(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return keyed uniform noise of `shape`; rows of one sample must lie together."""
        rows = shape[0] // len(self.indices)
        draws = sampling.keyed(torch.rand, (rows, *shape[1:]), self.next(), like.device, torch.float32)
        return draws.flatten(0, 1)


class Mode:
    """Synchronise batch statistics (`sync`) and key dropout by sample (`keys`) at `found` places.

    Replacing the functions costs nothing; a ``TorchFunctionMode`` is asked at every call of any function.
    """

    def __init__(self, sync: bool, keys: Keys | None, found: Sequence[Place] = ()) -> None:
        self.sync, self.keys, self.found = sync, keys, found or places()

    def __enter__(self) -> None:
        for space, name, func in self.found:
            if func is not _BATCH_NORM:
                space[name] = partial(self._dropout, func)
            elif self.sync:
                space[name] = _batch_norm

    def __exit__(self, *_: object) -> None:
        for space, name, func in self.found:
            space[name] = func

    def _dropout(
        self,
        func: Callable[..., Tensor],
        input: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        """Drop elements, or whole channels, by draws that belong to the sample."""
        if not training or p == 0.0:
            return input
        if self.keys is None or not self.keys.fits(input.shape[0]):
            return func(input, p, training, inplace)
        shape = tuple(input.shape)
        if func in _CHANNELWISE:
            shape = shape[:2] + (1,) * (input.dim() - 2)
        kept = self.keys.uniform(shape, input) >= p
        return input * (kept.to(input.dtype) / (1.0 - p if p < 1.0 else 1.0))


def _batch_norm(*args: Any, **named: Any) -> Tensor:
    """Normalise by the statistics of the global batch where a network is in training."""
    training = args[5] if len(args) > 5 else named.get("training", False)
    result: Tensor = (synced_batch_norm if training else _BATCH_NORM)(*args, **named)
    return result


def has_dropout(module: nn.Module) -> bool:
    """Return whether a network holds dropout that acts."""
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    return any(isinstance(part, kinds) and part.p > 0 for part in module.modules())


def has_batch_norm(module: nn.Module) -> bool:
    """Return whether a network holds batch normalisation."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
