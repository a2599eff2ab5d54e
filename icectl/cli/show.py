"""What a terminal shows: data on stdout, messages on stderr, colour never alone carries meaning."""

import json
import logging
import shutil
import sys
import textwrap
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from icectl.errors import IcectlError, redact


def error(problem: IcectlError) -> None:
    """Print one sentence and, on a line of its own, the hint."""
    _stderr("error", problem.message, "red")
    if problem.hint:
        _stderr("hint", problem.hint, "cyan")


def warning(text: str) -> None:
    """Print one sentence that costs nothing but should be read."""
    _stderr("warning", text, "yellow")


def trace() -> None:
    """Print the traceback of the present error for ``--debug``, without the secrets that links carry."""
    print(redact(traceback.format_exc()), file=sys.stderr)


def _stderr(label: str, text: str, colour: str) -> None:
    from rich.console import Console
    from rich.text import Text

    line = Text(f"{label}:", style=f"bold {colour}") + Text(f" {redact(text)}", style="default")
    Console(stderr=True, soft_wrap=True, highlight=False).print(line)


def as_json(value: Any) -> None:
    """Print plain data as JSON on stdout."""
    from icectl.workspace import plain

    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=not unicode) + "\n")


def listing(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a plain listing on stdout; the last column wraps. No rich here: it would double start-up.

    On a terminal that is too narrow for the columns each row becomes a paragraph; in a pipe it stays a line.
    """
    heads = [list(columns)] if any(columns) else []
    cells = heads + [[str(cell) for cell in row] for row in rows]
    widths = [max((len(row[i]) for row in cells), default=0) for i in range(len(columns))]
    indent = sum(width + 2 for width in widths[:-1])
    width = shutil.get_terminal_size((0, 0)).columns
    shown = [title] if title else []
    if len(columns) > 2 and 0 < width < indent + min(LEAST, widths[-1]):
        paragraphs = (_paragraph(columns, row, width) for row in cells[len(heads) :])
        print("\n".join([*_cut(title, width), *paragraphs]))
        return
    room = max(LEAST, (width or 80) - indent)
    for row in cells:
        head = "".join(f"{cell:<{width}}  " for cell, width in zip(row[:-1], widths[:-1], strict=True))
        shown.append(f"\n{' ' * indent}".join(_wrapped(head, row[-1], room)).rstrip())
    print("\n".join(shown))


LEAST = 20
"""Characters that a wrapping column gets at least."""


def _paragraph(columns: Sequence[str], row: Sequence[str], width: int) -> str:
    """Return a row in lines of `width` characters: its first cells, then the others by their names."""
    named = 1 if columns[0] else 2  # a mark without a name stands before the first name
    lines = ["  ".join(row[:named])]
    for name, cell in zip(columns[named:], row[named:], strict=True):
        if cell:
            said = f"{name}: {cell}" if name else cell
            lines += _cut(said, width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def _cut(text: str, width: int, initial_indent: str = "", subsequent_indent: str = "") -> list[str]:
    cutter = textwrap.TextWrapper(
        width, initial_indent, subsequent_indent, break_on_hyphens=False, break_long_words=False
    )
    return cutter.wrap(text)


def _wrapped(head: str, text: str, room: int) -> list[str]:
    """Return `text` in lines of `room` characters, `head` before the first."""
    if len(text) <= room and "\n" not in text:  # wrapping a thousand rows takes its time
        return [head + text]
    first, *more = _cut(text, room) or [""]
    return [head + first, *more]


def metrics(record: Mapping[str, Any], everything: bool = False) -> None:
    """Print the verdict and the first table of a metrics record; all tables and notes with `everything`."""
    from rich.console import Console

    from icectl.report.tables import notes, verdict

    console = Console(highlight=False, soft_wrap=True)
    own = verdict(record)
    for said in record.get("details", {}).get("verdicts") or ([own] if own else []):
        console.print(said, markup=False, style="bold")
    intervals = record.get("details", {}).get("intervals", {})
    for table in record["tables"][: None if everything else 1]:
        columns, kinds = fitting(table, console.width)
        console.print(_metric_table(table, columns, intervals.get(table["title"], {}), kinds))
        left_out = len(table["columns"]) - len(columns)
        if left_out:
            console.print(f"({left_out} more columns with --json and in the report)", markup=False)
        for note in notes(table):
            console.print(note, markup=False)
        console.print()
    if everything:
        for note in record["notes"]:
            console.print(f"· {note}", markup=False)
    elif hidden := _hidden(record):
        console.print(f"({hidden} with --verbose and in the report)", markup=False)


def _hidden(record: Mapping[str, Any]) -> str:
    """Say how many tables and notes are not shown."""
    counts = (("table", len(record["tables"]) - 1), ("note", len(record["notes"])))
    return " and ".join(f"{n} more {word}{'s' if n > 1 else ''}" for word, n in counts if n > 0)


def fitting(table: Mapping[str, Any], width: int) -> tuple[list[Mapping[str, Any]], bool]:
    """Return the columns that fit into `width` characters, at least the primary, and whether kinds fit."""
    wanted = sorted(table["columns"], key=lambda column: column["key"] != table["primary"])
    names = max((len(row["name"]) for row in table["rows"]), default=0)
    first = max((len(_heading(column)) for column in wanted[:1]), default=0)
    kinds = width >= names + len("strongest baseline") + max(first, 10) + 6
    left = width - names - (len("strongest baseline") + 4 if kinds else 2)
    columns: list[Mapping[str, Any]] = []
    for column in wanted:
        left -= max(len(_heading(column)), 10) + 2
        if columns and left < 0:
            break
        columns.append(column)
    return [column for column in table["columns"] if column in columns], kinds


def _heading(column: Mapping[str, Any]) -> str:
    unit = f" [{column['unit']}]" if column["unit"] else ""
    return f"{column['label']}{unit}{_ARROWS.get(column['better'], '')}"


_ARROWS = {"lower": " ↓", "higher": " ↑"}


def _metric_table(
    table: Mapping[str, Any],
    columns: Sequence[Mapping[str, Any]],
    intervals: Mapping[str, Any],
    kinds: bool = True,
) -> Any:
    from rich.table import Table
    from rich.text import Text

    from icectl.report.tables import bar_of, decimals, kind_of, measured, number

    shown = Table(title=table["title"], title_justify="left", header_style="bold", box=None, pad_edge=False)
    shown.add_column("", no_wrap=kinds)
    if kinds:
        shown.add_column("kind", no_wrap=True)
    for column in columns:
        shown.add_column(Text(_heading(column)), justify="right", no_wrap=not kinds)
    best, places = bar_of(table), decimals(table, intervals)
    for row in table["rows"]:
        kind = kind_of(row, best).partition(",")[0]
        bounds = intervals.get(row["name"], {})
        exact = row["kind"] == "published"
        cells = [
            number(value) if exact else measured(value, bounds.get(c["key"]), places[c["key"]])
            for c in columns
            for value in [row["values"].get(c["key"])]
        ]
        name = Text(row["name"], style="bold" if row["kind"] == "model" else "default")
        shown.add_row(name, *([kind] if kinds else []), *cells)
    return shown


def say(text: str) -> None:
    """Tell the user something in one line on stderr."""
    logging.getLogger("icectl").info(redact(text))


def start_log(quiet: bool) -> None:
    """Send icectl's messages to stderr, one line each."""
    log = logging.getLogger("icectl")
    log.setLevel(logging.INFO)
    log.handlers = [_Lines(logging.WARNING if quiet else logging.INFO)]
    log.propagate = False


class _Lines(logging.Handler):
    """Writes to whatever sys.stderr is at that moment; warnings say so in words."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        print(f"{prefix}{record.getMessage()}", file=sys.stderr, flush=True)
