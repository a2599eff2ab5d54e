"""The prepared dataset, opened: frames, masks, and chip sequences that follow the ice."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine

from icectl.arrays import F32, I64, Array
from icectl.errors import DataError, brief
from icectl.raster import Grid, open_cube
from icectl.raster.chunks import expect_chunks, reading
from icectl.workspace import parsing

DATASET = "dataset.zarr"


@dataclass(frozen=True, slots=True)
class Sequences:
    """A prepared dataset, opened. Chips are read a sequence at a time."""

    data: xr.Dataset
    chip: Any  # zarr array (sequence, time, row, col)
    path: Path  # of the store

    @property
    def size(self) -> int:
        """Side of a chip in pixels."""
        return int(self.data.sizes["row"])

    @property
    def times(self) -> int:
        """Number of frames."""
        return int(self.data.sizes["time"])

    @property
    def days(self) -> F32:
        """Days since the first frame, ``(time,)``."""
        time = self.array("time")
        return np.asarray((time - time[0]) / np.timedelta64(1, "D"), np.float32)

    @property
    def grid(self) -> Grid:
        """Grid of the frames; without a CRS for plain pictures."""
        crs = self.data.attrs["crs"] or None
        shape = (int(self.data.sizes["y"]), int(self.data.sizes["x"]))
        return Grid(shape, Affine(*json.loads(self.data.attrs["transform"])), crs)

    @property
    def bands(self) -> list[str]:
        """Names of the bands."""
        return [str(n) for n in json.loads(self.data.attrs["bands"])]

    def chips(self, which: I64 | list[int], span: slice) -> F32:
        """Read chips ``(n, frames, rows, cols)`` of some sequences over a span of frames."""
        with reading(self.path):
            return np.stack([np.asarray(self.chip[int(s), span], np.float32) for s in which])

    def held(self, which: I64) -> Array:
        """Read all chips ``(n, frames, rows, cols)`` of some sequences as they are stored."""
        with reading(self.path):
            return np.asarray(self.chip.oindex[which])

    def frame(self, index: int) -> F32:
        """Read one frame ``(band, y, x)``."""
        with reading(self.path):
            return np.asarray(self.data["frame"][index].values, np.float32)

    def frames(self) -> F32:
        """Read all frames ``(time, y, x)``, the mean of their bands."""
        with reading(self.path):
            return np.asarray(self.data["frame"].mean("band").values, np.float32)

    @property
    def names(self) -> list[str]:
        """Scene ids of the frames."""
        return [str(n) for n in json.loads(self.data.attrs["names"])]

    def array(self, name: str) -> Array:
        """Return one of the small variables as an array."""
        with reading(self.path):
            return np.asarray(self.data[name].values)


def open_dataset(folder: Path) -> Sequences:
    """Open what `icectl.tasks.flow.prepare` wrote.

    DataError: if there is no dataset of chip sequences in `folder`.
    """
    import zarr

    path = folder / DATASET
    if not path.is_dir():
        raise DataError(f"{folder} holds no {DATASET}", "prepare it first (icectl prepare svg)")
    expect_chunks(path)
    try:
        data = open_cube(path)
        chip = zarr.open_group(str(path), mode="r")["chip"]
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read: {brief(error)}", "prepare it again (--force)") from error
    found = Sequences(data, chip, path)
    with parsing(path, "dataset of chip sequences"):
        _ = found.grid, found.names, found.bands, found.days, found.data.attrs["units"]
    return found
