"""What the report draws of a front run: images with lines, errors over time, reliability, and series."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from affine import Affine

from icectl.report.panels import Bars, Curve, ImageLines, Layer, Lines, Map, Picture, Role, Series, pack
from icectl.run import Run
from icectl.tasks.front.dataset import UNNAMED, Entry, FrontData
from icectl.tasks.front.files.gis import to_map
from icectl.tasks.front.files.records import Record, lines_in
from icectl.tasks.front.line.doubt_tables import is_right
from icectl.tasks.front.line.length import length_series, reference_of
from icectl.tasks.front.line.lines import Line
from icectl.tasks.front.line.reliability import reliability_curve
from icectl.tasks.front.metrics import FrontError
from icectl.tasks.front.options import EvaluateOptions
from icectl.tasks.front.pose.frame import Frame, frame_of, metres_per_pixel

MAX_SHOWN = 40
"""Most images shown; the worst and the best are always among them."""


def figures(
    run: Run,
    data: FrontData,
    entries: Sequence[Entry],
    records: Mapping[str, Record],
    errors: Mapping[str, FrontError],
    options: EvaluateOptions,
) -> list[dict[str, Any]]:
    """Return packed panels."""
    frames = tuple(_picture(entry, records[entry.id], errors[entry.id]) for entry in _chosen(entries, errors))
    drawn: list[Any] = [ImageLines(title="Fronts", frames=frames, note="worst images first")]
    drawn.append(_error_bars(run.plugin.name, entries, errors))
    drawn.append(reliability(entries, errors, records))
    drawn += fronts_by_date(data, records)
    drawn += length_curves(data, records, options.length_method)
    return pack(drawn, run.out)


def _chosen(entries: Sequence[Entry], errors: Mapping[str, FrontError]) -> list[Entry]:
    """Return images from the worst to the best, thinned to `MAX_SHOWN`."""
    ordered = sorted(entries, key=lambda e: -_mean(errors[e.id]))
    step = max(1, -(-len(ordered) // MAX_SHOWN))
    return ordered[::step]


def _mean(error: FrontError) -> float:
    return float(error.pooled.mean()) if len(error.pooled) else float("inf")


def _picture(entry: Entry, record: Record, error: FrontError) -> Picture:
    lines = [Lines(label="labelled", role="truth", pixels=pixels_of(entry.lines or ()))]
    lines.append(Lines(label="predicted", role="prediction", pixels=pixels_of(lines_in(record))))
    score = f"{_mean(error):.2f} px" if len(error.pooled) else error.status
    return Picture(
        label=f"{entry.id} · {score}",
        image=Layer(file=entry.file, metres=entry.resolution),
        lines=tuple(lines),
        note="; ".join(record["notes"]),
    )


def _error_bars(model: str, entries: Sequence[Entry], errors: Mapping[str, FrontError]) -> Bars:
    years = sorted({e.facts.get("year", "?") for e in entries})
    means = []
    for year in years:
        own = [_mean(errors[e.id]) for e in entries if e.facts.get("year", "?") == year]
        found = [value for value in own if value != float("inf")]
        means.append(sum(found) / len(found) if found else None)
    return Bars(
        title="Mean distance by year", labels=tuple(years), series={model: tuple(means)}, y_label="px"
    )


def reliability(
    entries: Sequence[Entry], errors: Mapping[str, FrontError], records: Mapping[str, Record]
) -> Curve:
    """Return how often fronts are right against how sure the network was of them."""
    sure = [max((f["confidence"] for f in records[e.id]["fronts"]), default=0.0) for e in entries]
    right = np.array([is_right(errors[e.id]) for e in entries], bool)
    curve = reliability_curve(np.array(sure), right)
    x = tuple(round(mean, 4) for mean, _, _ in curve)
    ideal = Series(label="as stated", x=x, y=x, role="truth")
    own = Series(
        label="observed", x=x, y=tuple(share for _, share, _ in curve), role="prediction", points=True
    )
    return Curve(
        title="Share of right fronts by confidence",
        series=(ideal, own),
        y_label="share right",
        x_label="confidence",
        note="right: within 500 m in the mean; images: " + ", ".join(str(count) for _, _, count in curve),
    )


MAX_GLACIERS = 12
"""Most glaciers that a page shows over time."""


def _glaciers(data: FrontData) -> Iterator[tuple[str, list[Entry]]]:
    """Yield the glaciers of most dates, by name, each with its dated images in order of time."""
    dated: dict[str, list[Entry]] = {}
    for entry in sorted((e for e in data.entries if e.dated), key=lambda e: e.time):
        dated.setdefault(entry.glacier, []).append(entry)
    many = sorted(dated.items(), key=lambda item: -len(item[1]))[:MAX_GLACIERS]
    yield from sorted(many)


def fronts_by_date(data: FrontData, records: Mapping[str, Record]) -> list[Map]:
    """Return a map for each glacier with fronts of two dates or more, over its latest image with one."""
    maps = []
    for glacier, own in _glaciers(data):
        found = [e for e in own if e.id in records and records[e.id]["fronts"]]
        if len({e.time.date() for e in found}) < 2:
            continue
        base, lines = found[-1], list[Lines]()
        for entry in found:
            moved = (onto(base, entry, line) for line in lines_in(records[entry.id]))
            seen = [line for line in moved if line is not None and _touches(line, base.shape)]
            if seen:
                pixels = pixels_of(seen)
                lines.append(Lines(label="fronts", pixels=pixels, date=entry.time.date().isoformat()))
        away = len(found) - len(lines)
        note = f"{len(lines)} of {len(own)} dates, over the image of {base.time:%Y-%m-%d}"
        note += f"; {away} lie outside this image, or on another grid without a CRS" if away else ""
        image = Layer(file=base.file, metres=base.resolution)
        maps.append(
            Map(title=_title("Fronts by date", glacier), layer=image, colours="grey", lines=lines, note=note)
        )
    return maps


def pixels_of(lines: Sequence[Line]) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return (column, row) polylines."""
    return tuple(tuple((float(c), float(r)) for r, c in line) for line in lines)


