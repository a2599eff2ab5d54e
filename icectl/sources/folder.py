"""A folder of images that a user already has, read as scenes.

Asset names come from the names of Landsat, Sentinel-2 and HLS files, from words in the name (``green``,
``swir16``, ``qa_pixel``, ``ndsi`` …) or from the bands' descriptions; dates from a STAC item beside the file,
the file's tags, or its name (`icectl.sources.names`). Files of one date make one scene.
"""

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import isclose
from pathlib import Path

from icectl.errors import DataError, UsageError
from icectl.sources.catalogue import CATALOGUE, read_catalogue
from icectl.sources.dates import Period, parse_date
from icectl.sources.delivered import IMAGES, is_image, say_left, unfolded
from icectl.sources.files import ImageFile, describe, items_beside
from icectl.sources.mosaic import mosaicked
from icectl.sources.names import (
    INDICES,
    OTHERS,
    PREVIEW,
    QUALITY,
    UNUSED,
    VELOCITY,
    by_name,
    compile_pattern,
    snow_rank,
)
from icectl.sources.options import ARCHIVES, SceneQuery, between
from icectl.sources.scene import Band, Scene, in_order
from icectl.sources.sizes import one_of_each, same_ground
from icectl.sources.stated import TOP_OF_ATMOSPHERE

GEOTIFF = IMAGES - {".png", ".jpg", ".jpeg"}
_SAFE = ("GRANULE/*/IMG_DATA/*", "GRANULE/*/IMG_DATA/R?0m/*")
PLACES = (("*",), ("*/*",), tuple(f"*/{place}" for place in _SAFE), _SAFE)
"""Where images lie: in the folder, in one folder a scene, or in those of Sentinel-2's SAFE format."""


PASS = timedelta(minutes=10)
"""Images of one pass of a satellite are less apart in time, those of another pass or satellite more."""


def scan_folder(
    folder: Path,
    pattern: str | None = None,
    *,
    asset: str = "image",
    georeferenced: bool = True,
    minimum: int = 1,
    scale: float | None = None,
    offset: float | None = None,
    bands: Sequence[str] = (),
    wanted: Collection[str] = (),
    into: Path | None = None,
) -> list[Scene]:
    r"""Return the scenes in `folder` by time. Only headers are read.

    A folder with a catalogue (``items.json``) is read by it. Otherwise the rasters directly in the folder
    are taken; if there are none, those one level below (one folder a scene, as Landsat is delivered), or
    those of Sentinel-2's SAFE folders, of each band in one pixel size. Archives of Landsat scenes (``.tar``)
    and cubes (NetCDF, Zarr) are unfolded into `into` first, and tiles of one date are joined there. A file
    that names no asset is taken for `asset`, unless others of the folder name theirs: then it is none.

    Parameters
    ----------
    pattern
        A regular expression with named groups for names that are not understood
        (`icectl.sources.names.compile_pattern`); it then outweighs items, tags and names.
    asset
        The name of files that say nothing of what they hold, e.g. ``"ndsi"``.
    georeferenced
        Whether every file must have a CRS, all the same one, and all dates one pixel size (that of their
        coarsest band; finer bands must cover the same ground). If not, PNG and JPEG files are taken too.
    minimum
        The least number of dates.
    scale, offset
        What turns stored numbers into values, for files that do not say it themselves.
    bands
        What the bands of stacks are, in their order, e.g. ``("green", "swir16")``.
    wanted
        The assets that are needed beside quality layers; where one of them is there, others are left out.
    into
        Where archives and cubes are unfolded; None leaves them alone.

    Raises
    ------
    UsageError
        If the folder is missing or the pattern is no pattern.
    DataError
        For a folder without rasters or with too few dates, a name without a date, a truncated file, a raster
        without CRS, mixed CRS, other pixel sizes on other dates, and two files of one date and asset.
    """
    if not folder.is_dir() and not (folder.is_file() and folder.name.lower().endswith(ARCHIVES)):
        what = "is no folder" if folder.exists() else "does not exist"
        raise UsageError(f"{folder} {what}", "name a folder of images, or a .tar or .nc that holds them")
    if (folder / CATALOGUE).is_file() and pattern is None:
        scenes = read_catalogue(folder)
    else:
        compiled = None if pattern is None else compile_pattern(pattern)
        places = [folder] if into is None else unfolded(folder, into)
        files = _by_pass([f for place in places for f in _described(place, compiled, georeferenced, bands)])
        _expect_one_reading(files)
        dated = one_of_each(_needed([file for file in files if not file.named.static], asset, wanted))
        if into is not None:
            dated = list(mosaicked(dated, into))
        if georeferenced:
            same_ground(dated)
        scenes = in_order(_scenes(dated, Band(scale=scale, offset=offset)), str(folder))
        if not scenes:
            raise DataError(
                f"no file of {folder} is a band or an index that is known",
                "name them …_green.tif, …_swir16.tif, …_ndsi.tif, or give a --pattern with an (?P<asset>…)",
            )
    if len(scenes) < minimum:
        dates = f"{len(scenes)} date" + ("" if len(scenes) == 1 else "s")
        raise DataError(f"{folder} holds {dates}, {minimum} are needed", "add scenes of other dates")
    return scenes


