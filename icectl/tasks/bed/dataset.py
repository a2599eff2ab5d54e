"""The prepared data set: terrains in Zarr, patches and tolls in JSON, pixels of known thickness in NumPy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from icectl.errors import DataError
from icectl.tasks.bed.fill import masks
from icectl.tasks.bed.fill.fill_features import mixed_patch
from icectl.tasks.bed.fill.ice import Cover
from icectl.tasks.bed.fill.inputs import Masked, Start, averaged, masked_patch, thin
from icectl.tasks.bed.fill.patches import Drawn, Patch
from icectl.tasks.bed.readers.terrain import Terrain
from icectl.tasks.bed.readers.thickness_samples import KINDS, Known
from icectl.tasks.bed.thickness.features import thickness_inputs

STORE, FACTS, PIXELS, SHAPES = "dataset.zarr", "dataset.json", "thickness.npz", "silhouettes.npz"
CHUNK = 256
IN_MEMORY = 8_000_000
"""Pixels up to which a terrain is held in memory while it is trained on."""

MOST_PIXELS = 1500
"""Pixels kept of each glacier of known thickness."""


VARIANTS = 3
"""Holes made of each training patch that begins at a fill."""

MOST_KEPT = 20_000
"""Samples kept in memory (a network's patch of 32 pixels takes 50 kB)."""

Sample = dict[str, NDArray[np.float32]]


class Writer:
    """Writes a data set into a folder, terrain by terrain and glacier by glacier."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.group = zarr.open_group(str(folder / STORE), mode="w")
        self.terrains: list[dict[str, Any]] = []
        self.glaciers: list[dict[str, Any]] = []
        self.columns: list[NDArray[np.float32]] = []
        self.silhouettes: list[NDArray[np.bool_]] = []

    def add_terrain(self, terrain: Terrain, cover: NDArray[np.uint8], drawn: Drawn, rule: str) -> None:
        """Store heights, cover and patches of one elevation model."""
        name = f"{len(self.terrains):02d}-{terrain.name}"
        one = self.group.create_group(name)
        chunks = tuple(min(CHUNK, n) for n in terrain.heights.shape)
        one.create_array("height", data=terrain.heights, chunks=chunks)
        one.create_array("cover", data=cover, chunks=chunks)
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

    def add_known(self, known: Known, rng: np.random.Generator) -> None:
        """Store the features of one glacier's pixels of known thickness (a random part of a large one)."""
        channels, prior = thickness_inputs(known.surface, known.ice, known.resolution, speed=known.speed)
        where = np.argwhere(known.ice & np.isfinite(known.thickness))
        if not len(where):
            return
        if len(where) > MOST_PIXELS:
            where = where[rng.permutation(len(where))[:MOST_PIXELS]]
        at = tuple(where.T)
        number = np.full(len(where), len(self.glaciers))
        table = np.column_stack([number, known.thickness[at], prior[at], channels[:, at[0], at[1]].T])
        self.columns.append(table.astype(np.float32))
        self.glaciers.append(
            {"name": known.name, "kind": known.kind, "area_km2": known.area, "pixels": len(where)}
        )

    def close(self, facts: Mapping[str, Any]) -> None:
        """Write what has been gathered; the data set is complete with this."""
        masks.Shapes(self.silhouettes).save(self.folder / SHAPES)
        table = np.concatenate(self.columns) if self.columns else np.zeros((0, 3), dtype=np.float32)
        np.savez_compressed(self.folder / PIXELS, table=table)
        record = {**facts, "terrains": self.terrains, "glaciers": self.glaciers}
        (self.folder / FACTS).write_text(json.dumps(record, indent=1))


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of a prepared data set."""
    path = folder / FACTS
    if not path.is_file():
        raise DataError(f"{folder} is no prepared bed data set", "run `icectl prepare inpaint-gan` first")
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


class Holes:
    """Patches with holes, for step (a). An item is a raw patch; `Hide` makes the network's sample of it."""

    def __init__(self, folder: Path, part: str, most: int | None = None) -> None:
        group = zarr.open_group(str(folder / STORE), mode="r")
        self.group: dict[str, Any] = {}
        self.items: list[tuple[str, Patch]] = []
        for terrain in read_facts(folder)["terrains"]:
            one = group[terrain["name"]]
            small = one["height"].size < IN_MEMORY  # else windows are read from disk as they are needed
            self.group[terrain["name"]] = {k: one[k][:] if small else one[k] for k in ("height", "cover")}
            found = [Patch(**p) for p in terrain["patches"] if p["part"] == part]
            self.items += [(terrain["name"], patch) for patch in found]
        if most is not None and len(self.items) > most:
            step = len(self.items) / most
            self.items = [self.items[int(i * step)] for i in range(most)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return heights, cover and hole side of one patch, and its number."""
        name, patch = self.items[index]
        part = np.s_[patch.row : patch.row + patch.size, patch.col : patch.col + patch.size]
        one = self.group[name]
        heights, cover = one["height"][part], one["cover"][part]
        return {"heights": heights, "cover": cover, "hole": patch.hole, "index": index}


class Hide:
    """Turns, mirrors and masks a patch, and computes the network's channels from what is left.

    Ice inside the patch is hidden too, as it is at a prediction, and never a target. Channels that begin at a
    fill cost a solve of all of a patch's pixels; so some holes of each patch are made once and kept.
    """

    def __init__(
        self, kinds: Sequence[str], size: int, start: Start, shapes: masks.Shapes, train: bool
    ) -> None:
        self.kinds, self.size, self.start, self.shapes, self.train = tuple(kinds), size, start, shapes, train
        self.kept: dict[tuple[int, int], Sample] = {}

    def __call__(self, sample: Mapping[str, Any], rng: np.random.Generator) -> Sample:
        """Return ``x`` (c, y, x), ``y`` (1, y, x) normalised heights, ``valid`` (1, y, x) target pixels,
        ``scale``.
        """
        if self.start == "fill":
            made = self._kept(sample, int(rng.integers(VARIANTS)) if self.train else 0)
            return _all_turned(made, int(rng.integers(4)), bool(rng.integers(2))) if self.train else made
        ground = np.asarray(sample["cover"]) == Cover.GROUND
        heights = np.asarray(sample["heights"], np.float64)
        if self.train:
            turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
            heights, ground = (_turned(a, turns, mirror) for a in (heights, ground))
        # Averaged first: a hole drawn in the network's pixels costs a fraction of one in the patch's.
        target, off_limits = thin(heights, ~ground, self.size)
        hole = self._hole(float(sample["hole"]) * self.size / heights.shape[0], self.size, rng)
        hidden = _some_known(hole | off_limits)
        return _sample(masked_patch(target, hidden), target, hole & hidden & ~off_limits)

    def _hole(self, width: float, side: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        if not self.train:
            return masks.centred_box(side, max(2, round(width)))
        wanted = max(2, round(width * rng.uniform(0.6, 1.3)))
        return masks.draw(rng, self.kinds, side, wanted, self.shapes)

    def _kept(self, patch: Mapping[str, Any], variant: int) -> Sample:
        """Return one of the patch's holes, made at its first use."""
        index = int(patch.get("index", -1))
        if (index, variant) in self.kept:
            return self.kept[index, variant]
        made = self._filled(patch, np.random.default_rng([64, index + 1, variant]))
        if index >= 0 and len(self.kept) < MOST_KEPT:
            self.kept[index, variant] = made
        return made

    def _filled(self, patch: Mapping[str, Any], rng: np.random.Generator) -> Sample:
        heights = np.asarray(patch["heights"], np.float64)
        off_limits = np.asarray(patch["cover"]) != Cover.GROUND
        hole = self._hole(float(patch["hole"]), heights.shape[0], rng)
        made = mixed_patch(heights, _some_known(hole | off_limits), self.size)
        wanted, banned = (averaged(m.astype(np.float64), self.size) > 0 for m in (hole, off_limits))
        return _sample(made, averaged(heights, self.size), wanted & ~banned & (made.channels[-1] > 0))


def _some_known(hidden: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if hidden.all():
        hidden = hidden.copy()
        hidden[0, :] = False
    return hidden


def _sample(made: Masked, target: NDArray[np.float64], valid: NDArray[np.bool_]) -> Sample:
    normal = (target - made.level) / made.scale
    return {
        "x": made.channels,
        "y": normal[None].astype(np.float32),
        "valid": valid[None].astype(np.float32),
        "scale": np.array([made.scale], dtype=np.float32),
    }


def _all_turned(sample: Sample, turns: int, mirror: bool) -> Sample:
    """Turn channels that have no direction: all of them together."""
    turned = {k: np.rot90(v, turns, (-2, -1)) for k, v in sample.items() if k != "scale"}
    turned = {k: np.ascontiguousarray(v[..., ::-1] if mirror else v) for k, v in turned.items()}
    return {**turned, "scale": sample["scale"]}


def _turned(array: NDArray[Any], turns: int, mirror: bool) -> NDArray[Any]:
    turned = np.rot90(array, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


class Pixels:
    """Glaciers of known thickness, for step (b). An item is one glacier's pixels, `count` of them drawn."""

    def __init__(self, folder: Path) -> None:
        facts = read_facts(folder)
        with np.load(folder / PIXELS, allow_pickle=False) as archive:
            table = archive["table"]
        self.names = [g["name"] for g in facts["glaciers"]]
        self.kinds = [g["kind"] for g in facts["glaciers"]]
        self.tables = [table[table[:, 0] == i] for i in range(len(self.names))]

    def __len__(self) -> int:
        return len(self.names)

    def features(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return features (c, n) with the kind's flags, thickness (n,) and prior (n,) of one glacier."""
        table = self.tables[index]
        flags = kind_flags(self.kinds[index], len(table))
        return np.concatenate([table[:, 3:].T, flags]), table[:, 1], table[:, 2]


def kind_flags(kind: str, count: int) -> NDArray[np.float32]:
    """Return the channels (3, count) that say where a thickness comes from."""
    flags = np.zeros((len(KINDS), count), dtype=np.float32)
    flags[KINDS.index(kind)] = 1.0
    return flags
