"""Curves, cross-sections, scatters and bars as SVG that takes its colours from the page (light or dark)."""

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from icectl.report.panels import Bars, CrossSection, Curve, Scatter, Series

SIZE = (5.4, 3.3)
"""Inches at 72 px: readable when the page is a phone's 360 px wide."""

# Stand-ins that are replaced by the page's own colours once the figure is drawn.
_STAND_INS = {
    "#010101": "var(--ink)",
    "#010102": "var(--rule)",
    "#010103": "var(--truth)",
    "#010104": "var(--prediction)",
    "#010105": "var(--baseline)",
    "#010106": "var(--other-1)",
    "#010107": "var(--other-2)",
    "#010108": "var(--other-3)",
    "#010109": "var(--other-4)",
    "#01010a": "var(--ice)",
    "#01010b": "var(--rock)",
    "#01010c": "var(--paper)",
}
INK, RULE, TRUTH, PREDICTION, BASELINE = tuple(_STAND_INS)[:5]
OTHERS = tuple(_STAND_INS)[5:9]
ICE, ROCK, PAPER = tuple(_STAND_INS)[9:]
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 3)))
_MARKS = "osD^vP"
MOST_POINTS = 4000

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "icectl",
    "font.size": 9.5,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.limits": (-3, 5),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "date.converter": "concise",
}


def _drawn(draw: Callable[[Axes], None], size: tuple[float, float] = SIZE) -> str:
    """Let `draw` fill an axes and return the SVG element."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(buffer.getvalue())


def _for_page(svg: str) -> str:
    """Strip the XML head, use the page's colours and fonts, and make ids unique on the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg[^>]*viewBox="([^"]+)"[^>]*>',
        r'<svg viewBox="\1" class="chart" aria-hidden="true">',
        svg,
        count=1,
    )
    for stand_in, colour in _STAND_INS.items():
        svg = svg.replace(stand_in, colour)
    prefix = f"c{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = svg.replace('xlink:href="#', f'href="#{prefix}').replace("url(#", f"url(#{prefix}")
    return re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", svg).strip()


