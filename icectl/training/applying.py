"""Apply trained networks: evaluation mode, no gradients, the chosen device and precision."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from icectl.training.devices import Decision

_AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
_WHOLE = {"bf16-true": torch.bfloat16, "16-true": torch.float16, "64-true": torch.float64}


@contextmanager
def inference(module: nn.Module, decision: Decision) -> Iterator[Callable[..., Tensor]]:
    """Yield ``apply(*arrays)``: the network on `decision`'s device, its result on the CPU.

    `apply` takes tensors or arrays of any floating type and returns float32 (float64 under
    ``"64-true"``). The module is put into evaluation mode and moved; it stays there.

    Examples
    --------
    >>> with inference(network, resolve(run.compute)) as apply:  # doctest: +SKIP
    ...     probability = apply(windows)  # (n, 1, rows, columns)
    """
    device, kind = decision.torch_device(), _WHOLE.get(decision.precision, torch.float32)
    module.to(device=device, dtype=kind).eval()
    mixed = _AUTOCAST.get(decision.precision)
    result = torch.float64 if kind == torch.float64 else torch.float32

    def apply(*arrays: Any) -> Tensor:
        inputs = [_put(array, device, kind) for array in arrays]
        output: Tensor = module(*inputs)
        return output.to("cpu", result)

    cast = torch.autocast(device.type, dtype=mixed) if mixed is not None else nullcontext()
    with torch.inference_mode(), cast:
        yield apply


def windows_a_call(decision: Decision) -> int:
    """Return how many windows of a scene to hand to a network at once on `decision`'s device.

    A CPU is busy with few; the memory of more is given back to the system and fetched anew at each call
    (`benchmarks/tiled_prediction.py`: twice the time with 8 windows of 128 pixels as with 4).
    """
    return 4 if decision.torch_device().type == "cpu" else 64


def _put(array: Any, device: torch.device, kind: torch.dtype) -> Tensor:
    tensor = torch.as_tensor(array)
    return tensor.to(device, kind) if tensor.is_floating_point() else tensor.to(device)
