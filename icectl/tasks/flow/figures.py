"""What the report shows of a flow run: correlation maps, velocity, figure 3, sampled futures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from cv2 import connectedComponents

from icectl.arrays import F32, F64, I64, Array
from icectl.imagery.filters import high_pass
from icectl.raster import Grid, Info, ground_steps, write_cog
from icectl.report.panels import Layer, Map, SampleRow, Samples, pack
from icectl.run import Run
from icectl.tasks.flow.dataset import Sequences
from icectl.tasks.flow.metrics import correlation
from icectl.tasks.flow.options import AHEAD

UNITS = {"meter/year": "m a⁻¹", "pixel/year": "px a⁻¹"}
"""How a page writes the units of velocities, which files name as UDUNITS does."""

CELLS = 8
"""Cells of a correlation map along a chip's side."""

DARK_TO_BRIGHT = (2, 98)
"""Percentiles of a row's truth that are shown black and white: bands differ far in brightness."""

GREYS = (
    "Each row has a grey scale of its own: black to white is the 2nd to 98th percentile of its true t2."
    " Forecasts and filtered chips have the level and contrast of t2: only patterns are correlated."
)

MAPS = {
    "persistence": "Persistence: t0 against t2",
    "high-pass": "High-pass filter: t0 against t2",
    "model": "Model against t2",
}


