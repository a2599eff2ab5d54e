"""The prepared data set: a Zarr store with one array an image, and everything else as JSON.

Images keep their own sizes, so there is no cube: ``images/<id>`` (rows, columns) float32 with NaN
where invalid, ``masks/<id>`` where a label was a mask, and ``index.json`` with lines, dates,
roles, facts and places. Lines are in pixels of the source image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from icectl.arrays import F32, Bools
from icectl.errors import DataError
from icectl.raster.chunks import expect_chunks, layout, reading
from icectl.tasks.front.line.lines import Line
from icectl.workspace import NUMBER, parsing, portable, reached, read_record, write_json


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies: CRS as text and pixel-to-map transform (a, b, c, d, e, f)."""

    crs: str
    transform: tuple[float, float, float, float, float, float]


STORE = "dataset.zarr"
INDEX = "index.json"
UNNAMED = "one"
"""The glacier of images for which nobody names one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a data set.

    `lines` is None where there is no label, empty where no front. `flow` is where its ice flows to
    (degrees clockwise from north, which is the top of an image without a place), None if nobody said, and
    `flow_spread` by how much that may be wrong; `resolution` its metres per pixel on the ground.
    """

    id: str
    time: datetime
    shape: tuple[int, int]
    role: str = "test"
    dated: bool = True
    lines: tuple[Line, ...] | None = None
    has_mask: bool = False
    place: Place | None = None
    resolution: float | None = None
    flow: float | None = None
    flow_spread: float = 0.0
    file: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def glacier(self) -> str:
        """The glacier's name; one for all where nobody said."""
        return self.facts.get("glacier", UNNAMED)

    @property
    def radar(self) -> bool:
        """Whether it is known to be a radar image."""
        return self.facts.get("radar") == "yes"


@dataclass(frozen=True, slots=True)
class FrontData:
    """A prepared data set, read lazily.

    `folder`: where `write` left it; `entries`: all images by date; `assumed`: whether the entries' flow was
    read off their labels: for training only.
    """

    folder: Path
    entries: tuple[Entry, ...]
    assumed: bool = False

    @property
    def flow(self) -> str:
        """``"up"`` where all images to train on are brought to that pose, else ``"unknown"``."""
        used = [entry for entry in self.of("train", "valid") if entry.lines]
        return "up" if used and all(e.flow is not None and not e.flow_spread for e in used) else "unknown"

    def of(self, *roles: str) -> tuple[Entry, ...]:
        """Return the images with one of the roles."""
        return tuple(entry for entry in self.entries if entry.role in roles)

    def image(self, entry: Entry) -> F32:
        """Return (rows, columns) float32, NaN where invalid."""
        return np.asarray(self._read("images", entry))

    def mask(self, entry: Entry) -> Bools | None:
        """Return the true ice mask (rows, columns), if the label was one."""
        return np.asarray(self._read("masks", entry), bool) if entry.has_mask else None

    def _read(self, name: str, entry: Entry) -> Any:
        with reading(self.folder / STORE):
            return zarr.open_group(self.folder / STORE, mode="r")[name][entry.id][...]


class DataWriter:
    """Write images one by one; `finish` writes the index last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = zarr.open_group(folder / STORE, mode="w", zarr_format=3)
        self._images, self._masks = self._root.create_group("images"), self._root.create_group("masks")

    def add(self, entry: Entry, image: F32, mask: Bools | None = None) -> None:
        """Store one image, and its mask if there is one."""
        self._images.create_array(
            entry.id, data=np.ascontiguousarray(image, np.float32), chunks=image.shape, **layout()
        )
        if mask is not None:
            self._masks.create_array(entry.id, data=np.ascontiguousarray(mask), chunks=mask.shape, **layout())

    def finish(self, entries: Sequence[Entry], assumed: bool, audit: Mapping[str, Any]) -> None:
        """Write the index: entries in the order of `add`, with what was found out since."""
        listed = [_to_json(entry, self.folder) for entry in entries]
        write_json(self.folder / INDEX, {"assumed": assumed, "audit": dict(audit), "entries": listed})


_ENTRY = {
    "id": str,
    "time": str,
    "shape": [int],
    "role": str,
    "dated": bool,
    "lines": ([[[NUMBER]]], None),
    "has_mask": bool,
    "place": (list, None),
    "resolution": (*NUMBER, None),
    "flow": (*NUMBER, None),
    "flow_spread?": NUMBER,
    "file": str,
    "facts": {str: str},
}
_INDEX = {"assumed": bool, "audit": dict, "entries": [_ENTRY]}


def open_dataset(folder: Path) -> FrontData:
    """Open a prepared data set. Raises DataError if it is none."""
    if not (folder / INDEX).is_file():
        raise DataError(f"{folder} holds no prepared fronts", "run `icectl prepare front-unet` first")
    expect_chunks(folder / STORE)
    index = read_record(folder / INDEX, _INDEX, "index of prepared fronts")
    with parsing(folder / INDEX, "index of prepared fronts"):
        entries = tuple(_from_json(value, folder) for value in index["entries"])
    return FrontData(folder, entries, index["assumed"])


def read_audit(folder: Path) -> dict[str, Any]:
    """Return what `prepare` recorded of the split."""
    return dict(read_record(folder / INDEX, _INDEX, "index of prepared fronts")["audit"])


def _to_json(entry: Entry, folder: Path) -> dict[str, Any]:
    return {
        **{one.name: getattr(entry, one.name) for one in fields(entry)},
        "time": entry.time.isoformat(),
        "lines": None if entry.lines is None else [np.round(line, 3).tolist() for line in entry.lines],
        "place": None if entry.place is None else [entry.place.crs, list(entry.place.transform)],
        "file": portable(Path(entry.file), folder) if entry.file else "",
        "facts": dict(entry.facts),
    }


def _from_json(value: Mapping[str, Any], folder: Path) -> Entry:
    lines, place = value["lines"], value["place"]
    read = {
        "time": datetime.fromisoformat(value["time"]),
        "shape": (value["shape"][0], value["shape"][1]),
        "lines": None if lines is None else tuple(np.asarray(one, float).reshape(-1, 2) for one in lines),
        "place": None if place is None else Place(place[0], tuple(place[1])),
        "file": str(reached(value["file"], folder)) if value["file"] else "",
    }
    return Entry(**{**value, **read})
