"""What a stage of the flow task would cost, for ``--dry-run``. Light: reads no pixel, imports no numpy."""

from icectl.contract import Estimate
from icectl.run import Run
from icectl.sources.estimate import TORCH, estimate_source
from icectl.tasks.flow.options import FetchOptions, PrepareOptions, TrainOptions


def estimate(run: Run) -> Estimate:
    """Return the bytes that ``run.verb`` would read, write, download and hold, as far as can be known."""
    fetch = run.given(FetchOptions)
    world = fetch.world
    if run.verb == "fetch":
        size = world.frames * len(fetch.bands) * world.size**2 * 2
        note = f"{world.frames} synthetic dates in {len(fetch.bands)} bands"
        return estimate_source(run, fetch, (*fetch.bands, "qa_pixel"), Estimate(writes=size, note=note))
    prepare = run.given(PrepareOptions)
    chips = prepare.chips * len(fetch.bands) * world.frames * prepare.chip**2 * 4  # in float32
    if run.verb == "prepare":
        return Estimate(writes=chips, memory=TORCH + 2 * chips, note="chips of every sequence")
    if run.verb == "train":
        options = run.given(TrainOptions)
        pixels = max(1, options.batch_size) * (options.past + 2) * prepare.chip**2
        width = int(getattr(options, "width", 16))
        return Estimate(reads=chips, memory=round(TORCH + pixels * width * 4 * 12))
    return Estimate(reads=chips, memory=TORCH + 2**29)