def _floats(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def curve(panel: Curve) -> str:
    """Return the SVG of a `Curve`."""

    def draw(axes: Axes) -> None:
        baselines = iter(cycle(zip(_DASHES[1:], _MARKS, strict=False)))
        others = zip(cycle(OTHERS), cycle(_DASHES), cycle(_MARKS), strict=False)
        for series in panel.series:
            if series.role == "other":
                colour, dash, mark = next(others)
            else:
                colour = {"truth": TRUTH, "prediction": PREDICTION, "baseline": BASELINE}[series.role]
                dash, mark = next(baselines) if series.role == "baseline" else ("-", "o")
            _line(axes, panel, series, colour, dash, mark)
        axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
        if panel.log_y:
            axes.set_yscale("log")
        if panel.dates:
            locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        elif all(float(v).is_integer() for s in panel.series for v in s.x if not isinstance(v, str)):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if len(panel.series) > 1:
            axes.figure.legend(loc="outside upper left", ncols=columns)

    columns = _columns([series.label for series in panel.series])
    return _drawn(draw, (SIZE[0], SIZE[1] + 0.24 * len(panel.series) / columns))


def _columns(labels: Sequence[str]) -> int:
    """Return how many columns of a legend fit into the width of a chart, three at most."""
    longest = max(map(len, labels), default=0) + 8  # its line, and the gap to the next
    return max(1, min(2 if len(labels) < 7 else 3, 74 // longest))


def _line(axes: Axes, panel: Curve, series: Series, colour: str, dash: Any, mark: str) -> None:
    x: Any = (
        [datetime.fromisoformat(str(v)[:10]) for v in series.x]
        if panel.dates
        else _floats([float(v) for v in series.x])
    )
    y = _floats(series.y)
    marked = series.points or len(y) <= 12
    axes.plot(
        x,
        y,
        color=colour,
        linestyle="none" if series.points else dash,
        marker=mark if marked else None,
        markersize=4,
        label=_plain(series.label),
        zorder=3 if series.role == "prediction" else 2,
    )
    if series.low and series.high:
        axes.fill_between(x, _floats(series.low), _floats(series.high), color=colour, alpha=0.18, linewidth=0)


def _plain(text: str) -> str:
    """Keep matplotlib from taking a label that starts with an underscore for a hidden one."""
    return text.lstrip("_") or " "


def cross_section(panel: CrossSection) -> str:
    """Return the SVG of a `CrossSection`: rock below the bed, ice between bed and surface."""

    def draw(axes: Axes) -> None:
        unit, word = (1000.0, "km") if panel.distance and max(panel.distance) >= 3000 else (1.0, "m")
        x = np.asarray(panel.distance) / unit
        surface, bed = _floats(panel.surface), _floats(panel.bed)
        measured = _floats(panel.measured_bed)
        everything = np.concatenate([surface, bed, _floats(panel.truth), measured])
        everything = everything[np.isfinite(everything)]
        low, high = (everything.min(), everything.max()) if everything.size else (0.0, 1.0)
        floor = low - 0.12 * max(high - low, 1.0)
        axes.fill_between(x, floor, bed, color=ROCK, linewidth=0)
        axes.fill_between(x, bed, surface, color=ICE, linewidth=0)
        axes.plot(x, surface, color=INK, linewidth=1.2, label="surface")
        axes.plot(x, bed, color=PREDICTION, label="bed, predicted")
        if panel.truth:
            axes.plot(x, _floats(panel.truth), color=TRUTH, linestyle=(0, (5, 2)), label="bed, true")
        if panel.measured_distance:
            errors = _floats(panel.measured_error) if panel.measured_error else None
            axes.errorbar(
                np.asarray(panel.measured_distance) / unit,
                measured,
                yerr=errors,
                fmt="o",
                markersize=3.5,
                elinewidth=0.8,
                color=TRUTH,
                label="bed, measured",
            )
        axes.set(xlabel=f"distance ({word})", ylabel="elevation (m)", ylim=(floor, None))
        axes.margins(x=0)
        axes.figure.legend(loc="outside upper left", ncols=2)

    return _drawn(draw, (6.2, 3.4))


def scatter(panel: Scatter) -> str:
    """Return the SVG of a `Scatter`; very many points become a thinned sample."""

    def draw(axes: Axes) -> None:
        x, y = _floats(panel.x), _floats(panel.y)
        valid = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        shown = valid
        if valid.size > MOST_POINTS:
            shown = np.random.default_rng(0).choice(valid, MOST_POINTS, replace=False)
        axes.scatter(x[shown], y[shown], s=7, color=PREDICTION, alpha=0.35, linewidths=0)
        if valid.size:
            ends = (min(x[valid].min(), y[valid].min()), max(x[valid].max(), y[valid].max()))
            axes.plot(ends, ends, color=INK, linewidth=1, linestyle=(0, (5, 2)))
        axes.set(xlabel=_plain(panel.x_label), ylabel=_plain(panel.y_label))
        axes.set_aspect("equal", adjustable="datalim")

    return _drawn(draw, (4.4, 4.0))


FEWEST_BARS = 5
"""Bars, or groups of them, that a panel has room for at the least."""


def bars(panel: Bars) -> str:
    """Return the SVG of `Bars`."""

    def draw(axes: Axes) -> None:
        width = 0.8 / max(len(panel.series), 1)
        places = np.arange(len(panel.labels))
        colours = [PREDICTION, BASELINE, *OTHERS]
        for number, (label, values) in enumerate(panel.series.items()):
            shift = (number - (len(panel.series) - 1) / 2) * width
            colour = colours[number % len(colours)]
            axes.bar(places + shift, _floats(values), width * 0.92, color=colour, label=_plain(label))
        crowded = sum(len(label) for label in panel.labels) > 45
        axes.set_xticks(places, [_plain(label) for label in panel.labels], rotation=45 if crowded else 0)
        if crowded:
            for tick in axes.get_xticklabels():
                tick.set_horizontalalignment("right")
                tick.set_rotation_mode("anchor")
        room = max(0, FEWEST_BARS - len(places)) / 2  # a single bar shall not fill the panel
        axes.set_xlim(-0.5 - room, len(places) - 0.5 + room)
        axes.set_ylabel(_plain(panel.y_label))
        axes.grid(visible=False, axis="x")
        if len(panel.series) > 1:
            axes.figure.legend(loc="outside upper left", ncols=3)

    return _drawn(draw)
