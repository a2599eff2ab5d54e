"""Draws panels: reads rasters at display size, chooses scales, keeps to a budget of bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from icectl.arrays import F32
from icectl.errors import IcectlError
from icectl.raster.write import png
from icectl.report import charts
from icectl.report.colours import Scale, data_uri, encode, hill_shade, scale_for
from icectl.report.layers import Raster, Reader, thin
from icectl.report.overlay import (
    ARROW_CLASS,
    Stroke,
    arrow_gain,
    arrow_path,
    date_scale,
    line_strokes,
    point_strokes,
)
from icectl.report.panels import (
    Bars,
    CrossSection,
    Curve,
    Frame,
    ImageLines,
    Map,
    Panel,
    Samples,
    Scatter,
    TimeMaps,
    unpack,
)
from icectl.report.pictures import View, arrow_key, date_legend, legend, maps_of, picture
from icectl.report.scale import frame_of

_SIDES = {"time-maps": 600, "map": 900, "image-lines": 600, "samples": 200}
_TITLES = {"truth": "Truth", "prediction": "Prediction", "difference": "Difference"}


class Painter:
    """Draws panels; each picture may take so many bytes.

    `reader`: finds and reads layers; `allowance`: bytes of one picture.
    """

    def __init__(self, reader: Reader, allowance: int = 400_000) -> None:
        self.reader, self.allowance = reader, min(allowance, 400_000)

    def draw(self, panel: Panel | IcectlError) -> View:
        """Return the view of one panel."""
        if isinstance(panel, IcectlError):
            return {"kind": "problem", "title": "A figure", "reason": panel.message}
        drawers: dict[str, Callable[[Any], View]] = {
            "time-maps": self._time_maps,
            "map": self._map,
            "image-lines": self._image_lines,
            "samples": self._samples,
        }
        try:
            if isinstance(panel, Curve | CrossSection | Scatter | Bars):
                view = _chart(panel)
            else:
                view = drawers[panel.kind](panel)
        except IcectlError as problem:
            return {"kind": "problem", "title": panel.title, "reason": problem.message}
        return {"kind": panel.kind, "title": panel.title, "note": panel.note, **view}

    def _time_maps(self, panel: TimeMaps) -> View:
        """Read every frame once at display size, choose the scales, then encode."""
        side = _SIDES["time-maps"]
        stacks = [self._three(frame, side) for frame in panel.frames]
        values = [r.values for s in stacks for k, r in s.items() if k != "difference"]
        scale = scale_for(values, panel.colours, panel.low, panel.high)
        changes = [s["difference"].values for s in stacks if "difference" in s]
        change = scale_for(changes, "diverging", None, panel.difference_limit) if changes else None
        side = self._side(values + changes, side, scale)
        moments = [
            self._moment(frame, stack, scale, change, side)
            for frame, stack in zip(panel.frames, stacks, strict=True)
        ]
        legends = [legend(scale, panel.unit, "value")]
        if change:
            legends.append(legend(change, panel.unit, "prediction − truth"))
        return {"moments": moments, "legends": legends}

    def _three(self, frame: Frame, side: int) -> dict[str, Raster]:
        found = {
            name: self.reader.read(layer, side)
            for name in ("truth", "prediction", "difference")
            if (layer := getattr(frame, name)) is not None
        }
        if "difference" not in found and len(found) == 2:
            truth, prediction = found["truth"], found["prediction"]
            if truth.values.shape == prediction.values.shape:
                change = prediction.values - truth.values
                found["difference"] = replace(truth, values=change, grid=truth.grid or prediction.grid)
        grid = next((r.grid for r in found.values() if r.grid is not None), None)
        return {name: replace(r, grid=r.grid or grid) for name, r in found.items()}

    def _moment(
        self, frame: Frame, stack: dict[str, Raster], scale: Scale, change: Scale | None, side: int
    ) -> View:
        maps = []
        for name, raster in stack.items():
            used = change if name == "difference" and change else scale
            maps.append(picture(_TITLES[name], raster, used, side, ()))
        return {"label": frame.label, "note": frame.note, "maps": maps}

    def _map(self, panel: Map) -> View:
        side = _SIDES["map"]
        raster = self.reader.read(panel.layer, side)
        scale = scale_for([raster.values], panel.colours, panel.low, panel.high)
        side = self._side([raster.values], side, scale)
        strokes = line_strokes(panel.lines, self.reader, raster.grid) + point_strokes(panel.points, scale)
        gain = arrow_gain(panel.arrows)
        if panel.arrows:
            strokes.append(Stroke(arrow_path(panel.arrows, gain, max(raster.shape)), ARROW_CLASS))
        drawn = picture(panel.label or panel.title, raster, scale, side, strokes)
        drawn["under"] = self._underlay(panel, raster, side)
        key = arrow_key(panel.arrows, gain, raster, panel.arrow_unit)
        dates = date_scale(panel.lines)
        legends = [legend(scale, panel.unit, panel.label)]
        if dates is not None:  # the grey levels of an image below dated lines need no bar
            legends = legends * (panel.colours != "grey") + [date_legend(dates)]
        return {"map": drawn, "legends": legends, "arrow_key": key}

    def _underlay(self, panel: Map, raster: Raster, side: int) -> str:
        """Return a hill shade: of the underlay, or of the layer itself where it is terrain."""
        if panel.underlay is None and panel.colours != "terrain":
            return ""
        ground = raster if panel.underlay is None else self.reader.read(panel.underlay, side)
        values = thin(ground.values, side)
        metres = frame_of(ground.grid, ground.shape).metres or 30.0
        return data_uri(png(hill_shade(values, metres * max(ground.shape) / max(values.shape))))

    def _image_lines(self, panel: ImageLines) -> View:
        side = _SIDES["image-lines"]
        moments, labels = [], dict[str, str]()
        for frame in panel.frames:
            raster = self.reader.read(frame.image, side)
            scale = scale_for([raster.values], "grey")
            strokes = line_strokes(frame.lines, self.reader, raster.grid)
            labels |= {stroke.label: stroke.kind for stroke in strokes}
            fitting = self._side([raster.values], side, scale)
            drawn = picture(frame.label, raster, scale, fitting, strokes)
            moments.append({"label": frame.label, "note": frame.note, "maps": [drawn]})
        return {"moments": moments, "legends": [], "line_keys": labels}

    def _samples(self, panel: Samples) -> View:
        side = _SIDES["samples"]
        read = [
            [None if layer is None else self.reader.read(layer, side) for layer in row.images]
            for row in panel.rows
        ]
        values = [r.values for row in read for r in row if r]
        common = scale_for(values, panel.colours, panel.low, panel.high)
        side = self._side(values, side, common)
        rows, shared = [], False
        for row, rasters in zip(panel.rows, read, strict=True):
            own = row.low is not None and row.high is not None
            scale = scale_for([], panel.colours, row.low, row.high) if own else common
            shared = shared or not own
            images = [None if r is None else data_uri(encode(thin(r.values, side), scale)) for r in rasters]
            rows.append({"label": row.label, "score": row.score, "images": images})
        legends = [legend(common, panel.unit, "value")] if shared else []
        return {"columns": panel.columns, "rows": rows, "legends": legends}

    def _side(self, images: Sequence[F32], side: int, scale: Scale) -> int:
        """Return the side at which a typical picture stays within the allowance."""
        if not images:
            return side
        picks = [images[i] for i in {0, len(images) // 2, len(images) - 1}]
        while side > 64:
            size = max(len(encode(thin(image, side), scale)) for image in picks)
            if size <= self.allowance:
                break
            side = max(64, int(side * min(0.95, (self.allowance / size) ** 0.5)))
        return side


def _chart(panel: Curve | CrossSection | Scatter | Bars) -> View:
    """Return a chart's SVG and the same numbers in words for screen readers."""
    if isinstance(panel, Curve):
        names = ", ".join(s.label for s in panel.series)
        return {"svg": charts.curve(panel), "words": f"{panel.y_label} over {panel.x_label}: {names}"}
    if isinstance(panel, CrossSection):
        return {"svg": charts.cross_section(panel), "words": "surface and bed along a line", "wide": True}
    if isinstance(panel, Scatter):
        return {"svg": charts.scatter(panel), "words": f"{panel.y_label} against {panel.x_label}"}
    return {"svg": charts.bars(panel), "words": f"{panel.y_label}: {', '.join(panel.labels)}"}


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
