"""One map as the template draws it: picture, overlay, frame; and the legends beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, num2date
from matplotlib.ticker import MaxNLocator

from icectl.report.colours import Scale, data_uri, encode
from icectl.report.layers import Raster, thin
from icectl.report.overlay import Stroke
from icectl.report.panels import Arrow
from icectl.report.scale import frame_of

View = dict[str, Any]


def picture(title: str, raster: Raster, scale: Scale, side: int, strokes: Sequence[Stroke]) -> View:
    """Return one map: its picture, what lies over it, and its frame."""
    rows, columns = raster.shape
    values = thin(raster.values, side)
    return {
        "title": title,
        "uri": data_uri(encode(values, scale)),
        "under": "",
        "rows": rows,
        "columns": columns,
        "coarse": max(values.shape) < 260,
        "strokes": strokes,
        "frame": frame_of(raster.grid, raster.shape, raster.metres, raster.cell),
        "scale": {"low": scale.low, "high": scale.high},
        "palette": scale.colours,
        "empty": bool(np.isnan(values).all()),
    }


def maps_of(view: Mapping[str, Any]) -> list[View]:
    """Return the maps of a figure as `picture` drew them: its own, and those of its moments."""
    drawn = [one for moment in view.get("moments", ()) for one in moment["maps"]]
    return [*drawn, view["map"]] if "map" in view else drawn


def legend(scale: Scale, unit: str, label: str) -> View:
    """Return a colour bar: a gradient, and ticks at round values (text and place in per cent)."""
    span = scale.high - scale.low
    at = [float(v) for v in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(scale.low, scale.high)]
    inside = [v for v in at if scale.low - 1e-9 * span <= v <= scale.high + 1e-9 * span]
    step = at[1] - at[0]
    ticks = [(number(v, step), 100 * (v - scale.low) / span) for v in inside]
    return {"colours": ", ".join(scale.hexes()), "ticks": ticks, "unit": unit, "label": label}


def date_legend(scale: Scale) -> View:
    """Return a colour bar of dates; `scale` is in days since 1970, as matplotlib counts."""
    first, last = (num2date(day) for day in (scale.low, scale.high))  # type: ignore[no-untyped-call]
    locator = AutoDateLocator(minticks=2, maxticks=5)  # type: ignore[no-untyped-call]
    days = locator.tick_values(first, last)  # type: ignore[no-untyped-call]
    at = [float(day) for day in days if scale.low <= day <= scale.high]
    words = ConciseDateFormatter(locator).format_ticks(at)  # type: ignore[no-untyped-call]
    places = [100 * (day - scale.low) / (scale.high - scale.low) for day in at]
    label = f"date, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return {
        "colours": ", ".join(scale.hexes()),
        "ticks": list(zip(words, places, strict=True)),
        "unit": "",
        "label": label,
    }


def number(value: float, step: float) -> str:
    """Return a tick's number with as many digits as tell ticks `step` apart.

    >>> number(0.25, 0.25), number(1500.0, 500.0), number(-2e-05, 1e-05)
    ('0.25', '1,500', '−2e-05')
    """
    if step < 1e-3:
        return f"{value:g}".replace("-", "−", 1) if value < 0 else f"{value:g}"
    digits = next(d for d in range(5) if d == 4 or abs(round(step, d) - step) < 1e-6 * step)
    return f"{value + 0.0:,.{digits}f}".replace("-", "−")


def arrow_key(arrows: Sequence[Arrow], gain: float, raster: Raster, unit: str = "") -> View | None:
    """Return how long an arrow of `arrows` of a round displacement is, in % of the map's width.

    Arrows are in pixels unless `unit` says otherwise.
    """
    if not arrows:
        return None
    frame = frame_of(raster.grid, raster.shape, raster.metres)
    longest = max(float(np.hypot(right, down)) for _, _, right, down in arrows)
    target = min(0.12 * raster.shape[1] / gain, longest)
    power = 10.0 ** np.floor(np.log10(max(target, 1e-9)))
    pixels = power * max(k for k in (1, 2, 5) if k * power <= target * (1 + 1e-9))
    ground = f" ({pixels * frame.metres:,.0f} m)" if frame.metres else ""
    label = f"{pixels:g} {unit}" if unit else f"{pixels:g} px{ground}"
    return {"width": 100 * pixels * gain / raster.shape[1], "label": label}
