"""Turns the panels of a run into the figures of a page. One that cannot be drawn becomes a sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icectl.errors import IcectlError
from icectl.report.colours import Scale
from icectl.report.layers import Reader
from icectl.report.painter import Painter
from icectl.report.panels import ImageLines, Map, Panel, Samples, TimeMaps, unpack
from icectl.report.pictures import View, maps_of

BUDGET = 6_000_000
"""Bytes of pictures on one page; they share it evenly and shrink to fit."""


def draw_all(data: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> list[View]:
    """Draw panels from their JSON data; relative files are looked for in `folders` in turn.

    Returns one mapping a panel: ``kind``, ``title``, ``note``, and what its kind needs; a panel that cannot
    be drawn has the kind ``"problem"`` and a ``reason``.
    """
    panels: list[Panel | IcectlError] = []
    for number, item in enumerate(data):
        try:
            panels.append(unpack(item, f"panel {number + 1}"))
        except IcectlError as problem:
            panels.append(problem)
    pictures = sum(_pictures(p) for p in panels if not isinstance(p, IcectlError))
    painter = Painter(Reader(folders), BUDGET // max(pictures, 1))
    return [painter.draw(panel) for panel in panels]


def _pictures(panel: Panel) -> int:
    """Return how many pictures a panel will put on the page."""
    if isinstance(panel, TimeMaps):
        return 3 * len(panel.frames)
    if isinstance(panel, ImageLines):
        return len(panel.frames)
    if isinstance(panel, Samples):
        return sum(len(row.images) for row in panel.rows)
    return 2 if isinstance(panel, Map) else 0


def arrange(views: Sequence[View], first: int = 0) -> list[list[View]]:
    """Group figures for the page: small ones that follow each other share rows, big ones stand alone.

    Figures are numbered from `first`, for ids that are unique on the page.
    """
    groups: list[list[View]] = []
    for number, view in enumerate(views, first):
        shape = "small" if view["kind"] == "map" or ("svg" in view and "wide" not in view) else ""
        item = {**view, "number": number, "shape": shape}
        if shape and groups and groups[-1][0]["shape"] == shape:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def palettes(views: Sequence[View]) -> dict[str, list[list[int]]]:
    """Return the RGB steps of every scale that the page uses, to turn colours back into values."""
    used = {drawn["palette"] for view in views for drawn in maps_of(view)}
    return {name: Scale(name, 0, 1).palette.tolist() for name in sorted(used)}
