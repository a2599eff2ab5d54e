"""What prediction leaves of each image beside its products: a record, and two rasters of probabilities."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from icectl.raster.chunks import layout, reading
from icectl.tasks.front.dataset import Entry
from icectl.tasks.front.line.found import Found, Front
from icectl.workspace import NUMBER, read_record, write_json

RECORDS = "fronts.json"
PROBABILITY = "probability.zarr"
Record = dict[str, Any]


def open_probabilities(folder: Path) -> Any:
    """Return a new store that `keep` fills."""
    return zarr.open_group(folder / PROBABILITY, mode="w", zarr_format=3)


def keep(store: Any, entry: Entry, found: Found) -> None:
    """Store both probabilities as bytes (255 is 1)."""
    both = np.round(np.clip(np.stack([found.edge, found.mask]), 0, 1) * 255).astype(np.uint8)
    store.create_array(entry.id, data=both, chunks=both.shape, **layout())


def probabilities(folder: Path, image: str) -> Any:
    """Return (2, rows, columns) probabilities of edge and mask of one image, 0…1."""
    with reading(folder / PROBABILITY):
        return np.asarray(zarr.open_group(folder / PROBABILITY, mode="r")[image], np.float32) / 255


def record_of(entry: Entry, found: Found) -> Record:
    """Return what is kept of one image: plain JSON."""
    return {
        "image": entry.id,
        "time": entry.time.isoformat(),
        "status": "found" if found.fronts else "no front",
        "notes": list(found.notes),
        "fronts": [front_record(front) for front in found.fronts],
    }


def front_record(front: Front) -> Record:
    """Return what is kept of one front."""
    return {
        "line": np.round(front.line, 3).tolist(),
        "confidence": round(front.confidence, 4),
        "doubt": list(front.doubt),
        "certainty": round(front.certainty, 4),
        "along": np.round(front.along, 3).tolist(),
        "contrast": None if np.isnan(front.contrast) else round(front.contrast, 4),
        "rival": round(front.rival, 4),
        "bearing": None if front.bearing is None else round(front.bearing, 2),
        "pass": front.passes,
        "enlarged": round(front.enlarged, 3),
        "fallback": front.fallback,
    }


def write_records(folder: Path, records: list[Record]) -> None:
    """Write all records."""
    write_json(folder / RECORDS, {"images": records})


_FRONT = {
    "line": [[NUMBER]],
    "confidence": NUMBER,
    "doubt": [str],
    "certainty": NUMBER,
    "along": [NUMBER],
    "contrast": (*NUMBER, None),
    "rival": (*NUMBER, None),
    "bearing": (*NUMBER, None),
    "enlarged": NUMBER,
}
_RECORDS = {"images": [{"image": str, "time": str, "status": str, "notes": [str], "fronts": [_FRONT]}]}


def read_records(folder: Path) -> list[Record]:
    """Return the records that `predict` left."""
    return list(read_record(folder / RECORDS, _RECORDS, "record of fronts")["images"])


def lines_in(record: Record) -> list[Any]:
    """Return a record's lines as (N, 2) arrays, best front first."""
    return [np.asarray(front["line"], float) for front in record["fronts"]]
