"""All fronts on one map, coloured by date, and below it when and where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from icectl.arrays import F64

Dated = tuple[str, date, F64 | None]
"""Glacier, date, and the front as (N, 2) x and y on the map, None where none was found."""


def draw_by_date(images: Sequence[Dated], path: Path, unit: str) -> Path:
    """Draw the fronts of dated images; a cross stands for an image without one.

    Parameters
    ----------
    images
        All dated images.
    path
        SVG, PDF or PNG, by the name.
    unit
        Of the map's axes: ``"m"``, ``"degrees"`` or ``"px"``.
    """
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    groups: Mapping[str, list[Dated]] = {name: [] for name in sorted({name for name, _, _ in images})}
    for image in images:
        groups[image[0]].append(image)
    days = [_day(day) for _, day, _ in images]
    colours, scale = colormaps["viridis"], Normalize(min(days), max(max(days), min(days) + 1))
    figure = Figure(figsize=(5 * min(3, len(groups)), 6), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=[4, 1])
    assert isinstance(parts, np.ndarray)
    maps, below = parts
    for axes, (name, own) in zip(
        maps.subplots(1, len(groups), squeeze=False).flat, groups.items(), strict=True
    ):
        lines = sorted((_day(day), line) for _, day, line in own if line is not None)
        axes.add_collection(
            LineCollection([line for _, line in lines], colors=[colours(scale(d)) for d, _ in lines])
        )
        axes.autoscale_view()
        axes.set_aspect("equal")
        axes.set_title(name)
        axes.set_xlabel(f"x ({unit})")
    time = below.subplots()
    for level, own in enumerate(groups.values()):
        for found, marker in ((True, "|"), (False, "x")):
            at = [_day(day) for _, day, line in own if (line is not None) == found]
            time.scatter(at, [level] * len(at), c=colours(scale(np.array(at))), marker=marker)
    time.set_yticks(range(len(groups)), list(groups))
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    time.xaxis.set_major_locator(locator)
    time.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    figure.savefig(path)
    return path


def _day(day: date) -> float:
    """Return a date as matplotlib counts it."""
    from matplotlib.dates import date2num

    return float(date2num(day))  # type: ignore[no-untyped-call]