def _title(what: str, glacier: str) -> str:
    return what if glacier == UNNAMED else f"{what}: {glacier}"


def onto(base: Entry, entry: Entry, line: Line) -> Line | None:
    """Return a line of `entry` in (row, column) of `base`; None where nothing tells how the two lie."""
    if entry.place is None or base.place is None:
        return line if entry.place is base.place and entry.shape == base.shape else None
    if entry.place == base.place:
        return line
    columns, rows = ~Affine(*base.place.transform) @ tuple(to_map(line, entry.place, base.place.crs).T)
    return np.stack([rows, columns], axis=1) - 0.5


def _touches(line: Line, shape: tuple[int, int]) -> bool:
    return bool(((line >= -0.5) & (line <= np.array(shape) - 0.5)).all(axis=1).any())


def length_curves(
    data: FrontData, records: Mapping[str, Record], method: str, labelled: bool = True
) -> list[Curve]:
    """Return a curve of relative length for each glacier with two dates or more, in metres where known."""
    curves = []
    for glacier, own in _glaciers(data):
        fronts = {e.id: records[e.id]["fronts"] for e in own if e.id in records and records[e.id]["fronts"]}
        drawn = {
            "labelled": [(e, e.lines[0]) for e in own if labelled and e.lines],
            "predicted": [(e, lines_in(records[e.id])[0]) for e in own if e.id in fronts],
        }
        known = next((dated for dated in drawn.values() if len(dated) > 1), None)
        if known is None:
            continue
        ground = Ground(known[0][0])
        moved = {
            label: [(entry.time, on) for entry, line in dated if (on := ground(entry, line)) is not None]
            for label, dated in drawn.items()
        }
        reference = reference_of([line for _, line in moved["labelled"] or moved["predicted"]], ground.flow)
        if reference is None:
            continue
        values = {label: length_series(dated, reference, method) for label, dated in moved.items()}
        doubtful = {e.time for e in own if e.id in fronts and fronts[e.id][0]["doubt"]}
        values["in doubt"] = [one for one in values["predicted"] if one[0] in doubtful]
        values["predicted"] = [one for one in values["predicted"] if one[0] not in doubtful]
        series = tuple(
            Series(
                label=label,
                x=tuple(f"{time:%Y-%m-%d}" for time, _ in dated),
                y=tuple(round(value * ground.metres, 3) for _, value in dated),
                role=ROLES[label],
                points=True,
            )
            for label, dated in values.items()
            if dated
        )
        note = f"positive is advance; method: {method}"
        note += "; predicted is every date, those trained on too" if labelled else ""
        note += "" if ground.flow is not None else "; no direction of flow is known: the sign is a choice"
        title = _title("Change of length", glacier)
        curves.append(Curve(title=title, series=series, y_label=ground.unit, dates=True, note=note))
    return curves


ROLES: dict[str, Role] = {"labelled": "truth", "predicted": "prediction", "in doubt": "other"}


class Ground:
    """One square grid for all images of a glacier: the pixels of one of them, in metres where known."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.frame: Frame | None = frame_of(entry.place, entry.shape, entry.resolution)
        side = metres_per_pixel(self.frame)
        self.metres, self.unit = (side, "m") if side is not None else (1.0, "px")
        self.flow = None if entry.flow is None else entry.flow % 360

    def __call__(self, entry: Entry, line: Line) -> Line | None:
        """Return a line of one image as (row, column) on the ground, north up, one unit a pixel's side."""
        on = onto(self.entry, entry, line)
        if on is None or self.frame is None:
            return on
        east, north = self.frame @ on[:, ::-1].T / self.metres
        return np.stack([-north, east], axis=1)
