"""Opening rasters with errors in words, and files that appear whole or not at all."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from icectl.errors import FULL, DataError, WorkError, brief, worded
from icectl.workspace import full_disks_said, own_folder, settle

# GDAL's own default is 5 % of the machine's memory: gigabytes on a large one, for no gain here.
CACHE_MB = 128

CUBES = frozenset({".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".zarr"})
"""Suffixes of what is read by its CF conventions."""

_warnings_lock = threading.Lock()  # catch_warnings swaps a global list; threads must take turns


def cache_settings() -> dict[str, Any]:
    """Return GDAL settings that bound its block cache; the user's own `GDAL_CACHEMAX` wins."""
    return {} if "GDAL_CACHEMAX" in os.environ else {"GDAL_CACHEMAX": CACHE_MB}


@contextmanager
def opened(path: str | Path, driver: str | None = None) -> Iterator[Any]:
    """Open a raster for reading: whatever GDAL reads, and NetCDF and Zarr with CF georeference.

    `path`: the file (or the folder of a Zarr store). `driver`: the only format to take, e.g. ``"GTiff"``:
    GDAL follows links inside some others.

    DataError: the file is missing, is no raster, or breaks off while it is read.
    """
    if "://" not in str(path) and not Path(path).exists():
        raise DataError(f"{path} does not exist", "check the path")
    try:
        with rasterio.Env(**cache_settings()), _open(path, driver) as source:
            yield source
    except RasterioIOError as error:
        reason = brief(error.__cause__ or error)
        packed = Path(path).suffix.lower() in (".gz", ".zip", ".tar", ".tgz", ".bz2", ".7z")
        hint = (
            "unpack it first"
            if packed
            else "it may be cut short or damaged, or no image: get it again, or move it elsewhere"
        )
        if Path(path).suffix.lower() == ".hgt":
            hint = "SRTM's files tell their place by their names alone: call it as it was, e.g. N46E010.hgt"
        raise DataError(f"{path} cannot be read as a raster: {reason}", hint) from error


def remote_crs(address: str) -> Any:
    """Return the CRS of a GeoTIFF at an address; faults are rasterio's own, so that they can be retried."""
    with rasterio.open(address, driver="GTiff", sharing=False) as source:
        return source.crs


def _open(path: str | Path, driver: str | None) -> Any:
    """Open without the warning on files that have no place on the ground: those are refused by name."""
    if Path(path).suffix.lower() in CUBES and driver is None:
        from icectl.raster.cf import as_raster

        return as_raster(Path(path))
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, driver=driver)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path in a hidden folder beside `path`; on success it takes `path`'s place.

    The file is synced to the disk, renamed, and the folder synced, so that `path` holds the old
    content or the new, also after a power cut. On failure nothing is left behind.

    WorkError: the folder cannot be written or the disk is full.
    """
    try:
        with own_folder(path.parent, tidy=False) as box, full_disks_said(box):
            yield box / path.name
            settle(box / path.name, path)
    except (OSError, RasterioError, CPLE_BaseError) as error:
        if getattr(error, "errno", None) in FULL:
            raise worded(error, path.parent) or error from error
        if isinstance(error, OSError) and not path.parent.is_dir():
            raise WorkError(
                f"{path.parent} cannot be written: {_reason(error)}", "choose another folder"
            ) from error
        raise WorkError(
            f"{path} could not be written: {_reason(error)}", "check the folder's rights, and try again"
        ) from error


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    return getattr(cause, "strerror", None) or brief(cause)
