"""What a stage of the snow task would cost, for ``--dry-run``. Light: reads no pixel and imports no numpy."""

from math import cos, radians

from icectl.contract import Estimate
from icectl.run import Run
from icectl.sources.estimate import TORCH, estimate_source
from icectl.sources.options import source_of
from icectl.tasks.snow.options import FetchOptions, PrepareOptions, TrainOptions

_BYTES = 4
_DEFAULT_PIXELS = 800 * 800
_METRES = 111_320.0


def estimate(run: Run) -> Estimate:
    """Return the bytes that ``run.verb`` would read, write, download and hold, as far as can be known."""
    if run.verb == "fetch":
        options = run.given(FetchOptions)
        scenes = 12 * options.world.years
        synthetic = Estimate(writes=scenes * options.world.size**2 * 4, note=f"{scenes} synthetic scenes")
        return estimate_source(run, options, ("green", "swir16", "qa_pixel"), synthetic)
    pixels, frames = _pixels(run), _frames(run)
    cube = pixels * frames * _BYTES
    if run.verb == "prepare":
        return Estimate(writes=round(1.05 * cube), memory=12 * pixels * _BYTES + 128 * 2**20)
    if run.verb == "train":
        train = run.given(TrainOptions)
        batch = max(1, train.batch_size) * (train.past + train.future) * train.patch**2 * _BYTES
        along = max(0, (int(pixels**0.5) - train.patch) // train.stride + 1)
        windows = along**2 * max(0, frames - train.past - train.future + 1)
        note = f"about {windows:,} windows before the split" if windows else ""
        return Estimate(reads=cube, memory=TORCH + 256 * 2**20 + 200 * batch, note=note)
    if run.verb == "predict":
        return Estimate(reads=cube, writes=2 * 4 * pixels * _BYTES, memory=2**30)
    return Estimate(reads=2 * cube, memory=2**29)


def _pixels(run: Run) -> int:
    options = run.given(FetchOptions)
    if source_of(run, options) == "synthetic":
        return options.world.size**2
    if run.glacier.bbox is None:
        return _DEFAULT_PIXELS
    west, south, east, north = run.glacier.bbox
    metres = run.glacier.resolution or 30.0
    width = (east - west) * cos(radians((south + north) / 2)) * _METRES / metres
    return max(1, round(width * (north - south) * _METRES / metres))


def _frames(run: Run) -> int:
    """Return the frames of the series: the files of a folder, or the months between its dates."""
    fetch, prepare = run.given(FetchOptions), run.given(PrepareOptions)
    if run.scenes is not None and run.scenes.is_dir() and prepare.cadence == "scenes":
        return max(1, sum(path.suffix.lower() in (".tif", ".tiff") for path in run.scenes.iterdir()))
    start, end = prepare.start or fetch.start, prepare.end or fetch.end
    if start is not None and end is not None:
        months = (end.year - start.year) * 12 + end.month - start.month
    else:
        months = 12 * fetch.world.years
    return max(1, months // prepare.months)