def _described(
    folder: Path, pattern: re.Pattern[str] | None, georeferenced: bool, bands: Sequence[str]
) -> Iterator[ImageFile]:
    """Open the images of a folder, but for layers of a product that no task asks for."""
    images = _images(folder, georeferenced)
    items = {parent: items_beside(parent) for parent in {path.parent for path in images}}
    for path in images:
        if pattern is not None or by_name(path.stem).asset != UNUSED:
            yield from describe(path, folder, pattern, items[path.parent], bands)


def _expect_one_reading(files: Sequence[ImageFile]) -> None:
    """Refuse six digits that are a month or a day, unless other files are of months for certain."""
    either = [file for file in files if file.named.period is not None and file.named.period.or_day]
    months = [file for file in files if file.named.period is not None and file.named.period.end is not None]
    if either and len(either) == len(months):
        period = either[0].named.period
        assert period is not None
        raise DataError(
            f"{either[0].path} may be of {period.start:%B %Y} or of {period.or_day:%-d %B %Y}",
            r"say which with --pattern: '(?P<year>\d{4})(?P<month>\d\d)' or "
            r"'(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)'",
        )


def _by_pass(files: list[ImageFile]) -> list[ImageFile]:
    """Return the files, those of a day with several passes dated by the first image of their pass.

    The images of a day are one scene, unless all of them tell their time and these are `PASS` apart.
    """
    days: dict[datetime, set[timedelta]] = {}
    for period in (file.named.period for file in files):
        if period is not None and period.end is None:
            days.setdefault(period.start, set()).add(period.clock)
    begun: dict[tuple[datetime, timedelta], datetime] = {}
    for day, clocks in days.items():
        first = last = min(clocks)
        for clock in sorted(clocks):
            first = clock if clock - last > PASS else first
            begun[day, clock], last = day + first, clock
        if not min(clocks) or first == min(clocks):  # a time is not told, or there is one pass
            begun |= {(day, clock): day for clock in clocks}
    made = []
    for file in files:
        period = file.named.period
        if (
            period is not None
            and period.end is None
            and (new := begun[period.start, period.clock]) != period.start
        ):
            dated = replace(period, start=new, clock=timedelta(0))
            file = replace(file, named=replace(file.named, period=dated))
        made.append(file)
    return made


def _needed(files: list[ImageFile], asset: str, wanted: Collection[str]) -> list[ImageFile]:
    """Leave out what is not needed: files of no asset beside such as have one, and layers not asked for.

    Where pictures are asked for, beside means of one date: what is alone on its date is a picture too.
    """
    known = [file for file in files if file.named.asset not in (None, UNUSED)]
    named = {file.named.asset for file in known} - set(QUALITY)
    dates = {file.named.period for file in known if file.named.asset in named}
    known = _one_index(known)
    if speeds := [
        f.path for f in files if asset == "image" and VELOCITY.search(f"{f.path.stem} {f.called}".lower())
    ]:
        raise DataError(
            f"{speeds[0]} holds velocities by its name, and no picture",
            "keep the images in a folder of their own",
        )
    plain = [
        replace(file, named=replace(file.named, asset=asset))
        for file in files
        if file.named.asset is None
        and not (asset in OTHERS and OTHERS[asset].search(f"{file.path.stem} {file.called}".lower()))
        and (not named or (asset == "image" and file.named.period not in dates))
    ]
    if named & set(wanted):
        kept = [file for file in known if file.named.asset in wanted or file.named.asset in QUALITY]
        held = {file.named.period for file in kept if file.named.asset not in QUALITY}
        if lost := [f.path.name for f in known if f.named.asset in named and f.named.period not in held]:
            logging.getLogger("icectl").warning(
                f"dates without a band that other dates have are left out: {', '.join(lost[:5])}"
            )
        known = kept
    return known + plain


def _one_index(files: list[ImageFile]) -> list[ImageFile]:
    """Return the files with one layer of snow of each date: of several the first in `INDICES`, and say it."""
    snow = [(file, snow_rank(file.path.stem)) for file in files if file.named.asset == "ndsi"]
    best: dict[Period | None, int] = {}
    for file, rank in snow:
        best[file.named.period] = min(rank, best.get(file.named.period, rank))
    if left := {file.path for file, rank in snow if rank > best[file.named.period]}:
        logging.getLogger("icectl").warning(
            f"{len(left)} layers of snow are left out ({min(left).name} …), others of their dates are taken "
            f"({INDICES[min(best.values())]}): put them into a folder of their own to read them"
        )
    return [file for file in files if file.path not in left]


