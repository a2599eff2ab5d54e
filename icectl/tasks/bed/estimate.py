"""What a stage of the bed task would cost, for ``--dry-run``. Light: reads no pixel, imports no numpy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from icectl.contract import Estimate
from icectl.run import Run
from icectl.sources.estimate import estimate_source
from icectl.tasks.bed.options import FetchOptions, PredictOptions, PrepareOptions, TrainOptions

_TORCH = 700 * 2**20
"""A rough bound on the bytes that torch and its libraries take once imported."""


def estimate(run: Run) -> Estimate:
    """Return the bytes that ``run.verb`` would read, write, download and hold, as far as can be known."""
    if run.verb == "fetch":
        return _fetch(run)
    prepare = run.options["prepare"]
    assert isinstance(prepare, PrepareOptions)
    patches = prepare.patches * prepare.patch_size**2 * 4
    if run.verb == "prepare":
        reads = _bytes_of((*prepare.train_dem, *prepare.train_outlines, *prepare.thickness_data))
        return Estimate(reads=reads, writes=patches, memory=_TORCH + 2**29, note="at most, for each DEM")
    if run.verb == "train":
        return Estimate(reads=patches, memory=_training_memory(run))
    return Estimate(reads=_bytes_of(_predicted(run)), memory=_TORCH + 2**29)


def _fetch(run: Run) -> Estimate:
    options = run.options["fetch"]
    assert isinstance(options, FetchOptions)
    size = options.worlds * options.world_size**2 * 24
    synthetic = Estimate(writes=size, note=f"{options.worlds} synthetic worlds")
    return estimate_source(run, options, ("data",), synthetic)


def _predicted(run: Run) -> tuple[Path, ...]:
    options = run.options["predict"]
    assert isinstance(options, PredictOptions)
    return tuple(path for path in (options.dem, options.outlines) if path is not None)


def _training_memory(run: Run) -> int:
    """Return a rough bound: torch itself, and a batch of patches with the activations of both networks."""
    options = run.options["train"]
    assert isinstance(options, TrainOptions)
    size, width = int(getattr(options, "net_size", 256)), int(getattr(options, "width", 48))
    return round(_TORCH + max(1, options.batch_size) * size**2 * width * 4 * 30)


def _bytes_of(paths: Iterable[Path]) -> int | None:
    files = [f for p in paths for f in ([p] if p.is_file() else p.rglob("*")) if f.is_file()]
    return sum(file.stat().st_size for file in files) if files else None
