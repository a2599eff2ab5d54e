"""Products: COGs of each glacier, one table, the outlines with their numbers, or a filled elevation model."""

import csv
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from icectl.arrays import F32, F64, Array
from icectl.errors import DataError
from icectl.raster import Grid, ground_areas, warp, write_cog, write_vectors
from icectl.run import Run
from icectl.tasks.bed.readers.dem import Terrain
from icectl.tasks.bed.readers.outlines import Outlines, region_of
from icectl.tasks.bed.thickness.physics import sea_level
from icectl.tasks.bed.thickness.solve import Scene, Thickness

TABLE, REGIONS, FILLED = "table.csv", "regions.csv", "filled.tif"
LAYERS = ("bed", "thickness", "low", "high")
OTHERS = (
    "inpaint", "biharmonic", "harmonic", "inverse distance", "plasticity", "mass conservation",
    "velocity inversion", "law alone", "no ice",
)  # fmt: skip
"""Other answers whose volume stands in the table."""

NUMBERS = (
    "area_km2", "volume_km3", "volume_low_km3", "volume_high_km3", "mean_m", "max_m",
    "below_sea_km3", "sle_mm",
)  # fmt: skip
COLUMNS = ("id", *NUMBERS, *(f"{name.replace(' ', '_')}_km3" for name in OTHERS), "note")
PRIOR_ONLY = (
    "no real glacier of known thickness was learnt from, so the thickness is that of mass conservation"
)


def write(run: Run, chosen: Outlines) -> list[Path]:
    """Write the outlines with their numbers and the sums by region beside the table, and say the sum."""
    rows = {r["id"]: r for r in read_table(run.out)}
    kept = [i for i, n in enumerate(chosen.ids) if n in rows and not rows[n]["note"]]
    data = {c: [_number(rows[chosen.ids[i]][c]) for i in kept] for c in COLUMNS if c != "note"}
    frame = gpd.GeoDataFrame(data, geometry=[chosen.geometries[i] for i in kept], crs=chosen.crs)
    write_vectors(run.out / "glaciers.gpkg", frame, layer="glaciers")
    done = [r for r in rows.values() if not r["note"]]
    sums = by_region(done)
    with (run.out / REGIONS).open("w", newline="") as file:
        table = csv.DictWriter(file, sums[""])
        table.writeheader()
        table.writerows(sums.values())
    total, low, high, area, sea = (
        sums[""][c] for c in ("volume_km3", "volume_low_km3", "volume_high_km3", "area_km2", "sle_mm")
    )
    run.say(
        f"{len(kept)} glacier{'s' * (len(kept) != 1)}, {area:.4g} km²: {total:.4g} km³ of ice "
        f"({low:.4g} to {high:.4g}), {sea:.3g} mm of sea level"
    )
    run.notes["volume"] = {
        "km3": total, "low": low, "high": high, "area_km2": area, "sle_mm": sea, "glaciers": len(kept),
    }  # fmt: skip
    return [run.out / TABLE, run.out / "glaciers.gpkg"]


def by_region(rows: list[dict[str, str]]) -> dict[str, dict[str, Any]]:
    """Return sums, mean and greatest thickness of the glaciers of each RGI region, and of all as ``""``.

    Bounds add up, as if all errors were one.
    """
    names = sorted({region_of(r["id"]) for r in rows} - {""})
    made = {}
    for region in [*names, ""]:
        mine = [r for r in rows if region in ("", region_of(r["id"]))]
        one = {c: float(f"{sum(float(r[c]) for r in mine):.6g}") for c in NUMBERS}
        one["mean_m"] = round(1e3 * one["volume_km3"] / one["area_km2"], 2)
        one["max_m"] = max(float(r["max_m"]) for r in mine)
        made[region] = {"region": region or "all", "glaciers": len(mine), **one}
    return made


