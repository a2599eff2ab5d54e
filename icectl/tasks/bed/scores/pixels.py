"""Pixel by pixel against other people's thickness: one raster, or a folder with one for each glacier."""

import re
from pathlib import Path

import numpy as np

from icectl.arrays import F64
from icectl.contract import Row, Table
from icectl.errors import DataError
from icectl.raster import grid_of, ground_areas, read_quantity
from icectl.tasks.bed.metrics import doubts, score
from icectl.tasks.bed.scores.points import ERRORS, layers_of, line_up, places


def compare(plugin: str, folder: Path, other: Path, title: str, kind: str) -> Table:
    """Compare every pixel of every predicted glacier with another thickness (m), brought onto its grid.

    Pixels count where both know ice: what the other calls nodata, zero or less is left out.

    `plugin`: the name of the model, for its rows; `folder`: a finished prediction; `other`: a raster on any
    grid, or a folder of rasters whose names hold the glaciers' ids; `kind`: ``"modelled"`` or ``"exact"``,
    for the note.

    DataError: it cannot be read, or shares no pixel of ice with the prediction.
    """
    off: dict[str, list[F64]] = {}
    truth: list[F64] = []
    area: list[F64] = []
    said: tuple[str, ...] = ()
    for name, place in places(folder):
        path = raster_of(other, name)
        if path is None:
            continue
        grid = grid_of(place / "thickness.tif")
        found = read_quantity(path, "thickness", grid=grid)
        values, said = found.values.astype(np.float64), said or found.notes
        layers = dict(layers_of(place))
        mine = np.isfinite(layers["thickness"]) & np.isfinite(values) & (values > 0)
        truth.append(values[mine])
        area.append(ground_areas(grid)[mine])
        layers["no ice"] = np.zeros(values.shape)
        for label, layer in layers.items():
            off.setdefault(label, []).append(layer[mine])
    against, areas = (np.concatenate(a) if a else np.zeros(0) for a in (truth, area))
    if not len(against):
        raise DataError(
            f"{other} and the predicted glaciers have no pixel of ice in common",
            "check that it shows the same place, and its CRS",
        )
    everywhere = [n for n, parts in off.items() if len(parts) == len(truth) and n not in ("low", "high")]
    answers = {n: np.concatenate(off[n]) for n in everywhere}
    rows = []
    for name, row_kind, label in line_up(answers, plugin):
        errors = {**score(answers[name], against), "volume": float((answers[name] * areas).sum()) / 1e9}
        rows.append(Row(name=label, kind=row_kind, values={c.key: errors.get(c.key) for c in ERRORS}))
    note = f"{len(against)} pixels of {kind} thickness, {float((against * areas).sum()) / 1e9:.4g} km³"
    note = ". ".join((note, *doubts(against, answers["thickness"]), *said))
    return Table(title=title, columns=ERRORS, rows=tuple(rows), primary="rmse", note=note)


def raster_of(other: Path, name: str) -> Path | None:
    """Return the raster of a glacier: `other` itself, or the file of its folder that names the glacier."""
    if not other.is_dir():
        return other
    called = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
    return next((p for p in sorted(other.rglob("*.tif")) if called.search(p.name)), None)
