"""Generated chips: of held-out windows, whose truth is known, and of the frames to come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from icectl.errors import DataError
from icectl.raster import write_cog
from icectl.run import Run
from icectl.tasks.flow.dataset import Sequences
from icectl.tasks.flow.metrics import correlation
from icectl.tasks.flow.options import AHEAD, PredictOptions, TrainOptions
from icectl.tasks.flow.parts import TEST, check_past, split_ground
from icectl.tasks.flow.windows import Scaling, scaling

F32 = NDArray[np.float32]
PREDICTIONS = "predictions.zarr"
SHOWN = 6
"""Windows of which every future is kept for the report."""

FUTURES = 4
"""Futures drawn for those windows where only the prior's mean is scored."""

BATCH = 32


def generator(
    network: nn.Module, scale: Scaling, run: Run, samples: int
) -> Callable[[F32, F32, NDArray[np.int64], int], F32]:
    """Return ``make(past, days, band, key)`` → ``(samples, n, 2, rows, cols)`` in the sensor's units.

    One sample takes the prior's mean; more are drawn with seeds that depend on (seed, key, sample).
    """
    import torch

    from icectl.training import resolve
    from icectl.training.sampling import key as seed_of

    device = resolve(run.compute).torch_device()
    network.to(device).eval()
    generate: Any = network.generate

    def make(past: F32, days: F32, band: NDArray[np.int64], key: int) -> F32:
        frames = torch.as_tensor(scale(past, band)[:, :, None], device=device)
        when = torch.as_tensor(days, device=device).expand(len(past), -1)
        made = []
        for sample in range(samples):
            source = torch.Generator().manual_seed(seed_of(run.seed, key, sample))

            def noise(latent: int, source: Any = source) -> torch.Tensor:
                shape = (len(past), latent)
                return (
                    torch.zeros(shape, device=device)
                    if samples == 1
                    else torch.randn(shape, generator=source).to(device)
                )

            drawn = generate(frames, when, noise)
            made.append(drawn[:, :, 0].float().cpu().numpy())
        return np.stack([scale.undo(m, past[:, -1], band) for m in made])

    return make


def predict_chips(
    run: Run, sequences: Sequences, network: nn.Module, trained: TrainOptions, options: PredictOptions
) -> None:
    """Generate t1 and t2 of every window of the test chips; write ``predictions.zarr``.

    With ``keep="best"`` the future nearest to t2 is kept, which is knowledge no forecast has.
    """
    past, count = trained.past, check_past(sequences, trained.past)
    parts = split_ground(sequences, trained)
    chosen = np.flatnonzero(parts.of == TEST) if options.parts == "test" else np.arange(len(parts.of))
    make = generator(network, scaling(sequences, trained.normalise), run, options.samples)
    band, days, size = sequences.array("sequence_band"), sequences.days, sequences.size
    made = np.empty((count, len(chosen), AHEAD, size, size), np.float32)
    several = options.samples if options.samples > 1 else FUTURES
    futures = np.zeros((min(SHOWN, len(chosen)), several, AHEAD, size, size), np.float32)
    shown = np.linspace(0, len(chosen) - 1, len(futures)).round().astype(np.int64)
    opens = np.linspace(0, count - 1, len(futures)).round().astype(np.int64)  # their windows' first frames
    with run.progress("generating chips", total=count * len(chosen)) as advance:
        for start in range(count):
            when = days[start : start + past + AHEAD] - days[start]
            for first in range(0, len(chosen), BATCH):
                which = chosen[first : first + BATCH]
                chips = sequences.chips(which, slice(start, start + past + AHEAD))
                drawn = make(chips[:, :past], when, band[which], start * 1_000_003 + first)
                made[start, first : first + len(which)] = _kept(drawn, chips[:, -1], options.keep)
                if options.samples > 1:
                    here = (shown >= first) & (shown < first + len(which)) & (opens == start)
                    for i in np.flatnonzero(here):
                        futures[i] = drawn[:, shown[i] - first]
                advance(len(which))
    if options.samples == 1:
        futures[:] = _futures(run, sequences, network, trained, chosen[shown], opens)
    _write(run, made, futures, chosen, (shown, opens), parts.of[chosen], options)


