"""Rows as Markdown tables, and the page of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TITLES = {
    "tool": ("Against other tools", "What people use today; the floor is 1 unless an issue asks for more."),
    "loop": (
        "Against a bare loop",
        "The same work written by hand: ours may cost little on top (0.97 training, 0.95 inference, 0.9 two "
        "processes), or has to be much faster where the loop is the naive one. No floor: for growth only.",
    ),
    "limit": ("Bounds", "Absolute limits; the ratio is limit / value."),
}

WHY = {
    "training_step": "One to three milliseconds of a step do not depend on the batch (draws keyed by sample, "
    "the log): they show in the smallest batches, and in all of inpaint-gan's, whose dropout is drawn so "
    "too.",
    "two_processes": "Gradients are exchanged once a step, whatever the batch: it shows in the smallest one.",
}
"""Why a benchmark misses a floor, and what the limit is, where that is known."""

Json = Mapping[str, Any]


def below(row: Json) -> bool:
    """Tell whether a row misses its floor."""
    return row["floor"] is not None and row["ratio"] is not None and row["ratio"] < row["floor"]


def table(rows: Sequence[Json]) -> list[str]:
    """Return the lines of one table; a row's first column is its benchmark, where it says so."""
    first = "benchmark" in rows[0] if rows else False
    head = ["benchmark"] * first + ["what", "against", "ours", "theirs", "ratio", "floor", ""]
    lines = [_line(head), _line(["---"] * (2 + first) + ["---:"] * 4 + ["---"])]
    for row in rows:
        note = " ".join(filter(None, ["**below**" if below(row) else "", row["note"]]))
        numbers = [_number(row["ours"], row["unit"]), _number(row["other"], row["unit"])]
        floor = "" if row["floor"] is None else f"{row['floor']:.3g}"
        cells = [row["name"], row["against"], *numbers, _number(row["ratio"]), floor, note]
        lines.append(_line([row["benchmark"], *cells] if first else cells))
    return lines


def page(results: Sequence[Json], failed: Sequence[str]) -> str:
    """Return all results as Markdown: other tools first, bare loops and bounds in tables of their own."""
    first = results[0]["machine"] if results else {}
    versions: dict[str, str] = {}
    for result in results:
        versions |= result["machine"]["versions"]
    minutes = sum(result.get("seconds", 0) for result in results) / 60
    dates = sorted({result["machine"]["date"] for result in results})
    rows = [{**row, "benchmark": result["name"]} for result in results for row in result["rows"]]
    parts = [
        "# Benchmarks",
        "",
        "Both sides are measured by turns in one run, so that a busy machine slows both; a ratio is the "
        "median of pairs, greater is better. Each row says how large the input was.",
        "",
        f"Measured {' to '.join(dict.fromkeys([*dates[:1], *dates[-1:]]))} by `make bench` on "
        f"{first.get('processor')}, {first.get('cores')} cores, Python {first.get('python')}; "
        f"{minutes:.0f} minutes in all. One of them alone: `python benchmarks/NAME.py`.",
        "",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) + ".",
        "",
    ]
    for kind, (title, words) in TITLES.items():
        parts += [f"## {title}", "", words, "", *table([r for r in rows if r["kind"] == kind]), ""]
    parts += _misses(rows)
    if failed:
        parts += ["## Did not run", "", *[f"- {name}" for name in failed], ""]
    return "\n".join(parts)


def _misses(rows: Sequence[Json]) -> list[str]:
    """List what is below its floor, and why."""
    found = [row for row in rows if below(row)]
    if not found:
        return []
    lines = []
    for row in found:
        what = f"- {row['benchmark']}, {row['name']}, against {row['against']}"
        lines.append(f"{what}: {row['ratio']:.3g} of {row['floor']:.3g}. {row['note']}".strip())
    names = dict.fromkeys(row["benchmark"] for row in found)
    reasons = [f"{name}: {WHY[name]}" for name in names if name in WHY]
    return ["## Below the floor", "", *lines, "", *(line for one in reasons for line in (one, ""))]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "–"
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{text} {unit}".strip()
