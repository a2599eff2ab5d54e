"""Results of several models in one table: each model's rows by its own name, other rows once."""

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
    """Return one record: the first table of each, every model's rows, other rows once."""
    from icectl.report.tables import merged as merged_tables
    from icectl.report.tables import verdict

    models = [next((r["name"] for r in o["tables"][0]["rows"] if r["kind"] == "model"), "?") for o in records]
    title = records[0]["tables"][0]["title"]
    firsts = [{**one, "tables": [{**one["tables"][0], "title": title}]} for one in records]
    tables, intervals = merged_tables(zip(models, firsts, strict=True))
    notes = dict.fromkeys(note for record in records for note in record["notes"])
    details = {"verdicts": [said for record in records if (said := verdict(record))]}
    return {
        "tables": tables,
        "notes": list(notes),
        "details": details | ({"intervals": intervals} if intervals else {}),
    }
