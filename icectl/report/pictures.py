"""One map as the template draws it: picture, overlay, frame; and the legends beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from icectl.report.colours import Scale, data_uri, encode
from icectl.report.layers import Raster, thin
from icectl.report.overlay import Stroke
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
        "frame": frame_of(raster.grid, raster.shape),
        "scale": {"low": scale.low, "high": scale.high},
        "palette": scale.colours,
        "empty": bool(np.isnan(values).all()),
    }


def legend(scale: Scale, unit: str, label: str) -> View:
    """Return a colour bar: a gradient and five ticks."""
    ticks = [number(v, scale.high - scale.low) for v in np.linspace(scale.low, scale.high, 5)]
    return {"colours": ", ".join(scale.hexes()), "ticks": ticks, "unit": unit, "label": label}


def number(value: float, span: float) -> str:
    """Return a tick's number with as many digits as its scale needs."""
    digits = 0 if span >= 20 else 1 if span >= 4 else 2
    text = f"{value + 0.0:,.{digits}f}" if span >= 0.1 else f"{value:.2g}"
    return text.replace("-", "−")


def arrow_key(arrows: Sequence[Any], gain: float, stacks: Sequence[dict[str, Raster]]) -> View | None:
    """Return how long an arrow of a round displacement is, in per cent of the map's width."""
    if not arrows:
        return None
    raster = next(r for s in stacks for r in s.values())
    frame = frame_of(raster.grid, raster.shape)
    target = 0.12 * raster.shape[1] / gain
    power = 10.0 ** np.floor(np.log10(max(target, 1e-9)))
    pixels = power * max(k for k in (1, 2, 5) if k * power <= target * (1 + 1e-9))
    ground = f" ({pixels * frame.metres:,.0f} m)" if frame.metres else ""
    return {"width": 100 * pixels * gain / raster.shape[1], "label": f"{pixels:g} px{ground}"}