def in_dates(scenes: Sequence[Scene], query: SceneQuery, folder: Path, minimum: int = 1) -> list[Scene]:
    """Return the scenes of `folder` from ``query.start`` to before ``query.end``.

    Raises
    ------
    DataError
        Fewer than `minimum` are left; the message says between which dates the scenes lie.
    """
    kept = [scene for scene in scenes if between(scene.time.date(), query)]
    if len(kept) < minimum:
        raise DataError(
            f"{folder} holds {len(scenes)} scenes, {len(kept) or 'none'} of them between "
            f"{query.start or 'the beginning'} and {query.end or 'the end'}"
            + (f"; {minimum} are needed" if minimum > 1 else ""),
            f"they lie between {scenes[0].time:%Y-%m-%d} and {scenes[-1].time:%Y-%m-%d}" if scenes else "",
        )
    return kept


def static_layers(folder: Path) -> dict[str, Path]:
    """Return the files of `folder` that hold for the whole series (``mask.jpg``, ``dem.tif`` …), by stem."""
    if folder.is_file():
        return {}
    candidates = (p for p in sorted(folder.iterdir()) if is_image(p))
    return {p.stem.lower(): p for p in candidates if by_name(p.stem).static}


def _images(folder: Path, georeferenced: bool) -> list[Path]:
    """List the images of a folder, or fail with what is there instead."""
    suffixes = GEOTIFF if georeferenced else IMAGES
    for globs in PLACES:
        found = [p for glob in globs for p in sorted(folder.glob(glob)) if is_image(p) and _shown(p)]
        images = [p for p in found if p.suffix.lower() in suffixes]
        if images:
            if globs == PLACES[0]:
                say_left(folder, (p for p in folder.glob("*/*") if is_image(p, suffixes) and _shown(p)))
            return images
        if globs == ("*",) and found:
            break
    others = sorted({p.suffix.lower() for p in folder.iterdir() if p.suffix})
    seen = f"; there are {', '.join(others)}" if others else ""
    kinds = "GeoTIFFs (.tif)" if georeferenced else "images (.tif, .png, .jpg)"
    raise DataError(f"{folder} holds no {kinds}{seen}", "name a folder that holds the rasters themselves")


def _shown(path: Path) -> bool:
    """Tell whether a file is neither hidden nor a small picture that archives put beside a scene."""
    return not path.name.startswith(".") and PREVIEW.search(path.stem) is None


def _scenes(files: list[ImageFile], fallback: Band) -> Iterator[Scene]:
    by_time: dict[datetime, dict[str, ImageFile]] = {}
    for file in files:
        if file.named.period is None or file.named.asset is None:  # describe() settled both
            continue
        group = by_time.setdefault(file.named.period.start, {})
        if (other := group.get(file.named.asset)) is not None:
            raise DataError(
                f"{other.path.name} and {file.path.name} are both '{file.named.asset}' "
                f"of {file.named.period.start:%Y-%m-%d}",
                "keep one, or tell them apart: by names such as …_green.tif and …_swir16.tif, or a --pattern",
            )
        group[file.named.asset] = file
    names = {moment: _named(moment, next(iter(group.values()))) for moment, group in by_time.items()}
    shared = Counter(names.values())
    for moment, group in by_time.items():
        bands = {name: _filled(file, fallback) for name, file in group.items()}
        identity = names[moment] + (f"_T{moment:%H%M}" if shared[names[moment]] > 1 else "")
        paths = {asset: file.path for asset, file in group.items()}
        properties = {k: v for file in group.values() for k, v in file.properties.items()}
        if fallback.scale is not None:  # the user knows what the numbers are
            properties.pop(TOP_OF_ATMOSPHERE, None)
        first = next(iter(group.values())).named.period
        yield Scene(identity, moment + (first.clock if first else timedelta(0)), paths, properties, bands)


def _named(moment: datetime, file: ImageFile) -> str:
    """Return what the scene of a file is called: by its name, with the date where that does not tell it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", file.named.scene).strip("._-")
    return name if parse_date(name) else "_".join(filter(None, (name, f"{moment:%Y%m%d}")))


def _filled(file: ImageFile, fallback: Band) -> Band:
    """Use the user's scale and offset where the file says nothing; floats are values as they are."""
    band = file.named.band
    if band.scale is not None:
        said = (fallback.scale, fallback.offset or 0.0)
        own = (band.scale, band.offset or 0.0)
        above = TOP_OF_ATMOSPHERE in file.properties and fallback.scale is not None
        if above and not all(isclose(a, b or 0.0, rel_tol=1e-6) for a, b in zip(own, said, strict=True)):
            raise DataError(
                f"{file.path} is stored with scale {own[0]:g} and offset {own[1]:g}, "
                f"--scale and --offset say {said[0]:g} and {said[1]:g}",
                "keep scenes before and since processing baseline 04.00 in folders of their own",
            )
        return band
    if fallback.scale is not None:
        return replace(band, scale=fallback.scale, offset=fallback.offset or 0.0)
    return replace(band, scale=1.0, offset=0.0) if file.floating else band
