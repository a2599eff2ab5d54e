"""Result tables for the page and the terminal: digits, intervals, the best value, the strongest baseline."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from icectl.contract import strongest

KINDS = {
    "model": "model",
    "baseline": "baseline",
    "mark": "oracle (uses the answer)",
    "published": "published, not directly comparable",
}
PUBLISHED = "Published figures were measured on other data."
STRONGEST = "strongest baseline"
_ARROWS = {"lower": "↓", "higher": "↑"}


def table_view(table: Mapping[str, Any], intervals: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return one table of ``metrics.json`` ready to be shown.

    `table`: a table of the record: title, primary, note, columns, rows; `intervals`: ``{row name: {column
    key: [low, high]}}``.
    """
    columns, rows = table.get("columns", []), table.get("rows", [])
    bar = bar_of(table)
    best = {c["key"]: _best(rows, c) for c in columns}
    places = decimals(table, intervals)
    shown = []
    for row in rows:
        bounds = (intervals or {}).get(row["name"], {})
        cells = [_cell(row, c, best[c["key"]], bounds.get(c["key"]), places[c["key"]]) for c in columns]
        is_bar = bar is not None and row["name"] == bar["name"]
        shown.append(
            {
                "name": row["name"],
                "kind": kind_of(row, bar),
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
        "many": len(heads) > 6,
        "heads": heads,
        "rows": shown,
        "csv": "data:text/csv;charset=utf-8," + quote(as_csv(table, intervals)),
        "file": re.sub(r"\W+", "-", str(table.get("title", ""))).strip("-") + ".csv",
    }


def as_csv(table: Mapping[str, Any], intervals: Mapping[str, Any] | None = None) -> str:
    """Return a table as CSV with all digits; the ends of an interval are columns of their own."""
    text = io.StringIO()
    made, columns = csv.writer(text), table.get("columns", [])
    known = {key for bounds in (intervals or {}).values() for key in bounds}
    heads = [f"{c['label']} [{c['unit']}]" if c.get("unit") else c["label"] for c in columns]
    ends = [
        (h, f"{h} low", f"{h} high")[: 3 if c["key"] in known else 1]
        for h, c in zip(heads, columns, strict=True)
    ]
    made.writerow(["name", "kind", *(name for group in ends for name in group)])
    for row in table.get("rows", []):
        bounds = (intervals or {}).get(row["name"], {})
        cells = [
            [row["values"].get(c["key"]), *((bounds.get(c["key"]) or ("", ""))[: len(group) - 1])]
            for c, group in zip(columns, ends, strict=True)
        ]
        made.writerow([row["name"], row["kind"], *(value for cell in cells for value in cell)])
    return text.getvalue()


def kind_of(row: Mapping[str, Any], strongest: Mapping[str, Any] | None) -> str:
    """Return what a row is, in words."""
    is_strongest = strongest is not None and row["name"] == strongest["name"]
    return STRONGEST if is_strongest else KINDS.get(row["kind"], row["kind"])


def notes(table: Mapping[str, Any]) -> list[str]:
    """Return what is to be said below a table: its own note, and what published rows are."""
    published = any(row["kind"] == "published" for row in table.get("rows", []))
    return [*filter(None, [table.get("note")]), *([PUBLISHED] if published else [])]


def bar_of(table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the strongest baseline in the primary column: the row to beat."""
    key = table.get("primary")
    column = next((c for c in table.get("columns", []) if c["key"] == key), None)
    if column is None:
        return None
    baselines = [(row["values"].get(key), row) for row in table["rows"] if row["kind"] == "baseline"]
    return strongest(baselines, str(column.get("better", "")))


def headline(table: Mapping[str, Any], intervals: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Return the model's primary figure beside the bar: values, and by how many per cent it is better."""
    key, bar = table.get("primary"), bar_of(table)
    column = next((c for c in table.get("columns", []) if c["key"] == key), None)
    models = [r for r in table.get("rows", []) if r["kind"] == "model" and r["values"].get(key) is not None]
    if column is None or not models:
        return None
    own, known = models[0], intervals or {}

    def text(row: Mapping[str, Any]) -> str:
        bounds = known.get(row["name"], {}).get(key)
        return measured(row["values"][key], bounds, decimals(table, intervals)[str(key)])

    found = {
        "label": column["label"],
        "unit": column.get("unit", ""),
        "name": own["name"],
        "value": text(own),
    }
    if bar is None or not bar["values"][key]:
        return found
    ratio = own["values"][key] / bar["values"][key]
    gain = (ratio - 1 if column["better"] == "higher" else 1 - ratio) * 100
    return {**found, "bar": bar["name"], "bar_value": text(bar), "gain": round(gain)}


def verdict(record: Mapping[str, Any]) -> str | None:
    """Say by how much the model is better than the strongest baseline, or worse, and how sure that is.

    Where the interval of the gain spans zero, no difference is shown, and that is what is said.
    """
    head = headline(record["tables"][0]) if record.get("tables") else None
    if head is None or "bar" not in head:
        return None
    gain = record.get("details", {}).get("gain")
    words, tone = outcome(head["gain"], gain)
    rival = f"the {STRONGEST}, {head['bar']}"
    if tone == NEUTRAL and gain:
        return f"no difference shown between {head['name']} and {rival} ({interval_words(gain)})"
    sure = f" ({interval_words(gain)})" if gain else ""
    return f"{head['name']} is {words} {'with' if tone == NEUTRAL else 'than'} {rival}{sure}"


GOOD, BAD, NEUTRAL = "good", "bad", "neutral"


def outcome(percent: float, interval: Sequence[float] | None) -> tuple[str, str]:
    """Return a gain in words, and its tone: `GOOD`, `BAD`, or `NEUTRAL` where the interval spans zero.

    >>> outcome(28, [-48, 65]), outcome(16, [12, 20]), outcome(-2, None), outcome(0, None)
    (('no difference shown', 'neutral'), ('16 % better', 'good'), ('2 % worse', 'bad'), ('level', 'neutral'))
    """
    if interval is not None and interval[0] <= 0 <= interval[1]:
        return "no difference shown", NEUTRAL
    if not percent:
        return "level", NEUTRAL
    return f"{abs(percent)} % {'better' if percent > 0 else 'worse'}", GOOD if percent > 0 else BAD


def interval_words(gain: Sequence[float]) -> str:
    """Return the interval of a gain in words, e.g. ``interval −48 to +65 %``."""
    return f"interval {round(gain[0]):+d} to {round(gain[1]):+d} %".replace("-", "−")


def _best(rows: Sequence[Mapping[str, Any]], column: Mapping[str, Any]) -> float | None:
    values = [
        r["values"][column["key"]]
        for r in rows
        if r["kind"] in ("model", "baseline") and r["values"].get(column["key"]) is not None
    ]
    if not values or not column.get("better") or len(values) < 2:
        return None
    return float(max(values) if column["better"] == "higher" else min(values))


def _cell(
    row: Mapping[str, Any],
    column: Mapping[str, Any],
    best: float | None,
    bounds: Sequence[float] | None,
    places: int | None,
) -> dict[str, Any]:
    value = row["values"].get(column["key"])
    rival = row["kind"] in ("model", "baseline")
    known = bounds if bounds and len(bounds) == 2 else None
    return {
        "text": number(value) if row["kind"] == "published" else measured(value, known, places),
        "best": rival and best is not None and value == best,
        "interval": f"{measured(known[0], known)} – {measured(known[1], known)}" if known else "",
    }


def decimals(table: Mapping[str, Any], intervals: Mapping[str, Any] | None = None) -> dict[str, int | None]:
    """Return how many decimals values without an interval have in each column, so that a column is even.

    As many as most of the column's intervals allow; without any, three digits of the median value.
    """
    found: dict[str, int | None] = {}
    for column in table.get("columns", []):
        key = column["key"]
        bounds = [one[key] for one in (intervals or {}).values() if len(one.get(key) or ()) == 2]
        known = [places for one in bounds if (places := _decimals(one)) is not None]
        values = [r["values"].get(key) for r in table.get("rows", []) if r["kind"] != "published"]
        sizes = sorted(abs(v) for v in values if type(v) is float and abs(v) > 1e-12)
        if known:
            found[key] = max(set(known), key=known.count)
        elif sizes and not all(size.is_integer() for size in sizes):
            found[key] = min(max(2 - math.floor(math.log10(sizes[len(sizes) // 2])), 0), 6)
        else:
            found[key] = None
    return found


def _decimals(bounds: Sequence[float]) -> int | None:
    """Return the decimals that an interval allows: two digits of half its width."""
    if not 0 < bounds[1] - bounds[0] < math.inf:
        return None
    return min(max(1 - math.floor(math.log10((bounds[1] - bounds[0]) / 2)), 0), 6)


def measured(value: Any, bounds: Sequence[float] | None, places: int | None = None) -> str:
    """Return a number with as many decimals as its interval allows, or `places` where it has none.

    >>> measured(-0.0036, None, 1), measured(28.254, None, 1), measured(True, None, 1)
    ('0.0', '28.3', 'yes')
    >>> measured(4.44471, [1.2, 9.8]), measured(26.61, [26.55, 26.68]), measured(1234.5, [1000, 1500])
    ('4.4', '26.610', '1,234')
    """
    allowed = _decimals(bounds) if bounds else None
    shown = places if allowed is None else allowed
    if shown is None or isinstance(value, bool) or not isinstance(value, int | float):
        return number(value)
    return f"{round(value, shown) + 0.0:,.{shown}f}".replace("-", "−")


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


def agree(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> bool:
    """Tell whether two rows hold the same values, but for the last digits that sums in another order leave.

    >>> agree({"mse": 0.1}, {"mse": 0.1 + 1e-9}), agree({"mse": 0.1}, {"mse": 0.101})
    (True, False)
    """
    return one.keys() == other.keys() and all(
        a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-6))
        for a, b in ((one[key], other[key]) for key in one)
    )


def merged(
    records: Iterable[tuple[str, Mapping[str, Any]]],
    named: Callable[[str, str], str] = lambda row, model: row,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the tables of several models' metrics, one of each title, and the intervals of their rows.

    Every model has rows of its own, called ``named(row, model)``; any other row stands once. A baseline that
    came out differently was measured on other data: both rows are kept, the later one named after its model.
    """
    tables: dict[str, dict[str, Any]] = {}
    intervals: dict[str, dict[str, Any]] = {}
    order = {kind: place for place, kind in enumerate(KINDS)}
    for model, record in records:
        bounds = record.get("details", {}).get("intervals", {})
        for table in record.get("tables", []):
            title = table.get("title", "")
            rows = tables.setdefault(title, {**table, "rows": []})["rows"]
            for row in table.get("rows", []):
                name, again = row["name"], f"{row['name']} (as in "
                if row["kind"] == "model":
                    name = named(name, model)
                elif same := [r for r in rows if r["name"] == name or r["name"].startswith(again)]:
                    if row["kind"] == "published" or any(agree(r["values"], row["values"]) for r in same):
                        continue
                    name = f"{again}{model})"
                rows.append({**row, "name": name})
                if found := bounds.get(title, {}).get(row["name"]):
                    intervals.setdefault(title, {})[name] = found
    for table in tables.values():
        table["rows"].sort(key=lambda row: order.get(row["kind"], len(order)))
    return list(tables.values()), intervals
