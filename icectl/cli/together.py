"""Results of several models in one table: each model's rows by its own name, other rows once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from icectl import registry
from icectl.contract import Plugin


def named(record: Mapping[str, Any], plugin: Plugin) -> dict[str, Any]:
    """Return a record of metrics whose model's rows say which plugin they are of.

    A row that begins with the plugin's name keeps its words; where that name means another distribution's
    plugin, it is written in the long form. Any other row gets the name, before its own words where there
    are several.
    """
    whole = registry.typed(plugin)

    def name_of(row: str, rows: list[str]) -> str:
        if row.startswith(plugin.name):
            return whole + row.removeprefix(plugin.name)
        return whole if len(rows) == 1 else f"{whole}: {row}"

    tables, titles = [], {}
    for table in record["tables"]:
        rows = [row["name"] for row in table["rows"] if row["kind"] == "model"]
        names = titles[table["title"]] = {row: name_of(row, rows) for row in rows}
        shown = [
            {**row, "name": names[row["name"]]} if row["kind"] == "model" else row for row in table["rows"]
        ]
        tables.append({**table, "rows": shown})
    sure = {
        title: {titles.get(title, {}).get(row, row): bounds for row, bounds in found.items()}
        for title, found in record["details"].get("intervals", {}).items()
    }
    details = {**record["details"], **({"intervals": sure} if sure else {})}
    return {**record, "tables": tables, "details": details}


def merged(records: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one record: the first table of each, every model's rows, other rows once.

    Baselines are the same for all models of a task on the same data; where their values differ
    (a model left samples out) both rows are kept, the later one named after its model.
    """
    from icectl.report.tables import agree, verdict

    first = records[0]["tables"][0]
    rows: list[dict[str, Any]] = []
    intervals: dict[str, Any] = {}
    for record in records:
        table = record["tables"][0]
        sure = record["details"].get("intervals", {}).get(first["title"], {})
        model = next((r["name"] for r in table["rows"] if r["kind"] == "model"), "?")
        for row in table["rows"]:
            again = f"{row['name']} ({{}}'s samples)"
            names = {row["name"], *(again.format(r["name"]) for r in rows if r["kind"] == "model")}
            same = [r for r in rows if r["name"] in names]
            if same and (row["kind"] == "published" or any(agree(r["values"], row["values"]) for r in same)):
                continue
            name = again.format(model) if same else row["name"]
            rows.append({**row, "name": name})
            if row["name"] in sure:
                intervals[name] = sure[row["name"]]
    order = {"model": 0, "baseline": 1, "mark": 2, "published": 3}
    rows.sort(key=lambda row: order.get(row["kind"], 4))
    notes = dict.fromkeys(note for record in records for note in record["notes"])
    details: dict[str, Any] = {"verdicts": [said for record in records if (said := verdict(record))]}
    if intervals:
        details["intervals"] = {first["title"]: intervals}
    return {"tables": [{**first, "rows": rows}], "notes": list(notes), "details": details}
