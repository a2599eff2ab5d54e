"""Fetch: an elevation model from a service, or the synthetic worlds; files of one's own need none."""

from pathlib import Path

from icectl.run import Run
from icectl.sources.options import SceneQuery, source_of
from icectl.tasks.bed.options import FetchOptions


def fetch(run: Run, options: FetchOptions) -> Path:
    """Bring an elevation model into ``run.out``; published data asked for by name go to the user's cache."""
    from icectl.sources.published import bring

    bring(options.published, run.say)
    if own_files(run, options):
        return run.out
    if source_of(run, options) == "synthetic":
        return write_worlds(run, options)
    from icectl.sources.stac import fetch_scenes

    return fetch_scenes(run, query(options), ("dem",))


def own_files(run: Run, options: FetchOptions) -> bool:
    """Tell whether nothing is fetched, since the elevation models are files that somebody named."""
    if run.scenes is not None or options.train_dem:
        return True
    return source_of(run, options) != "synthetic" and (
        run.glacier.dem is not None or run.glacier.bbox is None
    )


def query(options: FetchOptions) -> SceneQuery:
    """Return what a service is asked for."""
    return SceneQuery(source=options.source, api=options.api, collection=options.collection)


def write_worlds(run: Run, options: FetchOptions) -> Path:
    """Write ``test/`` (the world of the run's seed) and ``train/NN/`` (other worlds: other ground)."""
    from icectl.sources.synthetic.dem import write_dem
    from icectl.sources.synthetic.world import World

    made = options.world
    shape = (made.size, made.size)
    with run.progress("worlds", made.count) as advance:
        for number in range(made.count):
            folder = run.out / "test" if number == 0 else run.out / "train" / f"{number:02d}"
            if not (folder / "truth" / "thickness.tif").is_file():
                write_dem(World(seed=run.seed * 1000 + number, shape=shape), folder)
            advance()
    return run.out
