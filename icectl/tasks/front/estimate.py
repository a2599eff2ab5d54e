"""What a stage of the front task would cost, for ``--dry-run``. Light: reads no pixel, imports no numpy."""

from icectl.contract import Estimate
from icectl.run import Run
from icectl.sources.estimate import TORCH, bytes_of, estimate_source
from icectl.sources.options import source_of
from icectl.tasks.front.options import FetchOptions, TrainOptions

_WEIGHTS = 16 * 43.5e6
"""Bytes of the largest network's weights with Adam's moments and gradients."""

_CHANNELS = 16 * 40
"""Activations a pixel: channels of a small network's first level, over all its layers."""


def estimate(run: Run) -> Estimate:
    """Return the bytes that ``run.verb`` would read, write, download and hold, as far as can be known."""
    options = run.given(FetchOptions)
    images = bytes_of([run.scenes] if run.scenes else [])
    if run.verb == "fetch":
        if source_of(run, options) in ("calfin", "caffe"):
            return Estimate(note="the archive says how large it is when it is fetched")
        world = options.world
        scenes = 24 * world.years // 2 * world.count
        synthetic = Estimate(writes=scenes * world.size**2 * 8, note=f"about {scenes} synthetic scenes")
        return estimate_source(run, options, (options.asset,), synthetic)
    if run.verb == "prepare":
        return Estimate(reads=images, writes=images, memory=TORCH)
    if run.verb == "train":
        train = run.given(TrainOptions)
        activations = max(1, train.batch_size) * train.crop[0] * train.crop[1] * 4 * _CHANNELS
        return Estimate(reads=images, memory=round(TORCH + _WEIGHTS + activations))
    return Estimate(reads=images, memory=TORCH + 512 * 2**20)
