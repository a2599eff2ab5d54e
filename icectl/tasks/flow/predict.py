"""Generated chips: of held-out windows, whose truth is known, and of the frames to come."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from icectl.arrays import F32, I64, Bools
from icectl.errors import DataError
from icectl.raster import Grid, ground_steps, off_ground, open_cube, write_cog
from icectl.raster.chunks import expect_chunks, reading, write_store
from icectl.run import Run
from icectl.tasks.flow.chips.windows import Scaling, scaling
from icectl.tasks.flow.dataset import Sequences, open_dataset
from icectl.tasks.flow.options import AHEAD, CLOUDY, PredictOptions, TrainOptions
from icectl.tasks.flow.products import write
from icectl.tasks.flow.split import TEST, split
from icectl.tasks.flow.velocity.confirm import speed_bias
from icectl.tasks.flow.velocity.measure import Velocity, centres, measure
from icectl.tasks.flow.velocity.quality import static
from icectl.tasks.model import TaskModel

PREDICTIONS = "predictions.zarr"
SHOWN = 6
"""Windows of which every future is kept for the report."""

FUTURES = 4
"""Futures drawn for those windows where only the prior's mean is scored."""

BATCH = 32

MIN_STATIC = 100
"""Cells of still ground from which a density can be told."""

FEW = 0.1
"""Share of cells with a velocity below which it is said that they may be chance."""


def predict(run: Run, model: TaskModel, options: PredictOptions) -> Path:
    """Map the velocity; generate t1 and t2 of held-out chips, and forecast the frames to come."""
    sequences = open_dataset(run.inputs["prepare"])
    map_velocity(run, sequences, options)
    if not options.forecast:
        return run.out
    generate, facts = model.answering(run)
    if sequences.size != facts["size"]:
        raise DataError(
            f"the model was trained on chips of {facts['size']} pixels, these are {sequences.size}",
            f"prepare with --chip {facts['size']}",
        )
    trained = model.trained_options(run, facts)
    learnt = facts.get("bands", sequences.bands)
    if other := [band for band in sequences.bands if band not in learnt]:
        run.warn(f"the network learnt from the bands {', '.join(learnt)}, not from {', '.join(other)}")
    predict_chips(run, sequences, generate, trained, options)
    forecast(run, sequences, generate, trained)
    return run.out


def map_velocity(run: Run, sequences: Sequences, options: PredictOptions) -> Velocity:
    """Match pairs of frames; write ``velocity.nc`` and the COGs ``vx``, ``vy``, ``v`` and ``v_error``."""
    frames = sequences.frames()
    valid, cloud = sequences.array("valid"), sequences.array("cloud")
    ice = sequences.array("ice") if "ice" in sequences.data else None
    steps = _steps(run, sequences.grid, centres(frames.shape[1:], options))
    with run.progress("matching frames", total=3 * options.pairs) as advance:
        found = measure(frames, valid, cloud, ice, sequences.days, steps, options, advance)
    write(run, found, sequences, options)
    speed = np.hypot(found.vx, found.vy)
    if np.isfinite(speed).any():
        cells = centres(frames.shape[1:], options)
        unit = "m" if sequences.data.attrs["units"] == "m" else "px"
        if ice is not None:
            _say_static(run, found, ~ice[cells[..., 0], cells[..., 1]], f"{unit}/yr")
        if unit == "px":
            run.say("the images have no georeference: --resolution METRES, the side of a pixel, gives metres")
        bias = float(np.nanmedian(speed_bias(speed, found.error)))
        number = f"{len(found.pairs)} pairs" if len(found.pairs) > 1 else "one pair"
        run.say(f"velocity from {number}: median speed {np.nanmedian(speed):.1f} {unit}/yr,")
        masked = f"{found.masked} cells masked since their pairs disagree"
        run.say(f"  of which noise makes up {bias:.2g} {unit}/yr; {masked}")
        if len(found.pairs) > 1:
            _say_bias(run, found, sequences.days, unit)
        if (share := np.isfinite(speed).mean()) < FEW:
            run.warn(f"{share:.1%} of the cells have a velocity: so few may be matches by chance")
    elif not found.pairs:
        apart = f"{options.shortest:g} to {options.longest:g} days"
        run.warn(f"no velocity: no two frames lie {apart} apart (--shortest, --longest)")
    else:
        run.warn(f"no velocity: no chip was matched in any of {len(found.pairs)} pairs")
    return found


def _say_static(run: Run, found: Velocity, still: Bools, unit: str) -> None:
    """Say GLAFT's measure of the ground that stands still, and keep it."""
    if (still & np.isfinite(found.vx)).sum() < MIN_STATIC:
        return
    told = static(found.vx, found.vy, still)
    run.notes["static ground"] = {"x": told.x, "y": told.y, "unit": unit, "sigma": 2}
    run.say(f"  stable ground: within {told.x:.2g} and {told.y:.2g} {unit} (2 sigma)")