def correlation_maps(
    folder: Path, sequences: Sequences, chosen: I64, by: Mapping[str, F64]
) -> dict[str, Path]:
    """Write the three maps of the paper's figure 4 as COGs: mean correlation of the chips over each cell."""
    grid, step = sequences.grid, max(sequences.size // CELLS, 1)
    rows, cols = (-(-n // step) for n in grid.shape)
    coarse = Grid((rows, cols), grid.transform * Affine.scale(step), grid.crs)
    position = sequences.array("position")[chosen].mean(axis=1)
    paths = {}
    for name in MAPS:
        total, count = np.zeros((2, rows, cols))
        for (y, x), value in zip(position / step, np.nanmean(by[name], axis=0), strict=True):
            cell = slice(round(y), round(y) + CELLS), slice(round(x), round(x) + CELLS)
            total[cell] += value
            count[cell] += 1
        paths[name] = folder / f"correlation_{name.replace('-', '_')}.tif"
        layer = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
        write_cog(paths[name], layer, coarse, descriptions=[MAPS[name]])
    return paths


def figures(
    run: Run, sequences: Sequences, predictions: Any, maps: Mapping[str, Path]
) -> list[dict[str, Any]]:
    """Return packed panels."""
    drawn: list[Any] = [
        Map(
            title=f"Correlation map. {MAPS[name]}",
            layer=Layer(file=str(path)),
            colours="quality",
            low=0,
            high=1,
        )
        for name, path in maps.items()
    ]
    velocity = run.inputs["predict"] / "v.tif"
    if velocity.is_file():
        unit = UNITS.get(Info(velocity).tags.get("units", ""), "")
        drawn.append(
            Map(title="Velocity of the ice", layer=Layer(file=str(velocity)), colours="speed", unit=unit)
        )
    drawn += [_figure3(run, sequences, predictions), _futures(run, sequences, predictions)]
    return pack(drawn, run.out)


def _figure3(run: Run, sequences: Sequences, predictions: Any) -> Samples:
    """Return the paper's figure 3: past chips, the forecast, high-passed t0, t1, t2, high-passed t2."""
    places = {int(s): i for i, s in enumerate(predictions["sequence"].values)}
    rows = []
    for sequence, number, first, past in _shown(predictions):
        chips = sequences.chips([sequence], slice(first, first + past + AHEAD))[0]
        made = predictions["chip"][number, places[sequence], AHEAD - 1].values
        seen = list(chips[max(past - 3, 0) : past])
        pictures = [
            *seen,
            _stretched(made, chips[-1]),
            _stretched(high_pass(chips[past - 1]), chips[-1]),
            *chips[past:],
            _stretched(high_pass(chips[-1]), chips[-1]),
        ]
        ours, persistence = (float(correlation(c, chips[-1])) for c in (made, chips[past - 1]))
        score = f"r = {ours:.2f}, persistence {persistence:.2f}"
        name = _name(sequences, sequence, first + past - 1)
        rows.append(_row(run, f"figure3_{sequence}", name, pictures, chips[-1], score))
    past = int(predictions["past"].values.min())
    before = [f"t−{k}" if k else "t0" for k in range(min(past, 3) - 1, -1, -1)]
    columns = (*before, "forecast of t2", "high-pass t0", "t1 (unseen)", "t2", "high-pass t2")
    return Samples(title="Chips: past, forecast, truth", columns=columns, rows=tuple(rows), note=GREYS)


def _futures(run: Run, sequences: Sequences, predictions: Any) -> Samples:
    """Return several futures of one chip each, beside the truth."""
    futures = predictions["future"].values
    count = min(futures.shape[1], 5)
    rows = []
    for (sequence, _, first, past), drawn in zip(_shown(predictions), futures, strict=True):
        t0 = first + past - 1
        truth = sequences.chips([sequence], slice(t0 + AHEAD, t0 + AHEAD + 1))[0, 0]
        best = float(correlation(drawn[:, -1], truth[None]).max())
        pictures = [truth, *(_stretched(future, truth) for future in drawn[:count, -1])]
        score = f"best r = {best:.2f}"
        name = _name(sequences, sequence, t0)
        rows.append(_row(run, f"futures_{sequence}", name, pictures, truth, score))
    columns = ("t2", *(f"future {i + 1}" for i in range(count)))
    pairs = [correlation(futures[:, i, -1], futures[:, j, -1]) for i in range(count) for j in range(i)]
    alike = f"; those of a chip correlate by {np.mean(pairs):.2f} with each other" if pairs else ""
    note = f"Drawn from the prior{alike}. {GREYS}"
    return Samples(title="Sampled futures of t2", columns=columns, rows=tuple(rows), note=note)


def _shown(predictions: Any) -> list[tuple[int, int, int, int]]:
    """Return the sequences that are shown, and of their windows number, first frame and past frames."""
    numbers = predictions["shown_window"].values
    columns = predictions["shown_sequence"].values, numbers
    columns += tuple(predictions[name].values[numbers] for name in ("first", "past"))
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _stretched(texture: F32, like: F32) -> F32:
    """Bring a texture to the level and contrast of a picture, to be seen beside it."""
    spread = float(texture.std()) or 1.0
    return np.asarray((texture - texture.mean()) / spread * like.std() + like.mean(), np.float32)


def _name(sequences: Sequences, sequence: int, t0: int) -> str:
    """Name a sequence by its chip, its band and the day of t0."""
    chip, band = (int(sequences.array(f"sequence_{key}")[sequence]) for key in ("chip", "band"))
    day = str(sequences.data["time"].values[t0])[:10].replace("-", "\N{NON-BREAKING HYPHEN}")
    return f"chip {chip}, {sequences.bands[band]}, t0 {day}"


def _row(run: Run, name: str, label: str, pictures: list[Array], truth: F32, score: str) -> SampleRow:
    """Write pictures as the bands of one GeoTIFF and name them; `truth` gives the row's grey scale."""
    stack = np.stack([np.asarray(p, np.float32) for p in pictures])
    path = run.out / "pictures" / f"{name}.tif"
    path.parent.mkdir(exist_ok=True)
    write_cog(path, stack, Grid(stack.shape[1:], Affine(1, 0, 0, 0, -1, stack.shape[1]), None))
    images = tuple(Layer(file=str(path), band=i + 1) for i in range(len(stack)))
    low, high = (float(v) for v in np.percentile(truth, DARK_TO_BRIGHT))
    return SampleRow(label=label, images=images, score=score, low=low, high=high)


def flow_line(
    vx: F64, vy: F64, count: Array, cells: I64, sequences: Sequences
) -> tuple[tuple[I64, ...], F64, str]:
    """Return rows and columns of the cells along the flow line through the fastest ice, and how far each is.

    Of cells, those that two pairs or more know come first. `cells`: their pixels; the distances are in km on
    the ground where the length of a pixel is known.
    """
    speed = np.hypot(vx, vy)
    if "ice" in sequences.data:
        on = np.where(sequences.array("ice")[cells[..., 0], cells[..., 1]], speed, np.nan)
        speed = on if np.isfinite(on).any() else speed
    sure = np.where((count >= 2) & np.isfinite(speed), speed, np.nan)
    sure = sure if np.isfinite(sure).any() else speed
    vx, vy = (np.where(np.isfinite(speed), v, np.nan) for v in (vx, vy))
    at = tuple(streamline(-vy, vx, fastest(sure)).T)
    grid, known = sequences.grid, sequences.data.attrs["units"] == "m"
    across, down = (abs(grid.affine.a), abs(grid.affine.e)) if grid.crs is None else ground_steps(grid)
    steps = np.diff(cells[at], axis=0) * (np.array([float(down), float(across)]) / 1000 if known else 1.0)
    return at, np.concatenate([[0], np.cumsum(np.hypot(*steps.T))]), "km" if known else "px"


def fastest(speed: F64) -> tuple[int, int]:
    """Return row and column of the fastest cell of the largest patch of known cells: specks are mostly wrong.

    >>> fastest(np.array([[9.0, np.nan, 1.0, 2.0]]))
    (0, 3)
    """
    patches = connectedComponents(np.isfinite(speed).astype(np.uint8))[1]
    largest = np.bincount(patches[patches > 0]).argmax()
    row, col = np.unravel_index(int(np.nanargmax(np.where(patches == largest, speed, np.nan))), speed.shape)
    return int(row), int(col)


def streamline(down: F64, right: F64, start: tuple[int, int], most: int = 500) -> I64:
    """Follow a velocity field up and down from a cell, one cell a step, until it ends.

    `down` and `right`: ``(rows, cols)`` components along rows and columns, NaN where unknown; `start`: row
    and column to start from; `most`: steps each way.

    Returns ``(n, 2)`` cells, upstream first.

    >>> still = np.zeros((3, 5))
    >>> streamline(still, np.ones((3, 5)), (1, 2))[:, 1].tolist()
    [0, 1, 2, 3, 4]
    """
    ways = []
    for sign in (-1, 1):
        at = np.array(start, np.float64)
        cells: list[tuple[int, int]] = []
        for _ in range(most):
            row, col = np.rint(at).astype(int)
            inside = 0 <= row < down.shape[0] and 0 <= col < down.shape[1]
            if not inside or not np.isfinite(down[row, col]):
                break
            step = np.array([down[row, col], right[row, col]])
            length = float(np.hypot(*step))
            if length == 0 or (row, col) in cells[:-1]:
                break
            if not cells or cells[-1] != (row, col):
                cells.append((int(row), int(col)))
            at += sign * step / length
        ways.append(cells)
    return np.array(ways[0][::-1] + ways[1][1:], np.int64).reshape(-1, 2)
