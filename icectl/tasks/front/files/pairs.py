"""Images and their labels in folders, paired by name, with what the names say of each."""

import csv
import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

from icectl.errors import DataError, UsageError
from icectl.raster import Info
from icectl.sources.catalogue import Scene
from icectl.sources.dates import Period, parse_date
from icectl.sources.delivered import IMAGES, is_image, say_left, unfolded
from icectl.sources.files import tag_period
from icectl.sources.names import PREVIEW, QUALITY, RADAR, UNUSED, by_name

RASTERS = IMAGES
VECTORS = frozenset({".gpkg", ".shp", ".geojson", ".json", ".fgb", ".kml", ".kmz"})
SLC_FAILED = datetime(2003, 5, 31, tzinfo=UTC)
"""After this day Landsat 7 images have gaps between scan lines."""

_LANDSAT = re.compile(r"(L[COTEM]0?[1-9])_[A-Z0-9]{4}_(\d{3})(\d{3})_(\d{8})_")
_CALFIN = re.compile(
    r"^(?P<glacier>.+?)_(?P<sensor>[A-Z0-9]{2,4})_(?P<level>[A-Z0-9]+)_(?P<date>\d{4}-\d{2}-\d{2})"
    r"_(?P<path>\d{3})-(?P<row>\d{3})(?:_(?P<tier>[A-Z]{1,2}\d?))?(?:_(?P<band>\w+))?$"
)
"""Names of the CALFIN archive: ``Kong-Oscar_LT05_L1TP_1985-07-09_019-007_T1_B4``."""

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """One image, its label if there is one, and what is known of it (plain text values).

    `span`: a month or a year is all that is said of its date, and `time` its first day.
    """

    id: str
    image: Path
    label: Path | None
    time: datetime
    dated: bool
    facts: Mapping[str, str] = field(default_factory=dict)
    span: bool = False


def find_pairs(
    images: Path,
    labels: Path | None = None,
    table: Path | None = None,
    wrs_glaciers: Mapping[str, Iterable[str]] | None = None,
    asset: str = "nir08",
    into: Path | None = None,
) -> list[Pair]:
    """Return the images of a folder by date, each with its label.

    Names pair when they are equal, or equal without a last word that all files of a folder share
    (``…_Subset.png`` and ``…_Front.png``). Images and labels may lie in one folder, as in CALFIN's archive.

    Parameters
    ----------
    images, labels
        Folders; labels are rasters or vector files.
    table
        CSV with a column ``image`` (a name, or the start of one) and columns of facts.
    wrs_glaciers
        Names of glaciers by WRS path and row in Landsat file names.
    asset
        The band of scenes that are delivered with several.
    into
        Where archives in the folder of images are unfolded; without it they are passed over.

    Raises
    ------
    UsageError
        A folder or the table does not exist.
    DataError
        No images, or images and labels that do not pair (they are listed).
    """
    _expect_folder(images, "images")
    places = [images] if into is None else unfolded(images, into)
    rasters = images_in(places, RASTERS, asset)
    beside = labels_beside(rasters)
    shown = [path for path in rasters if path not in beside]
    found = _by_key(images, shown, "images")
    if beside and (labels is None or labels.resolve() != images.resolve()):
        logging.getLogger("icectl").warning(
            f"{len(beside)} files of {images} are taken for labels of the images beside them, and not read "
            f"({_few(sorted(path.name for path in beside))}): --labels {images} reads them"
        )
    paired: dict[str, Path] = {}
    if labels is not None:
        _expect_folder(labels, "labels")
        files = {p for p in labels.iterdir() if p.suffix.lower() in RASTERS | VECTORS and p.name[0] != "."}
        paired = _by_key(labels, sorted(files - set(shown)), "labels")
        _refuse_unpaired(found, paired)
    if len(found) == 1:  # a last word of all is the only one's own
        (image,) = found.values()
        found, paired = {image.stem: image}, dict(zip([image.stem], paired.values(), strict=False))
    rows = read_table(table) if table is not None else {}
    wrs = {code: name for name, codes in (wrs_glaciers or {}).items() for code in codes}
    ids, pairs = _ids(found), []
    for number, (key, image) in enumerate(sorted(found.items())):
        row = _row_of(rows, image.stem)
        time, dated, span = _date_of(image, number, places, row.get("date", ""))
        facts = _name_facts(image, time, dated, wrs) | row
        pairs.append(Pair(ids[key], image, paired.get(key), time, dated, facts, span))
    return sorted(pairs, key=lambda pair: (pair.time, pair.id))


def as_scene(pair: Pair) -> Scene:
    """Return a pair as a catalogue entry."""
    assets = {"image": pair.image.absolute()}
    if pair.label is not None:
        assets["label"] = pair.label.absolute()
    properties = {"icectl:facts": dict(pair.facts), "icectl:dated": pair.dated}
    return Scene(pair.id, pair.time, assets, properties)