def write_glacier(place: Path, name: str, scene: Scene, terrain: Terrain, made: Thickness) -> None:
    """Write the layers of one glacier on the elevation model's own grid."""
    place.mkdir(parents=True, exist_ok=True)
    tags = {"glacier": name, "units": "m"}
    values = {
        "bed": np.where(scene.ice, scene.heights - made.thickness, scene.heights),
        **{n: np.where(scene.ice, getattr(made, n), np.nan) for n in LAYERS[1:]},
    }
    for layer, array in values.items():
        path = place / f"{layer}.tif"
        write_cog(path, _native(array, terrain), terrain.native, tags=tags, descriptions=[layer])
    names = [n for n in (*OTHERS, "inpaint spread") if n in made.others and n != "no ice"]
    stack = np.stack([_native(np.where(scene.ice, made.others[n], np.nan), terrain) for n in names])
    write_cog(place / "others.tif", stack, terrain.native, tags=tags, descriptions=names)


def write_filled(run: Run, terrain: Terrain, known: F32, ground: F64, spread: F64 | None) -> None:
    """Write the filled ground, with what was filled and, where there is one, the spread of the fill.

    `known`: heights (m) on the grid of the file, which stay as they are; NaN where they are to be filled.
    `ground`, `spread`: heights and their standard deviation (m) on the metric grid.
    """
    hidden = ~np.isfinite(known)
    layers = {"elevation": np.where(hidden, _native(ground, terrain), known), "filled": hidden}
    if spread is not None:
        layers["spread"] = np.where(hidden, _native(spread, terrain), 0)
    stack = np.stack([layer.astype(np.float32) for layer in layers.values()])
    write_cog(run.out / FILLED, stack, terrain.native, tags={"units": "m"}, descriptions=list(layers))
    area = float(ground_areas(terrain.native)[hidden].sum()) / 1e6
    run.say(f"{int(hidden.sum()):,} pixels ({area:.4g} km²) of {terrain.name} filled")
    run.notes["filled"] = {"pixels": int(hidden.sum()), "area_km2": area}


def row_of(made: Thickness, scene: Scene, grid: Grid) -> dict[str, Any]:
    """Return a glacier's numbers by column; areas are those on the ground.

    The area is the outline's: pixels of 40 m are up to 4 % off it. The volume is that of the pixels, which
    is a tenth as far off, since ice is thin at the margin.
    """
    pixel = ground_areas(grid) / 1e9
    volume = float((made.thickness * pixel).sum())
    area = scene.area or float(pixel[scene.ice].sum()) * 1e3
    bed = np.where(scene.ice, scene.surface - made.thickness, 0.0)
    below = float((np.minimum(np.maximum(-bed, 0.0), made.thickness) * pixel).sum())
    others = {
        f"{n.replace(' ', '_')}_km3": (made.others[n] * pixel).sum() for n in OTHERS if n in made.others
    }
    numbers = {
        "area_km2": area, "volume_km3": volume, "volume_low_km3": volume / made.factor,
        "volume_high_km3": volume * made.factor, "below_sea_km3": below, "sle_mm": sea_level(volume - below),
        **others,
    }  # fmt: skip
    rounded = {n: float(f"{value:.6g}") for n, value in numbers.items()}
    mean, greatest = 1e3 * volume / area, float(made.thickness.max())
    return {**rounded, "mean_m": round(mean, 2), "max_m": round(greatest, 2)}


def read_table(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a prediction's table."""
    path = folder / TABLE
    if not path.is_file():
        raise DataError(f"{folder} holds no prediction", "run `icectl predict inpaint-gan` first")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def place_of(name: str) -> str:
    """Return the folder's name of a glacier."""
    return "".join(c if c.isalnum() or c in "-._" else "_" for c in name)[:80].lstrip(".") or "_"


def _native(values: Array, terrain: Terrain) -> F32:
    if terrain.grid == terrain.native:
        return np.asarray(values, dtype=np.float32)
    return warp(values, terrain.grid, terrain.native)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
