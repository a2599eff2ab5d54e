"""Published counts, areas and volumes, printed beside ours."""

from __future__ import annotations

from icectl.contract import Column, Row, Table
from icectl.settings import find, read_toml


def tables(region: str | None) -> list[Table]:
    """Return RGI 6's counts and areas and Millan's volumes: of one region and the world, or of all
    regions.
    """
    return [_inventory(region), _volumes(region)]


def _inventory(region: str | None) -> Table:
    source = read_toml(find("published", "maffezzoli2023"))
    wanted = None if region is None else {"00", region.zfill(2)}
    rows = [
        Row(
            name=f"{r['region']} {r['name']}",
            kind="published",
            values={"count": r["count"], "area": r["area_km2"]},
        )
        for r in source["rgi6"]
        if wanted is None or r["region"] in wanted
    ]
    columns = (
        Column(key="count", label="glaciers", better=""),
        Column(key="area", label="area", unit="km²", better=""),
    )
    return Table(
        title="Randolph Glacier Inventory 6.0 (published)", columns=columns, rows=tuple(rows), primary="area"
    )


def _volumes(region: str | None) -> Table:
    source = read_toml(find("published", "millan2022"))
    keys = ("volume_1000km3", "volume_error_1000km3", "sle_mm", "sle_error_mm")
    rows = [
        Row(
            name=f"{', '.join(r['regions'])} {r['name']}".strip(),
            kind="published",
            values={k: r.get(k) for k in keys},
        )
        for r in source["volume"]
        if region is None or region.zfill(2) in r["regions"] or not r["regions"]
    ]
    columns = tuple(
        Column(key=k, label=n, unit=u, better="")
        for k, n, u in zip(
            keys,
            ("volume", "± volume", "sea level", "± sea level"),
            ("10³ km³", "10³ km³", "mm", "mm"),
            strict=True,
        )
    )
    return Table(
        title="Volumes of Millan et al. 2022 (published)",
        columns=columns,
        rows=tuple(rows),
        primary="volume_1000km3",
    )
