"""What a run took: time, memory, energy."""

from collections.abc import Mapping, Sequence
from typing import Any

View = dict[str, Any]


def total(meters: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Return the sum of a meter's figure over stages, or None where no stage has it."""
    values = [float(m[key]) for m in meters if isinstance(m.get(key), int | float)]
    return sum(values) if values else None


def energy(value: float) -> str:
    """Return kWh in words: watt hours below 0.1 kWh."""
    if value < 1e-6:
        return "< 0.001 Wh"
    return f"{value * 1000:.2g} Wh" if value < 0.1 else f"{value:.3g} kWh"


def duration(seconds: float | None) -> str:
    """Return seconds in words, e.g. ``2 h 5 min``.

    >>> duration(7512), duration(75), duration(2.34)
    ('2 h 5 min', '1 min 15 s', '2.3 s')
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.2g} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def cost_table(stages: Mapping[str, Mapping[str, Any]]) -> View:
    """Return what each stage took: time, memory, energy and what the energy figure rests on."""
    rows = []
    for verb, record in stages.items():
        meter = record.get("meter", {})
        rows.append(_cost_row(verb, [meter] if isinstance(meter, Mapping) else []))
    everything = [m for s in stages.values() if isinstance(m := s.get("meter"), Mapping)]
    if len(rows) > 1:
        rows.append(_cost_row("together", everything))
    heads = ("time", "peak memory [MB]", "GPU memory [MB]", "energy", "CO₂e [g]")
    return {
        "title": "What it cost",
        "notes": [] if rows else ["No stage has left a record."],
        "kind": "energy from",
        "heads": [{"label": h, "unit": "", "arrow": "", "primary": False} for h in heads],
        "rows": rows,
    }


def _cost_row(name: str, meters: Sequence[Mapping[str, Any]]) -> View:
    used, grams = total(meters, "energy_kwh"), total(meters, "co2e_g")
    texts = (
        duration(total(meters, "seconds")),
        _megabytes(meters, "peak_memory"),
        _megabytes(meters, "peak_device_memory"),
        "–" if used is None else energy(used),
        "–" if grams is None else _grams(grams),
    )
    sources = sorted({str(m["energy_source"]) for m in meters if m.get("energy_source")})
    cells = [{"text": text, "best": False, "interval": ""} for text in texts]
    return {"name": name, "kind": ", ".join(sources), "class": "", "note": "", "cells": cells}


def _grams(value: float) -> str:
    if value < 0.001:
        return "< 0.001"
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def _megabytes(meters: Sequence[Mapping[str, Any]], key: str) -> str:
    values = [m[key] for m in meters if isinstance(m.get(key), int | float)]
    return f"{max(values) / 1e6:,.0f}" if values else "–"
