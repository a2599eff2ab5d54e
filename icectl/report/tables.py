"""Result tables for the page: formatted numbers, intervals, the best value, the row to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KINDS = {
    "model": "model",
    "baseline": "baseline",
    "mark": "mark (no rival)",
    "published": "published",
}
PUBLISHED = "Published figures were measured on other data: marks to know, not rivals."
_ARROWS = {"lower": "↓", "higher": "↑"}


def table_view(table: Mapping[str, Any], intervals: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return one table of ``metrics.json`` ready to be shown.

    Parameters
    ----------
    table
        A table of the record: title, primary, note, columns, rows.
    intervals
        ``{row name: {column key: [low, high]}}``.
    """
    columns, rows = table.get("columns", []), table.get("rows", [])
    bar = bar_of(table)
    best = {c["key"]: _best(rows, c) for c in columns}
    shown = []
    for row in rows:
        bounds = (intervals or {}).get(row["name"], {})
        cells = [_cell(row, c, best[c["key"]], bounds.get(c["key"])) for c in columns]
        kind = KINDS.get(row["kind"], row["kind"])
        is_bar = bar is not None and row["name"] == bar["name"]
        shown.append(
            {
                "name": row["name"],
                "kind": f"{kind}: the bar" if is_bar else kind,
                "class": "bar" if is_bar else row["kind"],
                "note": row.get("note", ""),
                "cells": cells,
            }
        )
    heads = [
        {
            "label": c["label"],
            "unit": c.get("unit", ""),
            "arrow": _ARROWS.get(c.get("better", ""), ""),
            "primary": c["key"] == table.get("primary"),
        }
        for c in columns
    ]
    return {
        "title": table.get("title", ""),
        "notes": notes(table),
        "heads": heads,
        "rows": shown,
    }


def notes(table: Mapping[str, Any]) -> list[str]:
    """Return what is to be said below a table: its own note, and what published rows are."""
    published = any(row["kind"] == "published" for row in table.get("rows", []))
    return [*filter(None, [table.get("note")]), *([PUBLISHED] if published else [])]


def bar_of(table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the strongest baseline in the primary column: the row to beat."""
    key = table.get("primary")
    column = next((c for c in table.get("columns", []) if c["key"] == key), None)
    if column is None or not column.get("better"):
        return None
    rivals = [r for r in table["rows"] if r["kind"] == "baseline" and r["values"].get(key) is not None]
    sign = -1.0 if column["better"] == "higher" else 1.0
    return min(rivals, key=lambda r: sign * r["values"][key], default=None)


def headline(table: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the model's primary figure beside the bar: values, and by how many per cent it is better."""
    key, bar = table.get("primary"), bar_of(table)
    column = next((c for c in table.get("columns", []) if c["key"] == key), None)
    models = [r for r in table.get("rows", []) if r["kind"] == "model" and r["values"].get(key) is not None]
    if column is None or not models:
        return None
    own = models[0]
    found = {
        "label": column["label"],
        "unit": column.get("unit", ""),
        "name": own["name"],
        "value": number(own["values"][key]),
    }
    if bar is None or not bar["values"][key]:
        return found
    ratio = own["values"][key] / bar["values"][key]
    gain = (ratio - 1 if column["better"] == "higher" else 1 - ratio) * 100
    return {**found, "bar": bar["name"], "bar_value": number(bar["values"][key]), "gain": round(gain)}


def verdict(record: Mapping[str, Any]) -> str | None:
    """Say by how much the model is better than the strongest baseline, or worse, and how sure that is."""
    head = headline(record["tables"][0]) if record.get("tables") else None
    if head is None or "bar" not in head:
        return None
    words = f"{abs(head['gain'])} % {'better' if head['gain'] > 0 else 'WORSE'} than"
    gain = record.get("details", {}).get("gain")
    sure = f" (interval {round(gain[0]):+d} to {round(gain[1]):+d} %)" if gain else ""
    words = words if head["gain"] else "level with"
    return f"{head['name']} is {words} the strongest baseline, {head['bar']}{sure}"


def _best(rows: Sequence[Mapping[str, Any]], column: Mapping[str, Any]) -> float | None:
    """Return the best value among models and baselines."""
    values = [
        r["values"][column["key"]]
        for r in rows
        if r["kind"] in ("model", "baseline") and r["values"].get(column["key"]) is not None
    ]
    if not values or not column.get("better") or len(values) < 2:
        return None
    return float(max(values) if column["better"] == "higher" else min(values))


def _cell(
    row: Mapping[str, Any], column: Mapping[str, Any], best: float | None, bounds: Sequence[float] | None
) -> dict[str, Any]:
    value = row["values"].get(column["key"])
    rival = row["kind"] in ("model", "baseline")
    return {
        "text": number(value),
        "best": rival and best is not None and value == best,
        "interval": f"{number(bounds[0])} – {number(bounds[1])}" if bounds and len(bounds) == 2 else "",
    }


def number(value: Any) -> str:
    """Return a number with four significant digits, anything else as text, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if abs(value) < 1e-12:  # what rounding leaves of nothing
        return "0"
    if float(value).is_integer() and abs(value) < 1e15:
        text = f"{int(value):,}"
    else:
        text = f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return text.replace("-", "−")


def facts_view(facts: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Flatten a mapping of facts into lines ``(label, text)``; nested keys are joined by “›”."""
    if isinstance(facts, Mapping):
        lines: list[tuple[str, str]] = []
        for key, value in facts.items():
            label = f"{prefix} › {key}" if prefix else str(key)
            lines += facts_view(value, label.replace("_", " "))
        return lines
    if isinstance(facts, list | tuple):
        text = ", ".join(number(v) for v in facts[:12]) + (
            f" … ({len(facts)} in all)" if len(facts) > 12 else ""
        )
        return [(prefix, text or "–")]
    return [(prefix, number(facts))]
