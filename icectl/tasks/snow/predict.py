"""Whole scenes, window by window.

The network sees windows of its training size on one grid anchored at the scene's origin, blended with weights
fixed by that grid; the size of the blocks read and written changes no bit of the result.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from affine import Affine
from torch import Tensor

from icectl.arrays import F32, Array
from icectl.raster import Grid, Window, ground_metres, predict_blended
from icectl.run import Run
from icectl.tasks.model import TaskModel
from icectl.tasks.snow import products
from icectl.tasks.snow.dataset import Cube, ground, open_dataset
from icectl.tasks.snow.masks.moments import (
    Moment,
    forecast,
    hindcasts,
    phases,
    season_index,
    steps_differ,
    trained_days,
)
from icectl.tasks.snow.options import PredictOptions
from icectl.tasks.snow.split import scope_of

TILE = 512
"""Side of the blocks read and written, in pixels."""


def predict(run: Run, model: TaskModel, options: PredictOptions) -> Path:
    """Forecast the frames to come, and moments whose truth is known, into ``run.out``."""
    from icectl.training import inference, resolve, windows_a_call

    cube = open_dataset(run.inputs["prepare"])
    answer, facts = model.answering(run)
    trained = model.trained_options(run, facts)
    sizes = (trained.past, trained.future)
    starts: list[int] = []
    if options.moments == "all":
        starts = list(range(cube.shape[0] - sum(sizes) + 1))
    elif options.moments == "auto":
        starts = list(scope_of(cube, facts["cube"], trained, facts["seed"]).starts)
    learnt = trained_days(facts)
    ahead = forecast(cube.times, *sizes, learnt)
    wanted = [*hindcasts(cube.times, *sizes, starts), ahead]
    run.notes["dates"] = ahead.sentence(cube.times)
    run.say(run.notes["dates"])
    for other in (steps_differ(cube.times, trained.past, learnt), pixels_differ(cube.grid, facts["cube"])):
        if other:
            run.warn(other)
    decision = resolve(run.compute)
    batch = windows_a_call(decision)
    terrain = ground(cube) if "terrain" in trained.guides else None
    with inference(answer, decision) as apply, run.progress("predicting") as advance:
        for moment in wanted:

            def fill(write: products.Write, moment: Moment = moment) -> None:
                read, network = _ends(cube, moment, apply, terrain)
                sides = (trained.patch, trained.patch // 2, TILE)
                predict_blended(
                    read, network, cube.shape[1:], *sides, write, batch=batch, advance=advance
                )  # fmt: skip

            written = products.write(run, cube, moment, fill, getattr(model, "spread", False))
            run.say(f"wrote {written[0].name}")
    products.write_cover(run, cube, wanted)
    return run.out


def pixels_differ(grid: Grid, learnt: Mapping[str, Any]) -> str:
    """Say that pixels are of another size than those of the training (its cube is `learnt`); else nothing."""
    own = Grid(tuple(learnt["shape"]), Affine(*learnt["transform"]), learnt["crs"])
    ours, theirs = ground_metres(grid), ground_metres(own)
    if 0.5 < ours / theirs < 2:
        return ""
    return (
        f"pixels are {ours:.0f} m wide, those of the training {theirs:.0f}: the network has not learnt others"
    )


def _ends(
    cube: Cube, moment: Moment, apply: Callable[..., Tensor], terrain: F32 | None
) -> tuple[Callable[[Window], F32], Callable[[Array], Array]]:
    """Return what reads a window of the past frames, and what forecasts a batch of them."""
    season = torch.tensor([season_index(moment.past, moment.future)])
    phase = torch.tensor([phases(moment.future)], dtype=torch.float32)

    def read(window: Window) -> F32:
        rows, cols = window.slices
        past = np.nan_to_num(cube.read(rows, moment.frames, cols))
        return past if terrain is None else np.concatenate([past, terrain[:, rows, cols]])

    def network(windows: Array) -> Array:
        count, frames = len(windows), torch.from_numpy(windows)
        past, below = frames[:, : len(moment.past)], frames[:, len(moment.past) :]
        told = () if terrain is None else (below,)
        made = apply(past, season.expand(count, -1), phase.expand(count, -1), *told)
        return made.numpy()

    return read, network