def _futures(
    run: Run,
    sequences: Sequences,
    network: nn.Module,
    trained: TrainOptions,
    which: NDArray[np.int64],
    opens: NDArray[np.int64],
) -> F32:
    """Draw `FUTURES` futures of one window of each sequence: ``(n, futures, 2, rows, cols)``."""
    draw = generator(network, scaling(sequences, trained.normalise), run, FUTURES)
    band, made = sequences.array("sequence_band"), []
    for one, start in zip(which[:, None], opens, strict=True):
        when = sequences.days[start : start + trained.past + AHEAD] - sequences.days[start]
        chips = sequences.chips(one, slice(start, start + trained.past))
        made.append(draw(chips, when, band[one], int(start) * 1_000_003 + int(one[0]))[:, 0])
    return np.stack(made)


def _kept(drawn: F32, truth: F32, keep: str) -> F32:
    if keep == "mean" or len(drawn) == 1:
        return np.asarray(drawn.mean(axis=0))
    best = correlation(drawn[:, :, -1], truth[None]).argmax(axis=0)
    return np.asarray(drawn[best, np.arange(drawn.shape[1])])


def _write(
    run: Run,
    made: F32,
    futures: F32,
    chosen: NDArray[np.int64],
    shown: tuple[NDArray[np.int64], NDArray[np.int64]],
    part: NDArray[np.uint8],
    options: PredictOptions,
) -> None:
    data = xr.Dataset(
        {
            "chip": (("window", "sequence", "step", "row", "col"), made),
            "future": (("shown", "sample", "step", "row", "col"), futures),
            "shown_sequence": (("shown",), chosen[shown[0]]),
            "shown_window": (("shown",), shown[1]),
            "part": (("sequence",), part),
        },
        coords={"sequence": chosen},
        attrs={"keep": options.keep, "samples": options.samples},
    )
    data.to_zarr(run.out / PREDICTIONS, mode="w", zarr_format=3, consolidated=False)
    run.say(f"{made.shape[0] * made.shape[1]} windows of held-out chips generated")


def open_predictions(run: Run) -> xr.Dataset:
    """Open what `predict_chips` wrote."""
    path = run.inputs["predict"] / PREDICTIONS
    if not path.is_dir():
        raise DataError(f"{path} is not there", "run predict first")
    data: xr.Dataset = xr.open_zarr(path, consolidated=False, chunks=None)
    return data


def forecast(run: Run, sequences: Sequences, network: nn.Module, trained: TrainOptions) -> None:
    """Forecast the two frames after the last one: ``forecast_1.tif`` and ``forecast_2.tif``, all bands.

    Chips are generated from the last frames, put where their last velocity carries them after the
    series' median interval, and blended with weights that fade towards their borders.
    """
    past, days = trained.past, sequences.days
    step = float(np.median(np.diff(days)))
    when = np.concatenate(
        [days[-past:] - days[-past], days[-1] - days[-past] + step * np.arange(1, AHEAD + 1)]
    )
    make = generator(network, scaling(sequences, trained.normalise), run, 1)
    band = sequences.array("sequence_band")
    position, grid, size = sequences.array("position"), sequences.grid, sequences.size
    speed = (position[:, -1] - position[:, -past]) / max(float(days[-1] - days[-past]), 1e-9)
    bands = sequences.bands
    total, weight = np.zeros((2, AHEAD, len(bands), *grid.shape), np.float32)
    fade = np.outer(*[np.hanning(size + 2)[1:-1]] * 2).astype(np.float32)
    for first in range(0, len(band), BATCH):
        which = np.arange(first, min(first + BATCH, len(band)))
        chips = sequences.chips(which, slice(-past, None))
        drawn = make(chips, when.astype(np.float32), band[which], 7)[0]
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
