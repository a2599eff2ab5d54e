"""`icectl compare fronts A B … --length`: advance and retreat of several products side by side."""

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from icectl.contract import Column, Row, Table
from icectl.errors import DataError, WorkError
from icectl.raster import ground_lines
from icectl.tasks.front.files.compare import STEP, extents
from icectl.tasks.front.files.sets import DEGREES, FrontLine, read_sets
from icectl.tasks.front.line.length import position, reference_of
from icectl.tasks.front.line.lines import Line


@dataclass(frozen=True, slots=True)
class Length:
    """One length: its product, glacier and date, and metres since the glacier's first date in any product."""

    product: str
    glacier: str
    day: datetime
    metres: float


def lengths_of(paths: Sequence[Path], method: str = "box") -> list[Length]:
    """Return the lengths of all fronts in some vector files, in metres on the ground.

    `paths`: vector files of lines, one a product. `method`: ``"box"``: area behind the front within a box
    along the flow, over its width; ``"centre-line"``: where the front crosses the box's middle. The flow is
    the normal of the fronts' mean chord, and one box serves all products of a glacier. Where a product names
    no glacier, lines that lie no farther apart than they are long are of one.

    DataError: no file holds two dates of one glacier.
    """
    sets = read_sets(paths)
    every = [(product, line) for product, lines in sets for line in lines]
    named = all(any(line.glacier for line in lines) for _, lines in sets)
    names = [line.glacier.casefold() for _, line in every] if named else _places([one for _, one in every])
    groups: dict[str, list[tuple[str, FrontLine]]] = {}
    for name, one in zip(names, every, strict=True):
        groups.setdefault(name, []).append(one)
    found = [
        length
        for name, own in sorted(groups.items())
        for length in _of_glacier(own[0][1].glacier or "unnamed" if named else name, own, method)
    ]
    if not found:
        raise DataError("no glacier has fronts of two dates that cross one box", "check names and dates")
    if missing := len(every) - len(found):
        logging.getLogger("icectl").warning(
            f"{missing} of {len(every)} fronts have no length: they do not cross the box of their "
            "glacier's fronts, or are of its only date"
        )
    return found


def _places(lines: Sequence[FrontLine]) -> list[str]:
    """Return a name for the place of each line: ``all`` where all lie together."""
    (shapes,) = ground_lines([line.shape for line in lines], DEGREES)
    pairs = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=extents(shapes))
    count, place = connected_components(coo_array((np.ones(len(pairs[0])), pairs), shape=[len(lines)] * 2))
    return ["all" if count == 1 else f"place {number + 1}" for number in place]


def _of_glacier(name: str, own: Sequence[tuple[str, FrontLine]], method: str) -> list[Length]:
    """Return the lengths of one glacier in all products, relative to its first date."""
    (shapes,) = ground_lines([line.shape for _, line in own], DEGREES)
    lines = [_as_line(shape) for shape in shapes]
    reference = reference_of(lines)
    if reference is None or len({line.day for _, line in own}) < 2:
        return []
    at = [position(line, reference, method, STEP) for line in lines]
    placed = [
        (line.day, product, value)
        for (product, line), value in zip(own, at, strict=True)
        if value is not None
    ]
    start = min(placed)[2] if placed else 0.0
    found = [Length(product, name, day, round(value - start, 3)) for day, product, value in placed]
    return sorted(found, key=lambda v: (v.product, v.day))


def _as_line(shape: Any) -> Line:
    """Return a shape in metres as (row, column): north up, the longest part of several."""
    longest = max(shapely.get_parts(shape), key=lambda part: part.length)
    x, y = shapely.get_coordinates(longest).T
    return np.stack([-y, x], axis=1)


def write_csv(lengths: Sequence[Length], path: Path) -> Path:
    """Write ``product, glacier, date, length_m``."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["product", "glacier", "date", "length_m"])
            writer.writerows([v.product, v.glacier, f"{v.day:%Y-%m-%d}", v.metres] for v in lengths)
    except OSError as error:
        raise WorkError(
            f"{path} cannot be written: {error.strerror}", "name a file in a folder of yours"
        ) from error
    return path


def length_table(lengths: Sequence[Length], method: str) -> Table:
    """Return of each product and glacier: fronts, first and last date, and the change between them."""
    groups: dict[tuple[str, str], list[Length]] = {}
    for value in lengths:
        groups.setdefault((value.glacier, value.product), []).append(value)
    rows = []
    for (glacier, product), own in sorted(groups.items()):
        years = (own[-1].day - own[0].day).days / 365.25
        change = own[-1].metres - own[0].metres
        rate = change / years if years > 0 else None
        values = {"fronts": len(own), "change_m": change, "rate": rate}
        note = f"{own[0].day:%Y-%m-%d} to {own[-1].day:%Y-%m-%d}"
        rows.append(Row(name=f"{glacier}, {product}", kind="model", values=values, note=note))
    columns = (
        Column(key="fronts", label="fronts", better=""),
        Column(key="change_m", label="change of length", unit="m", better=""),
        Column(key="rate", label="rate", unit="m/yr", better=""),
    )
    note = f"method: {method}; positive is advance, the sign being a choice without a direction of flow"
    return Table(title="Length change", columns=columns, rows=tuple(rows), primary="change_m", note=note)


def write_figure(lengths: Sequence[Length], path: Path, method: str) -> Path:
    """Draw the lengths of each glacier over time, all products side by side; SVG, PDF or PNG by the name."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(value.glacier for value in lengths))
    figure = Figure(figsize=(8, 2.6 * len(names)), layout="constrained")
    for axes, glacier in zip(figure.subplots(len(names), squeeze=False).flat, names, strict=True):
        for product in dict.fromkeys(v.product for v in lengths if v.glacier == glacier):
            own = [v for v in lengths if (v.glacier, v.product) == (glacier, product)]
            axes.plot([v.day for v in own], [v.metres for v in own], ".-", label=product)
        axes.set_title(glacier)
        axes.set_ylabel(f"length change ({method}), m")
        axes.legend(frameon=False)
    figure.savefig(path)
    return path
