"""Batch statistics over all processes, for any network and on CPUs too.

torch's SyncBatchNorm refuses CPU tensors and replaces modules, which drops what subclasses of
BatchNorm add (timm fuses an activation into theirs). Here the function under all of them,
``torch.nn.functional.batch_norm``, is intercepted instead (see `icectl.training.modes`).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


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