def _say_bias(run: Run, found: Velocity, days: F32, unit: str) -> None:
    """Say how far noise raises the speed of the shortest pairs beside the longest."""
    spans = np.array([days[j] - days[i] for i, j in found.pairs])
    for which, name in ((int(spans.argmin()), "shortest"), (int(spans.argmax()), "longest")):
        one = np.hypot(*np.moveaxis(found.layers[which], -1, 0))
        if np.isfinite(one).any():
            bias = float(np.nanmedian(speed_bias(one, found.layer_errors[which])))
            run.say(
                f"  {name} pair ({spans[which]:g} days): median {np.nanmedian(one):.0f} {unit}/yr,"
                f" {bias:.2g} of it noise"
            )


def _steps(run: Run, grid: Grid, cells: I64) -> tuple[Any, Any]:
    """Return the pixel's sides across and down at each cell, in metres on the ground where there is a CRS."""
    if grid.crs is None:
        return abs(grid.affine.a), abs(grid.affine.e)
    why = off_ground(grid)
    if why:
        run.say(f"{why}: velocities are in metres on the ground")
        run.notes["ground metres"] = why
    return ground_steps(grid, cells[..., 0], cells[..., 1])


def generator(
    generate: Any, scale: Scaling, run: Run, samples: int
) -> Callable[[F32, F32, I64, int, F32], F32]:
    """Return ``make(past, days, band, key, cloud)`` → ``(samples, n, 2, rows, cols)`` in the sensor's units.

    Level and contrast are those of the last clear frame; `cloud` ``(n, past)`` is the share of cloud.

    One sample takes the prior's mean; more are drawn with seeds that depend on (seed, key, sample).
    """
    import torch

    from icectl.training import resolve
    from icectl.training.sampling import key as seed_of

    device = resolve(run.compute).torch_device()

    def make(past: F32, days: F32, band: I64, key: int, cloud: F32) -> F32:
        frames = torch.as_tensor(scale(past, band)[:, :, None], device=device)
        when = torch.as_tensor(days, device=device).expand(len(past), -1)
        hidden, made = torch.as_tensor(cloud, device=device), []
        for sample in range(samples):
            source = torch.Generator().manual_seed(seed_of(run.seed, key, sample))

            def noise(latent: int, source: Any = source) -> torch.Tensor:
                shape = (len(past), latent)
                return (
                    torch.zeros(shape, device=device)
                    if samples == 1
                    else torch.randn(shape, generator=source).to(device)
                )

            with torch.no_grad():
                drawn = generate(frames, when, noise, hidden)
            made.append(drawn[:, :, 0].float().cpu().numpy())
        clear = np.where(cloud <= CLOUDY, np.arange(past.shape[1]), -1).max(axis=1)
        last = past[np.arange(len(past)), np.where(clear < 0, past.shape[1] - 1, clear)]
        return np.stack([scale.undo(m, last, band) for m in made])

    return make


def predict_chips(
    run: Run, sequences: Sequences, generate: Any, trained: TrainOptions, options: PredictOptions
) -> None:
    """Generate t1 and t2 of every window of the test chips, the mean of all futures; write
    ``predictions.zarr``.
    """
    parts = split(sequences, trained)
    everything = options.parts == "all"
    chosen = np.arange(len(parts.of)) if everything else parts.sequences(TEST)
    windows = parts.every if everything else parts.tested
    if not len(chosen) or not windows:
        raise DataError("no part was left to test on (--test-share 0)", "predict with --parts all")
    count = len(windows)
    make = generator(generate, scaling(sequences, trained.normalise), run, options.samples)
    band, days, size = sequences.array("sequence_band"), sequences.days, sequences.size
    cloud = sequences.array("cloud_share")
    made = np.empty((count, len(chosen), AHEAD, size, size), np.float32)
    several = options.samples if options.samples > 1 else FUTURES
    futures = np.zeros((min(SHOWN, len(chosen)), several, AHEAD, size, size), np.float32)
    shown = np.linspace(0, len(chosen) - 1, len(futures)).round().astype(np.int64)
    opens = np.linspace(0, count - 1, len(futures)).round().astype(np.int64)  # their windows' first frames
    with run.progress("generating chips", total=count * len(chosen)) as advance:
        for number, (start, past) in enumerate(windows):
            when = days[start : start + past + AHEAD] - days[start]
            for first in range(0, len(chosen), BATCH):
                which = chosen[first : first + BATCH]
                chips = sequences.chips(which, slice(start, start + past + AHEAD))
                hidden = cloud[which, start : start + past]
                drawn = make(chips[:, :past], when, band[which], number * 1_000_003 + first, hidden)
                made[number, first : first + len(which)] = drawn.mean(axis=0)
                if options.samples > 1:
                    here = (shown >= first) & (shown < first + len(which)) & (opens == number)
                    for i in np.flatnonzero(here):
                        futures[i] = drawn[:, shown[i] - first]
                advance(len(which))
    if options.samples == 1:
        futures[:] = _futures(run, sequences, generate, trained, chosen[shown], [windows[i] for i in opens])
    _write(run, made, futures, chosen, (shown, opens), windows, options)


