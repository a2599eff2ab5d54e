"""The CaFFe archive (Gourmelon et al. 2022, doi:10.1594/PANGAEA.940950) as it is published.

``data_raw`` holds ``sar_images``, ``fronts`` and ``zones``, each with ``train`` and ``test``. The test is two
glaciers of which nothing is trained on. A name says glacier, date, sensor, metres per pixel, quality (1 is
best) and orbit: ``COL_2011-11-13_TDX_7_1_092.png``, with ``…_front.png`` and ``…_zones.png``. The table
``meta_data.csv``, which others publish, says where each image lies.
"""

import csv
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from icectl.arrays import Bools
from icectl.errors import DataError
from icectl.raster import read_quantity
from icectl.run import Run
from icectl.sources.archive import retrieve, unpacked
from icectl.sources.catalogue import Scene

ADDRESS = "https://download.pangaea.de/dataset/940950/files/data_raw.zip"
"""Overridden by ``ICECTL_CAFFE`` (a mirror, or a server in a test)."""

SETS = ("train", "test")
ICE = 127
"""The value of glacier in ``zones``: 0 is shadow or no data, 64 rock, 254 ocean and ice mélange."""

OCEAN = 254
ZONES = (0, 64, ICE, OCEAN)
_NAME = re.compile(
    r"^(?P<glacier>[A-Za-z]+)_(?P<date>\d{4}-\d{2}-\d{2})_(?P<sensor>[A-Za-z0-9]+)_(?P<resolution>\d+)"
    r"_(?P<quality>\d)_(?P<orbit>\d+)$"
)
_NUMBER = re.compile(r"=\s*(-?[\d.]+)")
_GLACIERS = {
    "col": "columbia",
    "dbe": "dinsmoor-bombardier-edgeworth",
    "jac": "jakobshavn",
    "si": "sjogren-inlet",
}


def root_of(folder: Path) -> Path | None:
    """Return the folder that holds ``sar_images``: `folder` itself or one in it; None where none does.

    >>> root_of(Path("my-images")) is None
    True
    """
    inside = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    places = [place for place in (folder, *inside) if (place / "sar_images").is_dir()]
    return next((p for p in places if (p / "fronts").is_dir() or (p / "zones").is_dir()), None)


def fetch_caffe(run: Run) -> list[Scene]:
    """Return the scenes of the archive: of the user's own folder, else downloaded into ``run.out``.

    WorkError: it cannot be downloaded. DataError: it has another layout, or a name says less than it
    should.
    """
    folder = run.scenes
    if folder is None:
        address = os.environ.get("ICECTL_CAFFE", ADDRESS)
        folder = unpacked(retrieve(address, run.out / "archive", name="data_raw.zip"))
    root = root_of(folder)
    if root is None:
        raise DataError(
            f"{folder} is not laid out as CaFFe's archive",
            "name the folder that holds sar_images, fronts and zones, each with train and test",
        )
    places = _places(root, folder)
    scenes = [
        _scene(root, path, part, places.get(path.stem))
        for part in SETS
        for path in sorted((root / "sar_images" / part).glob("*.png"))
    ]
    if not scenes:
        raise DataError(
            f"{root / 'sar_images'} holds no images in train and test", "unpack data_raw.zip whole"
        )
    return scenes


def _places(*folders: Path) -> dict[str, dict[str, Any]]:
    """Return ``crs`` and ``bounds`` of each image by its name, none where there is no ``meta_data.csv``."""
    table = next((p for folder in folders if (p := folder / "meta_data.csv").is_file()), None)
    if table is None:
        return {}
    found = {}
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            said = {(key or "").strip(' "').lower(): str(value).strip() for key, value in row.items()}
            box = _NUMBER.findall(said.get("bounding box coordinates", ""))
            crs, name = said.get("coordinate system", ""), said.get("image_name", "")
            if len(box) == 4 and crs:
                stem = name.partition(".")[0].removesuffix("_geo")
                found[stem] = {"crs": crs, "bounds": [float(value) for value in box]}
    if not found:
        raise DataError(
            f"{table} does not say where images lie",
            "its columns are image_name, Bounding box coordinates and Coordinate system; or remove it",
        )
    return found


def _scene(root: Path, image: Path, part: str, place: dict[str, Any] | None) -> Scene:
    """Return an image with its front and zones as a catalogue entry."""
    found = _NAME.match(image.stem)
    try:
        time = datetime.fromisoformat(found["date"]).replace(tzinfo=UTC) if found else None
    except ValueError:
        time = None
    if found is None or time is None:
        raise DataError(
            f"{image.name} is no name of CaFFe's archive",
            "names are GLACIER_DATE_SENSOR_METRES_QUALITY_ORBIT, e.g. COL_2011-11-13_TDX_7_1_092.png",
        )
    labels = {"front": ("fronts", "front"), "zones": ("zones", "zones")}
    files = {name: root / kind / part / f"{image.stem}_{end}.png" for name, (kind, end) in labels.items()}
    if not files["front"].is_file():
        raise DataError(
            f"{image.name} has no {files['front'].name} in fronts/{part}", "unpack data_raw.zip whole"
        )
    assets = {name: path.absolute() for name, path in {"image": image, **files}.items() if path.is_file()}
    facts = {
        "glacier": _GLACIERS.get(found["glacier"].lower(), found["glacier"].lower()),
        "sensor": found["sensor"],
        "resolution": found["resolution"],
        "quality": found["quality"],
        "orbit": found["orbit"],
        "year": str(time.year),
        "slc_off": "no",
        "set": part,
        "radar": "yes",
    }
    known = {"icectl:facts": facts, "icectl:dated": True}
    return Scene(image.stem, time, assets, known if place is None else {**known, "icectl:place": place})


def ice_of(path: Path, shape: tuple[int, int]) -> Bools:
    """Return the mask of ice (rows, columns) in a file of zones.

    DataError: it has another size than its image, or other values.
    """
    values = np.nan_to_num(read_quantity(path, "label").values)
    if values.shape != shape:
        raise DataError(f"{path.name} has another size than its image", "unpack data_raw.zip again")
    others = sorted(set(np.unique(values).tolist()) - set(ZONES))
    if others:
        raise DataError(f"{path.name} holds {others[0]:g}, which is no zone", f"zones are {ZONES}")
    return np.asarray(values == ICE)
