"""ONNX: a model's network for other runtimes, checked against the original before it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icectl import registry
from icectl.contract import Plugin
from icectl.errors import UsageError, WorkError
from icectl.run import Run

TOLERANCE = 1e-4
"""Largest difference allowed between torch and onnxruntime, on random input."""


def export_onnx(plugin: Plugin, run: Run, target: Path) -> float:
    """Write the network of ``run.inputs["train"]`` to `target` and return its largest difference from torch.

    A model takes part by a method ``onnx(run) -> (module, example inputs)``.

    Raises
    ------
    UsageError
        The model does not offer that, or the extra ``onnx`` is not installed.
    WorkError
        The exported network differs from the original by more than `TOLERANCE`.
    """
    model: Any = registry.load_model(plugin)
    if not hasattr(model, "onnx"):
        raise UsageError(f"'{plugin.name}' does not export to ONNX", "export it without --onnx")
    try:
        import onnxruntime
        import torch
    except ImportError as error:
        raise UsageError(
            f"ONNX needs a package that is not here: {error.name}", "pip install 'icectl[onnx]'"
        ) from error
    module, example = model.onnx(run)
    module = module.cpu().eval()
    names = [f"input{i}" for i in range(len(example))]
    with torch.no_grad():
        expected = module(*example)
        torch.onnx.export(
            module,
            example,
            str(target),
            input_names=names,
            output_names=["output"],
            dynamo=True,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    wanted = {entry.name for entry in session.get_inputs()}
    feed = {name: tensor.numpy() for name, tensor in zip(names, example, strict=True) if name in wanted}
    found = torch.from_numpy(session.run(None, feed)[0])
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE:
        target.unlink(missing_ok=True)
        raise WorkError(
            f"the ONNX network differs from the original by {difference:.2g}",
            "report it with the run's options",
        )
    return difference
