"""Scenes as archives deliver them: Landsat's tar files, and cubes (NetCDF, Zarr), unfolded into GeoTIFFs."""

import logging
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from icectl.errors import DataError
from icectl.raster import write_cog
from icectl.raster.cf import grid_of_cube, layers, open_cube, stamp
from icectl.raster.files import CUBES, replacing
from icectl.raster.grid import upright_values
from icectl.sources.archive import MAX_MEMBER
from icectl.sources.dates import parse_date
from icectl.sources.names import UNUSED, by_name
from icectl.sources.options import ARCHIVES

IMAGES = frozenset(
    {
        ".tif", ".tiff", ".gtif", ".gtiff", ".jp2", ".vrt", ".png", ".jpg", ".jpeg",
        ".img", ".dat", ".bsq", ".bil", ".bip",
    }
)  # fmt: skip
"""Endings of what is read as an image."""

HEADED = frozenset({".dat", ".bsq", ".bil", ".bip"})
"""Endings of images only where a header (``.hdr``) lies beside: other files end so too."""


def is_image(path: Path, suffixes: frozenset[str] = IMAGES) -> bool:
    """Tell whether a file is read as an image, by its ending and, where others share it, by its header."""
    suffix = path.suffix.lower()
    if suffix not in suffixes or not path.is_file():
        return False
    return suffix not in HEADED or headed(path)


def say_left(folder: Path, images: Iterable[Path]) -> None:
    """Tell of folders in `folder` whose `images` are not read, since others lie beside the folders."""
    names = sorted({path.parent.name for path in images})
    if names:
        logging.getLogger("icectl").warning(
            f"images in folders within {folder} are not read, since others lie beside these: "
            + ", ".join(names[:5] + ["…"] * (len(names) > 5))
        )


def headed(path: Path) -> bool:
    """Tell whether a header as ENVI writes it (``.hdr``) lies beside a file."""
    return path.with_suffix(".hdr").is_file() or path.with_name(f"{path.name}.hdr").is_file()


PACKED = frozenset({".zip", ".7z", ".rar", ".gz", ".bz2", ".xz"})
"""Endings of archives that are not looked into."""

TARS = tuple(ending for ending in ARCHIVES if ending not in CUBES)
"""Endings of the archives that are looked into."""


def unfolded(folder: Path, into: Path) -> list[Path]:
    """Return the folders to scan in place of `folder`: itself, and what its archives and cubes became.

    `folder`: a folder that may hold ``*.tar`` of Landsat scenes, NetCDF files and Zarr stores; or one of
    these. `into`: where they are unfolded, each into a folder of its own; what is there already is taken as
    it is.

    DataError: an archive or a cube is damaged, or holds nothing to read.
    """
    places: list[Path] = []
    alone = folder.is_file() or folder.suffix.lower() in CUBES
    for path in [folder] if alone else sorted(folder.iterdir()):
        target = into / "unfolded" / path.name.replace(".", "_")
        if path.name.lower().endswith(TARS) and path.is_file():
            places.append(_untar(path, target))
        elif path.suffix.lower() in CUBES:
            places.append(_maps(path, target))
        elif path.suffix.lower() in PACKED:
            logging.getLogger("icectl").warning(f"{path} is not looked into: unpack it, if it holds scenes")
    if alone:
        return places
    images = [p for p in folder.rglob("*") if is_image(p)]
    inside = folder.absolute() in into.absolute().parents  # what was unfolded below the folder itself
    return [*([folder] if (images and not inside) or not places else []), *places]


def _untar(archive: Path, target: Path) -> Path:
    """Take the layers that a task may ask for out of a Landsat archive; each appears whole."""
    try:
        with tarfile.open(archive) as opened:
            wanted = [member for member in opened if _usable(member)]
            if not wanted:
                raise DataError(
                    f"{archive} holds no Landsat layer", "unpack it, and name the folder of its rasters"
                )
            for member in wanted:
                place = target / PurePosixPath(member.name).name
                if place.is_file() and place.stat().st_size == member.size:
                    continue
                source = opened.extractfile(member)
                assert source is not None
                with replacing(place) as made, made.open("wb") as file:
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            f"{archive} cannot be unpacked: {error}", "it may be cut short: download it again"
        ) from error
    return target


def _usable(member: tarfile.TarInfo) -> bool:
    """Tell whether a member is a file of a layer with a known name, of sensible size."""
    name = PurePosixPath(member.name)
    if not member.isfile() or member.size > MAX_MEMBER or name.suffix.lower() not in (".tif", ".tiff"):
        return False
    named = by_name(name.stem)
    return bool(named.product) and named.asset not in (None, UNUSED)


def _maps(path: Path, target: Path) -> Path:
    """Write each map of a cube as a GeoTIFF ``DATE_VARIABLE.tif`` with its date and unit in tags."""
    data = open_cube(path)
    try:
        seen: set[tuple[str, str]] = set()
        for name, time, values in layers(data, path):
            if (name, stamp(time)) in seen:
                raise DataError(f"{path} holds '{name}' of {stamp(time)} twice", "keep one map of each time")
            seen.add((name, stamp(time)))
            named = parse_date(path.stem) if time is None else None  # one map a file, dated by its name
            day = named.start.replace(tzinfo=None) if named is not None and named.end is None else time
            date = stamp(day).removesuffix("T00:00:00")
            made = target / f"{re.sub('[-:]', '', date)}_{name}.tif".lstrip("_")
            if made.is_file():
                continue
            grid, upright = upright_values(grid_of_cube(values, path), values.values)
            tags = {"ACQUISITION_DATE": stamp(day)} if date else {}
            units = str(values.attrs.get("units", ""))
            write_cog(
                made, upright, grid, descriptions=[name], tags=tags | ({"units": units} if units else {})
            )
    finally:
        data.close()
    return target
