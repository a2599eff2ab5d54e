"""What a stage of the bed task would cost, for ``--dry-run``. Light: reads no pixel, imports no numpy."""

from pathlib import Path

from icectl.contract import Estimate
from icectl.errors import UsageError
from icectl.run import Run
from icectl.sources.estimate import TORCH, bytes_of, estimate_source
from icectl.tasks.bed.fetch import own_files, query
from icectl.tasks.bed.options import FetchOptions, PredictOptions, PrepareOptions, TrainOptions


def estimate(run: Run) -> Estimate:
    """Return the bytes that ``run.verb`` would read, write, download and hold, as far as can be known."""
    if run.verb == "fetch":
        return _fetch(run)
    prepare, given = run.given(PrepareOptions), run.given(FetchOptions)
    patches = prepare.patches * prepare.patch_size**2 * 4
    if run.verb == "prepare":
        reads = bytes_of((*given.train_dem, *given.train_outlines, *prepare.thickness_data))
        return Estimate(reads=reads, writes=patches, memory=TORCH + 2**29, note="at most, for each DEM")
    if run.verb == "train":
        _check_size(run, prepare)
        return Estimate(reads=patches, memory=_training_memory(run))
    return Estimate(reads=bytes_of(_predicted(run)), memory=TORCH + 2**29)


def _check_size(run: Run, prepare: PrepareOptions) -> None:
    """Refuse what training would: patches that are no multiple of what the network sees."""
    options = run.given(TrainOptions)
    sizes = [prepare.patch_size // scale for scale in (1, 2, 4, 8)]
    if options.step != "thickness" and not any(size % options.net_size == 0 and size for size in sizes):
        raise UsageError(
            f"patches of {prepare.patch_size} pixels cannot be averaged to the network's {options.net_size}",
            f"give --patch-size {options.net_size} or a multiple of it, or a smaller --net-size",
        )


def _fetch(run: Run) -> Estimate:
    options = run.given(FetchOptions)
    size = options.worlds * options.world_size**2 * 24
    synthetic = Estimate(writes=size, note=f"{options.worlds} synthetic worlds")
    if own_files(run, options):
        return Estimate(writes=0, note="files of your own: nothing is fetched")
    return estimate_source(
        run, options if options.source == "synthetic" else query(options), ("dem",), synthetic
    )


def _predicted(run: Run) -> tuple[Path, ...]:
    options = run.given(PredictOptions)
    return tuple(path for path in (options.dem, options.outlines) if path is not None)


def _training_memory(run: Run) -> int:
    """Return a rough bound: torch itself, and a batch of patches with the activations of both networks."""
    options = run.given(TrainOptions)
    size, width = int(getattr(options, "net_size", 256)), int(getattr(options, "width", 48))
    return round(TORCH + max(1, options.batch_size) * size**2 * width * 4 * 30)
