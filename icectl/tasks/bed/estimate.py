"""What a stage of the bed task would cost, for ``--dry-run``. Light: reads no pixel, imports no numpy."""

from icectl.contract import Estimate
from icectl.errors import UsageError
from icectl.run import Run
from icectl.sources.estimate import TORCH, bytes_of, estimate_source
from icectl.tasks.bed.fetch import own_files, query
from icectl.tasks.bed.options import FetchOptions, PredictOptions, PrepareOptions, TrainOptions


def estimate(run: Run) -> Estimate:
    """Return the bytes that ``run.verb`` would read, write, download and hold, as far as can be known."""
    given = run.given(FetchOptions)
    if run.verb == "fetch":
        if own_files(run, given):
            return Estimate(writes=0, note="files of your own: nothing is fetched")
        size = given.world.count * given.world.size**2 * 24
        synthetic = Estimate(writes=size, note=f"{given.world.count} synthetic worlds")
        return estimate_source(
            run, given if given.source == "synthetic" else query(given), ("dem",), synthetic
        )
    prepare = run.given(PrepareOptions)
    patches = prepare.patches * prepare.patch_size**2 * 4
    if run.verb == "prepare":
        reads = bytes_of((*given.train_dem, *given.train_outlines, *prepare.thickness_data))
        return Estimate(reads=reads, writes=patches, memory=TORCH + 2**29, note="at most, for each DEM")
    if run.verb == "train":
        options = run.given(TrainOptions)
        _check_size(options, prepare)
        size, width = int(getattr(options, "net_size", 256)), int(getattr(options, "width", 48))
        batch = max(1, options.batch_size) * size**2 * width * 4 * 30  # activations of both networks
        return Estimate(reads=patches, memory=round(TORCH + batch))
    predict = run.given(PredictOptions)
    inputs = tuple(path for path in (predict.dem, predict.outlines) if path is not None)
    return Estimate(reads=bytes_of(inputs), memory=TORCH + 2**29)


def _check_size(options: TrainOptions, prepare: PrepareOptions) -> None:
    """Refuse what training would: patches that are no multiple of what the network sees."""
    sizes = [prepare.patch_size // scale for scale in (1, 2, 4, 8)]
    if options.step != "thickness" and not any(size % options.net_size == 0 and size for size in sizes):
        raise UsageError(
            f"patches of {prepare.patch_size} pixels cannot be averaged to the network's {options.net_size}",
            f"give --patch-size {options.net_size} or a multiple of it, or a smaller --net-size",
        )
