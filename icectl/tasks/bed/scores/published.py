"""Published counts, areas and volumes of the regions that a prediction concerns, beside ours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from icectl.contract import Column, Row, Table
from icectl.settings import find, read_toml
from icectl.tasks.bed.readers.outlines import region_of

VOLUMES = (
    ("area", "area", "10³ km²", "area_1000km2"), ("mean", "mean thickness", "m", ""),
    ("coverage", "coverage", "%", "coverage_percent"), ("volume", "volume", "10³ km³", "volume_1000km3"),
    ("volume_error", "± volume", "10³ km³", "volume_error_1000km3"), ("sle", "sea level", "mm", "sle_mm"),
    ("sle_error", "± sea level", "mm", "sle_error_mm"),
    ("difference", "less Farinotti 2019", "%", "difference_percent"),
)  # fmt: skip
"""Key, label and unit of each column of volumes, and what it is called in Millan's table."""


def tables(rows: Sequence[Mapping[str, str]]) -> list[Table]:
    """Return RGI 6's counts and areas and Millan's columns of the regions of `rows`, ours in the first row.

    `rows` are those of a prediction's table; glaciers whose ids name no RGI region concern no region.
    """
    real = {f"{number:02d}" for number in range(1, 20)}
    regions = sorted({region_of(r["id"]) for r in rows if not r["note"]} & real)
    return [_inventory(regions, rows), _volumes(regions, rows)] if regions else []


def _ours(regions: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[tuple[str, dict[str, float]]]:
    found = []
    for region in regions:
        mine = [r for r in rows if not r["note"] and region_of(r["id"]) == region]
        sums = {c: sum(float(r[c]) for r in mine) for c in ("area_km2", "volume_km3", "sle_mm")}
        found.append((region, {**sums, "count": float(len(mine))}))
    return found


def _inventory(regions: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Table:
    source = read_toml(find("published", "maffezzoli2023"))
    made = [
        Row(name=f"predicted here, of region {region}", kind="model",
            values={"count": ours["count"], "area": ours["area_km2"]})
        for region, ours in _ours(regions, rows)
    ]  # fmt: skip
    made += [
        Row(name=f"{r['region']} {r['name']}", kind="published",
            values={"count": r["count"], "area": r["area_km2"]})
        for r in source["rgi6"]
        if r["region"] in regions
    ]  # fmt: skip
    columns = (
        Column(key="count", label="glaciers", better=""),
        Column(key="area", label="area", unit="km²", better=""),
    )
    title = "Randolph Glacier Inventory 6.0 (published)"
    return Table(title=title, columns=columns, rows=tuple(made), primary="area")


def _volumes(regions: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Table:
    source = read_toml(find("published", "millan2022"))
    made = [
        Row(name=f"predicted here, of region {region}", kind="model", values={
            "area": ours["area_km2"] / 1e3, "volume": ours["volume_km3"] / 1e3, "sle": ours["sle_mm"],
        })
        for region, ours in _ours(regions, rows)
    ]  # fmt: skip
    for one in source["volume"]:
        if set(one["regions"]) & set(regions):
            name = f"{', '.join(one['regions'])} {one['name']}"
            theirs = {key: one.get(column) for key, _, _, column in VOLUMES if column}
            made.append(Row(name=f"{name}: Millan 2022", kind="published", values=theirs))
            if one.get("difference_percent") is not None:
                consensus = one["volume_1000km3"] / (1 + one["difference_percent"] / 100)
                values = {"area": one.get("area_1000km2"), "volume": round(consensus, 3)}
                made.append(Row(name=f"{name}: Farinotti 2019", kind="published", values=values))
    for number, row in enumerate(made):
        area, volume = row.values.get("area"), row.values.get("volume")
        mean = 1e3 * volume / area if area and volume is not None else None
        made[number] = replace(row, values={**row.values, "mean": mean})
    columns = tuple(Column(key=key, label=label, unit=unit, better="") for key, label, unit, _ in VOLUMES)
    note = "Farinotti's volumes follow from Millan's and the difference that they state"
    return Table(
        title="Volumes by region (published)", columns=columns, rows=tuple(made), primary="volume", note=note
    )
