"""What a stage of the flow task would cost, for ``--dry-run``. Light: reads no pixel, imports no numpy."""

from icectl.contract import Estimate
from icectl.run import Run
from icectl.sources.estimate import TORCH, estimate_source
from icectl.tasks.flow.options import FetchOptions, PrepareOptions, TrainOptions


def estimate(run: Run) -> Estimate:
    """Return the bytes that ``run.verb`` would read, write, download and hold, as far as can be known."""
    if run.verb == "fetch":
        return _fetch(run)
    chips = _chips(run)
    if run.verb == "prepare":
        return Estimate(writes=chips, memory=TORCH + 2 * chips, note="chips of every sequence")
    if run.verb == "train":
        return Estimate(reads=chips, memory=_training_memory(run))
    return Estimate(reads=chips, memory=TORCH + 2**29)


def _fetch(run: Run) -> Estimate:
    options = run.given(FetchOptions)
    size = options.frames * len(options.bands) * options.size**2 * 2
    synthetic = Estimate(writes=size, note=f"{options.frames} synthetic dates in {len(options.bands)} bands")
    return estimate_source(run, options, (*options.bands, "qa_pixel"), synthetic)


def _chips(run: Run) -> int:
    """Return the bytes of all chips: sequences × bands × frames × pixels, in float32."""
    fetch, prepare = run.given(FetchOptions), run.given(PrepareOptions)
    return prepare.chips * len(fetch.bands) * fetch.frames * prepare.chip**2 * 4


def _training_memory(run: Run) -> int:
    """Return a rough bound: torch itself, and a batch of windows with its activations."""
    prepare, options = run.given(PrepareOptions), run.given(TrainOptions)
    width = int(getattr(options, "width", 16))
    return round(TORCH + max(1, options.batch_size) * (options.past + 2) * prepare.chip**2 * width * 4 * 12)