def describe_name(path: Path, number: int) -> tuple[datetime, bool, dict[str, str]]:
    """Return date, whether it was in the name, and facts of one image's name."""
    time, dated, _ = _date_of(path, number)
    return time, dated, _name_facts(path, time, dated, {})


_LABEL = re.compile(r"[-_. ](?:mask|front|label|zone|truth|gt)s?$", re.IGNORECASE)
"""How the name of a label goes on where that of its image ends: ``NAME_mask.png``."""


def labels_beside(files: Sequence[Path]) -> set[Path]:
    """Return the files that are called as an image beside them but for a last word, which says a label."""
    images = {(path.parent, path.stem) for path in files if not _LABEL.search(path.stem)}
    images |= {(folder, re.sub(r"[-_. ][A-Za-z]+$", "", stem)) for folder, stem in images}
    called = [path for path in files if _LABEL.search(path.stem)]
    return {path for path in called if (path.parent, _LABEL.sub("", path.stem)) in images}


def _expect_folder(folder: Path, what: str) -> None:
    if not folder.is_dir():
        fault = "is no folder" if folder.exists() else "does not exist"
        one = folder.suffix.lower() in VECTORS and "; one file of many fronts is for `icectl compare fronts`"
        raise UsageError(f"{folder} {fault}", f"name a folder of {what}{one or ''}")


def _by_key(folder: Path, files: list[Path], what: str) -> dict[str, Path]:
    """Return the files of a folder by the part of the name that pairs."""
    if not files:
        known = sorted(RASTERS | VECTORS if what == "labels" else RASTERS)
        raise DataError(f"{folder} holds no {what}", f"unpack archives first; known: {', '.join(known)}")
    shared = _shared_word([p.stem for p in files])
    keyed: dict[str, Path] = {}
    often = Counter(path.stem for path in files)
    for path in files:
        key = path.stem.removesuffix(shared)
        if often[path.stem] > 1 and len({p.parent for p in files if p.stem == path.stem}) > 1:
            key = f"{path.parent.name}_{key}"
        if key in keyed:
            raise DataError(f"{keyed[key].name} and {path.name} are one name twice", "remove one of them")
        keyed[key] = path
    return keyed


def _shared_word(stems: list[str]) -> str:
    """Return the last ``_word`` that all names share; empty when a name would vanish, or a date would."""
    endings = [re.search(r".([_-][A-Za-z]+)$", stem) for stem in stems]
    words = {found.group(1) if found else "" for found in endings}
    return words.pop() if len(words) == 1 else ""


def _refuse_unpaired(images: Mapping[str, Path], labels: Mapping[str, Path]) -> None:
    """List images without a label and labels without an image."""
    bare = sorted(images[key].name for key in images.keys() - labels.keys())
    orphans = sorted(labels[key].name for key in labels.keys() - images.keys())
    if not bare and not orphans:
        return
    parts = [f"{len(names)} {what} ({_few(names)})" for names, what in (
        (bare, "without a label"), (orphans, "without an image")) if names]  # fmt: skip
    raise DataError(
        f"images and labels do not pair: {'; '.join(parts)}",
        "give them equal names, or names that differ in a last word all files share, as …_Subset and …_Front",
    )


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _date_of(
    path: Path, number: int, places: Sequence[Path] = (), said: str = ""
) -> tuple[datetime, bool, bool]:
    """Return the date of an image, whether it has one, and whether that is a month or a year alone.

    Those without one count days from 1970 in the order of their names.
    """
    period = parse_date(said) or _period_of(path, places)
    if said and (period is None or period.end is not None):
        raise UsageError(
            f"the date of image {path.stem} is '{said}'", "write dates in the table as 2019-07-10"
        )
    if period is not None:
        return period.start, True, period.end is not None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number), False, False


def _period_of(path: Path, places: Sequence[Path]) -> Period | None:
    """Return the day of an image, or the month or year that is all that is said of it."""
    spans = []
    for period in _periods(path, places):
        if period is not None and period.or_day is None:
            if period.end is None:
                return period
            spans.append(period)
    return spans[0] if spans else None


def _periods(path: Path, places: Sequence[Path]) -> Iterator[Period | None]:
    """Yield what an image's name says, the folders that it lies in below one of `places`, and its tags."""
    yield parse_date(path.stem)
    below = [path.parent.relative_to(one).as_posix() for one in places if path.is_relative_to(one)]
    yield parse_date("/".join(below))
    yield tag_period(Info(path).tags)  # opened only where no name says a day


