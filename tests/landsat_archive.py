"""Scenes of a made-up Landsat archive on a loopback file server, and the run that fetches them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from servers import (
    BOX,
    EPSG,
    GRID,
    OLI,
    SHAPE,
    FileServer,
    landsat_item,
    write_source,
)

from icectl.contract import Plugin
from icectl.run import Run
from icectl.settings import Glacier
from icectl.sources.remote import Patience

FIRST = datetime(2019, 6, 1, 5, 20, tzinfo=UTC)
BANDS = ("green", "swir16", "qa_pixel")
HASTY = Patience(timeout=2, attempts=3, backoff=0.01, parallel=3)
CLEAR, CLOUD, FILL = 21824, 22280, 1
"""Real QA_PIXEL numbers: clear land, high-confidence cloud, fill."""


def glacier(**changes: Any) -> Glacier:
    return Glacier(**{"name": "here", "bbox": BOX, **changes})


def run_in(folder: Path, place: Glacier | None = None, **changes: Any) -> Run:
    plugin = Plugin(name="x", summary="", task="snow", model="x:y", stages={})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".icectl").touch()  # as stages mark what is theirs
    return Run(verb="fetch", plugin=plugin, glacier=place or glacier(), out=folder, quiet=True, **changes)


def values(number: int, band: str) -> np.ndarray:
    """Pixels of a scene: different for each scene, band and place, never zero."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (7000 + 500 * number + 37 * len(band) + rows * 13 + columns).astype("uint16")


def qa(cloud_rows: int = 0, fill_columns: int = 0) -> np.ndarray:
    flags = np.full(SHAPE, CLEAR, "uint16")
    flags[:cloud_rows] = CLOUD
    flags[:, :fill_columns] = FILL
    return flags


class Archive:
    """Scenes on a file server, and the items that describe them."""

    def __init__(self, files: FileServer) -> None:
        self.files, self.items = files, []

    def add(self, number: int, *, qa_pixel: np.ndarray | None = None, bands=OLI, **item: Any) -> str:
        name = item.pop("name", f"LC08_L2SP_147038_{number:04d}_02_T1")
        time = item.pop("time", FIRST + timedelta(days=16 * number))
        grid = {"epsg": item.get("epsg", EPSG), "transform": item.get("transform", GRID)}
        for band in bands:
            array = (qa() if qa_pixel is None else qa_pixel) if band == "qa_pixel" else values(number, band)
            write_source(
                self.files.root / f"{name}_{bands[band]}.TIF",
                array,
                nodata=1 if band == "qa_pixel" else 0,
                **grid,
            )
        self.items.append(landsat_item(name, time, item.pop("href", self.files.url), bands=bands, **item))
        return name
