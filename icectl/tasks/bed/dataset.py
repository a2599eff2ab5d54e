"""The prepared data set: terrains in Zarr, patches and tolls in JSON, pixels of known thickness in NumPy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from icectl.arrays import F32, U8, Bools
from icectl.errors import DataError
from icectl.raster.chunks import expect_chunks, layout, reading
from icectl.tasks.bed.fill import masks
from icectl.tasks.bed.fill.hide import Ground
from icectl.tasks.bed.fill.ice import Cover
from icectl.tasks.bed.fill.patches import Patch
from icectl.tasks.bed.readers.dem import Terrain
from icectl.tasks.bed.split import Drawn
from icectl.tasks.bed.thickness.law import Sample
from icectl.workspace import NUMBER, read_record

STORE, FACTS, PIXELS, SHAPES = "dataset.zarr", "dataset.json", "thickness.npz", "silhouettes.npz"
CHUNK = 256
IN_MEMORY = 8_000_000
"""Pixels up to which a terrain is held in memory while it is trained on."""

MAX_PIXELS = 1500
"""Pixels kept of each glacier of known thickness."""


class Writer:
    """Writes a data set into a folder, terrain by terrain and glacier by glacier."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.group = zarr.open_group(str(folder / STORE), mode="w")
        self.terrains: list[dict[str, Any]] = []
        self.glaciers: list[dict[str, Any]] = []
        self.columns: list[F32] = []
        self.silhouettes: list[Bools] = []

    def add_terrain(self, terrain: Terrain, cover: U8, drawn: Drawn, rule: str) -> None:
        """Store heights, cover and patches of one elevation model."""
        name = f"{len(self.terrains):02d}-{terrain.name}"
        one = self.group.create_group(name)
        chunks = tuple(min(CHUNK, n) for n in terrain.heights.shape)
        one.create_array("height", data=terrain.heights, chunks=chunks, **layout())
        one.create_array("cover", data=cover, chunks=chunks, **layout())
        one.attrs["crs"] = terrain.grid.crs.to_wkt()
        one.attrs["transform"] = list(terrain.grid.affine)[:6]
        self.silhouettes += masks.silhouettes(cover == Cover.LISTED, most=60)
        self.terrains.append(
            {
                "name": name,
                "resolution": terrain.resolution,
                "shape": list(terrain.heights.shape),
                "rule": rule,
                "toll": dict(drawn.toll),
                "test_area": list(drawn.test_area),
                "patches": [asdict(p) for p in drawn.patches],
                "notes": list(terrain.notes),
            }
        )

    def add_sample(self, sample: Sample, area: float) -> None:
        """Store the pixels of one glacier of known thickness (`area` in km²)."""
        number = np.full(len(sample.thickness), len(self.glaciers))
        table = np.column_stack([number, sample.thickness, sample.thinning, sample.features])
        self.columns.append(table.astype(np.float32))
        facts = {"name": sample.name, "kind": sample.kind, "region": sample.region}
        self.glaciers.append({**facts, "area_km2": area, "pixels": len(sample.thickness)})

    def close(self, facts: Mapping[str, Any]) -> None:
        """Write what has been gathered; the data set is complete with this."""
        masks.Shapes(self.silhouettes).save(self.folder / SHAPES)
        table = np.concatenate(self.columns) if self.columns else np.zeros((0, 3), dtype=np.float32)
        np.savez_compressed(self.folder / PIXELS, table=table)
        record = {**facts, "terrains": self.terrains, "glaciers": self.glaciers}
        (self.folder / FACTS).write_text(json.dumps(record, indent=1))


@dataclass(frozen=True, slots=True)
class Dataset:
    """A prepared data set, open: its folder and its facts."""

    folder: Path
    facts: dict[str, Any]

    def patches(self, part: str, size: int = 0, most: int | None = None) -> Patches:
        """Return the patches of one part of the split, of side `size` (pixels) or a multiple of it."""
        return Patches(self, part, size, most)

    def samples(self) -> list[Sample]:
        """Return the glaciers of known thickness."""
        with np.load(self.folder / PIXELS, allow_pickle=False) as archive:
            table = archive["table"].astype(np.float64)
        found = []
        for number, one in enumerate(self.facts["glaciers"]):
            mine = table[table[:, 0] == number]
            found.append(Sample(one["name"], one["kind"], one["region"], mine[:, 3:], mine[:, 1], mine[:, 2]))
        return found

    def shapes(self) -> masks.Shapes:
        """Return the silhouettes of the glaciers in the outlines."""
        return masks.Shapes.load(self.folder / SHAPES)

    def terrain(self, name: str) -> Any:
        """Return the arrays ``height`` and ``cover`` of one elevation model, read as they are indexed."""
        with reading(self.folder / STORE):
            return zarr.open_group(str(self.folder / STORE), mode="r")[name]


_PATCH = {"row": int, "col": int, "size": int, "hole": int, "part": str}
_FACTS = {
    "held_out": [str],
    "terrains": [
        {
            "name": str,
            "resolution": NUMBER,
            "shape": [int],
            "rule": str,
            "toll": dict,
            "test_area": [int],
            "patches": [_PATCH],
            "notes": [str],
        }
    ],
    "glaciers": [{"name": str, "kind": str, "region": str, "area_km2": NUMBER, "pixels": int}],
}


def open_dataset(folder: Path) -> Dataset:
    """Open a prepared data set.

    DataError: the folder holds none.
    """
    path = folder / FACTS
    if not path.is_file():
        raise DataError(f"{folder} is no prepared bed data set", "run `icectl prepare inpaint-gan` first")
    expect_chunks(folder / STORE)
    return Dataset(folder, read_record(path, _FACTS, "record of a prepared bed data set"))


class Patches:
    """Patches of raw ground, for step (a)."""

    def __init__(self, dataset: Dataset, part: str, size: int, most: int | None) -> None:
        self.store = dataset.folder / STORE
        self.arrays: dict[str, Any] = {}
        self.items: list[tuple[str, Patch]] = []
        self.resolutions: dict[str, float] = {}
        for terrain in dataset.facts["terrains"]:
            name = terrain["name"]
            one = dataset.terrain(name)
            small = one["height"].size < IN_MEMORY  # else windows are read from disk as they are needed
            with reading(self.store):
                self.arrays[name] = {k: one[k][:] if small else one[k] for k in ("height", "cover")}
            self.resolutions[name] = float(terrain["resolution"])
            found = [Patch(**p) for p in terrain["patches"] if p["part"] == part]
            self.items += [(name, p) for p in found if not size or p.size % size == 0]
        if most is not None and len(self.items) > most:
            step = len(self.items) / most
            self.items = [self.items[int(i * step)] for i in range(most)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Ground:
        """Return heights, cover and hole side of one patch, and its number."""
        name, patch = self.items[index]
        part = np.s_[patch.row : patch.row + patch.size, patch.col : patch.col + patch.size]
        one = self.arrays[name]
        with reading(self.store):
            heights, cover = one["height"][part], one["cover"][part]
        return {"heights": heights, "cover": cover, "hole": patch.hole, "index": index}

    def known_range(self) -> dict[str, list[float]]:
        """Return least and greatest pixel size (m), hole (pixels) and relief (m) of the patches."""
        found = {"resolution": [self.resolutions[n] for n, _ in self.items]}
        found["hole"] = [float(p.hole) for _, p in self.items]
        tops = [self[i]["heights"] for i in range(0, len(self), max(1, len(self) // 200))]
        found["relief"] = [float(np.nanstd(h)) for h in tops]
        return {name: [min(values), max(values)] for name, values in found.items() if values}