def _name_facts(path: Path, time: datetime, dated: bool, places: Mapping[str, str]) -> dict[str, str]:
    """Return what a file's name says: sensor, path and row, glacier, year, scan-line gaps."""
    facts = {"year": str(time.year)} if dated else {}
    calfin = _CALFIN.match(path.stem)
    if calfin:
        wrs, sensor = calfin["path"] + calfin["row"], calfin["sensor"]
        return {
            **facts,
            "glacier": places.get(wrs, calfin["glacier"].lower()),
            "sensor": sensor,
            "wrs": wrs,
            "slc_off": gaps(sensor, time),
        }
    match = _LANDSAT.search(path.stem)
    if match:
        sensor, wrs = match[1], match[2] + match[3]
        facts |= {"sensor": sensor, "wrs": wrs, "slc_off": gaps(sensor, time)}
        facts |= {"glacier": places[wrs]} if wrs in places else {}
    return facts


def gaps(sensor: str, time: datetime) -> str:
    """Tell whether an image has gaps between scan lines, in the words of a table."""
    return "yes" if sensor == "LE07" and time > SLC_FAILED else "no"


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Return rows of a CSV by their column ``image``."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the table {path} cannot be read: {error}", "give a CSV file") from error
    if not rows or "image" not in rows[0]:
        raise DataError(f"{path} has no column 'image'", "its first line names the columns: image,glacier,…")
    return {
        Path(row["image"]).stem: {k: v for k, v in row.items() if k and k != "image" and v} for row in rows
    }


def _row_of(rows: Mapping[str, dict[str, str]], stem: str) -> dict[str, str]:
    """Return the row of an image: its own name, or the longest beginning of it that ends with a word."""
    fitting = [
        name for name in rows if stem.startswith(name) and not stem[len(name) : len(name) + 1].isalnum()
    ]
    return rows[max(fitting, key=len)] if fitting else {}


def _ids(names: Iterable[str]) -> dict[str, str]:
    """Return for each name an id that may name a file and a Zarr array, and is no other's."""
    clean = {name: re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:180] for name in names}
    count = Counter(one.casefold() for one in clean.values())
    return {
        name: one if one and count[one.casefold()] == 1 else f"{one or 'image'}-{crc32(name.encode()):08x}"
        for name, one in clean.items()
    }


_ABOUT = frozenset({"QI_DATA", "AUX_DATA"})
"""Folders of Sentinel-2's SAFE format whose rasters are about the image."""


def images_in(places: Iterable[Path], suffixes: frozenset[str], asset: str) -> list[Path]:
    """Return the images of folders, sorted by name.

    Rasters directly in a folder are taken; if there are none, those of the folders in it. Where several
    layers of one Landsat, Sentinel-2 or HLS scene are there, one band of it is the image.

    `places`: folders. `suffixes`: endings of images, in lower case. `asset`: the band of a scene of
    several, e.g. ``"nir08"``.

    DataError: a scene of several bands has no such band.
    """
    scenes: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for place in places:
        files = sorted(_rasters(place.iterdir(), suffixes))
        if files:
            say_left(place, _rasters(place.glob("*/*"), suffixes))
        for path in files or sorted(_rasters(_below(place), suffixes)):
            named = by_name(path.relative_to(place).with_suffix("").as_posix())
            if named.asset in (UNUSED, *QUALITY) and not named.product:
                continue
            scene = named.scene if named.product else str(path.parent / named.scene)
            scenes[scene if named.asset else str(path)].append((named.asset or "", path))
    return sorted(one for scene, layers in scenes.items() for one in _image_of(scene, layers, asset))


def _below(place: Path) -> Iterator[Path]:
    """Yield the files of the folders in a folder, linked ones too."""
    seen: set[str] = set()
    for folder, inside, names in os.walk(place, followlinks=True):
        inside[:] = [name for name in inside if os.path.realpath(Path(folder) / name) not in seen]
        seen |= {os.path.realpath(Path(folder) / name) for name in inside}
        yield from (Path(folder) / name for name in names)


def _rasters(files: Iterable[Path], suffixes: frozenset[str]) -> Iterator[Path]:
    for path in files:
        shown = is_image(path, suffixes) and not path.name.startswith(".")
        if shown and path.parent.name not in _ABOUT and not PREVIEW.search(path.stem):
            yield path


def _image_of(scene: str, layers: list[tuple[str, Path]], asset: str) -> list[Path]:
    """Return the file of a scene's only layer, or of the band that is asked for."""
    if len(layers) == 1:
        return [layers[0][1]]
    shown = [(name, path) for name, path in layers if name not in (*QUALITY, UNUSED)]
    names = sorted({name for name, _ in shown})
    if asset == "nir08" and asset not in names:  # the default; of others no other kind of band is taken
        asset = next((name for name in ("nir", *RADAR) if name in names), asset)
    chosen = [path for name, path in shown if name == asset]
    if not chosen:
        known = ", ".join(sorted({name for name, _ in layers} - {UNUSED}))
        raise DataError(
            f"{Path(scene).name} has no band '{asset}', but {known}", "name one of them with --asset"
        )
    if len(names) == 1 and len({path.suffix for path in chosen}) > 1:
        return chosen  # one image in two formats, which is refused by its name
    return chosen[:1]  # of several pixel sizes the finest: …_10m comes before …_20m