def _futures(
    run: Run,
    sequences: Sequences,
    generate: Any,
    trained: TrainOptions,
    which: I64,
    windows: list[tuple[int, int]],
) -> F32:
    """Draw `FUTURES` futures of one window of each sequence: ``(n, futures, 2, rows, cols)``."""
    draw = generator(generate, scaling(sequences, trained.normalise), run, FUTURES)
    band, made = sequences.array("sequence_band"), []
    for one, (start, past) in zip(which[:, None], windows, strict=True):
        when = sequences.days[start : start + past + AHEAD] - sequences.days[start]
        chips = sequences.chips(one, slice(start, start + past))
        hidden = sequences.array("cloud_share")[one, start : start + past]
        made.append(draw(chips, when, band[one], (start + past) * 1_000_003 + int(one[0]), hidden)[:, 0])
    return np.stack(made)


def _write(
    run: Run,
    made: F32,
    futures: F32,
    chosen: I64,
    shown: tuple[I64, I64],
    windows: Sequence[tuple[int, int]],
    options: PredictOptions,
) -> None:
    data = xr.Dataset(
        {
            "chip": (("window", "sequence", "step", "row", "col"), made),
            "future": (("shown", "sample", "step", "row", "col"), futures),
            "shown_sequence": (("shown",), chosen[shown[0]]),
            "shown_window": (("shown",), shown[1]),
            "first": (("window",), [first for first, _ in windows]),
            "past": (("window",), [past for _, past in windows]),
        },
        coords={"sequence": chosen},
        attrs={"samples": options.samples, "parts": options.parts},
    )
    write_store(data, run.out / PREDICTIONS)
    run.say(f"{made.shape[0] * made.shape[1]} windows generated")


def open_predictions(run: Run) -> xr.Dataset:
    """Read what `predict_chips` wrote; raises DataError where there is none, or where it is damaged."""
    path = run.inputs["predict"] / PREDICTIONS
    if not path.is_dir():
        raise DataError(
            f"{path.parent} holds velocities and no forecast, so nothing that images could be compared with",
            "leave out --no-forecast; the page of `icectl predict` shows the velocities and their errors",
        )
    expect_chunks(path)
    data: xr.Dataset = open_cube(path)
    with reading(path):
        return data.load()


def forecast(run: Run, sequences: Sequences, generate: Any, trained: TrainOptions) -> None:
    """Forecast the two frames after the last one: ``forecast_1.tif`` and ``forecast_2.tif``, all bands.

    Chips are generated from the last frames, put where their last velocity carries them after the
    series' median interval, and blended with weights that fade towards their borders.
    """
    past, days = min(trained.past, sequences.times), sequences.days
    step = float(np.median(np.diff(days)))
    when = np.concatenate(
        [days[-past:] - days[-past], days[-1] - days[-past] + step * np.arange(1, AHEAD + 1)]
    )
    make = generator(generate, scaling(sequences, trained.normalise), run, 1)
    band = sequences.array("sequence_band")
    position, grid, size = sequences.array("position"), sequences.grid, sequences.size
    speed = (position[:, -1] - position[:, -past]) / max(float(days[-1] - days[-past]), 1e-9)
    bands = sequences.bands
    total, weight = np.zeros((2, AHEAD, len(bands), *grid.shape), np.float32)
    fade = np.outer(*[np.hanning(size + 2)[1:-1]] * 2).astype(np.float32)
    for first in range(0, len(band), BATCH):
        which = np.arange(first, min(first + BATCH, len(band)))
        chips = sequences.chips(which, slice(-past, None))
        hidden = sequences.array("cloud_share")[which, -past:]
        drawn = make(chips, when.astype(np.float32), band[which], 7, hidden)[0]
        for ahead in range(AHEAD):
            target = np.rint(position[which, -1] + speed[which] * step * (ahead + 1)).astype(np.int64)
            target = np.clip(target, 0, np.array(grid.shape) - size)
            for b, (y, x), chip in zip(band[which], target, drawn[:, ahead], strict=True):
                total[ahead, b, y : y + size, x : x + size] += fade * chip
                weight[ahead, b, y : y + size, x : x + size] += fade
    for ahead in range(AHEAD):
        picture = np.where(weight[ahead] > 1e-3, total[ahead] / np.maximum(weight[ahead], 1e-3), np.nan)
        tags = {"days_ahead": f"{step * (ahead + 1):g}", "after": sequences.names[-1]}
        write_cog(run.out / f"forecast_{ahead + 1}.tif", picture, grid, tags=tags, descriptions=bands)
    run.say(f"forecast of the {AHEAD} frames after {sequences.names[-1]}, {step:g} days apart")
