"""ONNX: a model's networks for other runtimes, each checked against the original before it is kept."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icectl import registry
from icectl.contract import OnnxNetwork, Plugin
from icectl.errors import UsageError, WorkError, brief
from icectl.run import Run
from icectl.workspace import own_folder, settle

if TYPE_CHECKING:
    from torch import Tensor, nn

TOLERANCE = 1e-4
"""Largest difference allowed between torch and onnxruntime; see `apart`."""

MAX_INSIDE = 1_800_000_000
"""Bytes of weights that still go into the ONNX file itself, whose format ends at 2 GB."""


@dataclass(frozen=True, slots=True)
class Written:
    """One network that was written: its file, its largest difference from torch, a line for the card."""

    path: Path
    difference: float
    line: str


def export_onnx(plugin: Plugin, run: Run, folder: Path) -> list[Written]:
    """Write the networks of ``run.inputs["train"]`` into `folder`, each as ``NAME.onnx``.

    A model takes part by `icectl.model.OffersOnnx`.

    UsageError: the model does not offer that, or the extra ``onnx`` is not installed. WorkError: a network
    holds what ONNX or its runtime cannot do, or the written one differs from the original by more than
    `TOLERANCE`.
    """
    offer = getattr(registry.load_model(plugin), "onnx", None)
    with registry.doing(plugin, "the offer of networks for ONNX"):
        offered: Sequence[OnnxNetwork] = list(offer(run)) if offer else ()
    if not offered:
        raise UsageError(f"'{plugin.name}' does not export to ONNX", "export it without --onnx")
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"ONNX needs a package that is not here: {error.name}", "pip install 'icectl[onnx]'"
        ) from error
    return [_write(plugin, network, folder) for network in offered]


def _write(plugin: Plugin, network: OnnxNetwork, folder: Path) -> Written:
    """Write one network, and keep it if it computes what torch computes at both sizes."""
    module = copy.deepcopy(network.module).cpu().float().eval()
    path = folder / f"{network.name}.onnx"
    small = {name: tensor.cpu() for name, tensor in network.inputs.items()}
    large = {name: _doubled(tensor, network.axes.get(name, {})) for name, tensor in small.items()}
    with own_folder(folder, tidy=False) as box:
        try:
            _trace(module, network, large, box / path.name)
            difference = max(_difference(module, box / path.name, values) for values in (small, large))
        except Exception as error:  # torch and onnxruntime raise dozens of kinds, by operator and version
            raise WorkError(
                f"the network '{network.name}' of '{plugin.name}' cannot be written as ONNX: {brief(error)}",
                "export it without --onnx; its authors find what can be written in docs/plugins.md",
            ) from error
        if not difference <= TOLERANCE:
            raise WorkError(
                f"the ONNX network '{network.name}' differs from the original by {difference:.2g}",
                "report it with the run's options",
            )
        for made in box.glob(f"{path.name}*"):  # large weights lie in a file beside
            settle(made, folder / made.name)
    return Written(path, difference, _line(path, network, difference))


def _doubled(tensor: Tensor, axes: Mapping[int, str]) -> Tensor:
    """Join the example to its own mirror image along each changeable axis: other sizes, legal values."""
    import torch

    for axis in axes:
        tensor = torch.cat([tensor, tensor.flip(axis)], axis)
    return tensor


def _trace(module: nn.Module, network: OnnxNetwork, values: Mapping[str, Tensor], path: Path) -> None:
    """Write `path`. Torch takes an axis of length 1 for a constant: hence the doubled example."""
    import torch

    bytes_inside = sum(p.numel() * p.element_size() for p in module.parameters())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's remarks on axes of one name, and on its own parts
        torch.onnx.export(
            module,
            tuple(values.values()),
            str(path),
            input_names=list(values),
            output_names=list(network.outputs),
            dynamic_shapes=tuple(dict(network.axes.get(name, {})) for name in values),
            external_data=bytes_inside > MAX_INSIDE,
            dynamo=True,
            verbose=False,
        )


def _difference(module: nn.Module, path: Path, values: Mapping[str, Tensor]) -> float:
    import onnxruntime
    import torch

    with torch.no_grad():
        expected = module(*values.values())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {entry.name for entry in session.get_inputs()}  # a network may not need all it is given
    feed = {name: tensor.numpy() for name, tensor in values.items() if name in wanted}
    pairs = zip(_several(expected), session.run(None, feed), strict=True)
    return max(apart(one, torch.from_numpy(found)) for one, found in pairs)


def apart(expected: Tensor, found: Tensor) -> float:
    """Return the largest difference, in units of the largest value where that is above 1.

    Thickness in hundreds of metres has rounding errors of 1e-4 m in float32.
    """
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1.0))


def _several(outputs: Any) -> Sequence[Tensor]:
    return (outputs,) if hasattr(outputs, "shape") else tuple(outputs)


def _line(path: Path, network: OnnxNetwork, difference: float) -> str:
    shapes = []
    for name, tensor in network.inputs.items():
        axes = network.axes.get(name, {})
        sizes = [axes.get(axis, str(length)) for axis, length in enumerate(tensor.shape)]
        shapes.append(f"`{name}` ({', '.join(sizes)})")
    note = f" {network.note}" if network.note else ""
    return (
        f"- `{path.name}`: {', '.join(shapes)} to {', '.join(f'`{o}`' for o in network.outputs)};"
        f" {difference:.1e} from torch.{note}"
    )
