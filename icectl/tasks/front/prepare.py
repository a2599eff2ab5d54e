"""Stage two: images and labels become one data set with roles, poses and scales."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from affine import Affine

from icectl.arrays import F32, Bools
from icectl.errors import DataError, UsageError
from icectl.raster import Info, assigned_grid
from icectl.run import Run
from icectl.settings import Glacier
from icectl.sources.catalogue import Scene, read_catalogue
from icectl.sources.files import FLOATS
from icectl.sources.names import RADAR
from icectl.sources.products import FLAGS
from icectl.tasks.front.dataset import DataWriter, Entry, FrontData, Place
from icectl.tasks.front.files.caffe import ice_of
from icectl.tasks.front.files.images import place_on, read_image
from icectl.tasks.front.files.labels import Label, read_label
from icectl.tasks.front.options import PrepareOptions, bearing_of
from icectl.tasks.front.pose.direction import flow_from
from icectl.tasks.front.pose.frame import bearing_in, frame_of, metres_per_pixel
from icectl.tasks.front.split import audit, split

SHOWN = 5

MIN_TURNED = 5
"""Fewest fronts that tell how a set was turned."""

AT_BORDER = 4.0
"""Pixels from the border of an image within which the edge of a mask ends at it."""

MOSTLY = 0.95
"""Share of them that must agree."""


def prepare(run: Run, options: PrepareOptions) -> Path:
    """Read every image and label of the fetched catalogue and write the data set."""
    writer = DataWriter(run.out)
    entries: list[Entry] = []
    scenes = read_catalogue(run.inputs["fetch"])
    with run.progress("preparing", total=len(scenes)) as advance:
        for entry, image, mask in _entries(scenes, options):
            writer.add(entry, image, mask)
            entries.append(entry)
            advance()
    _say_oddities(run, entries)
    entries = [_with_flow(entry, options, run.glacier) for entry in entries]
    assumed = options.flow == "auto" and turned_upward(entries)
    if assumed:
        run.say(
            "all fronts run from left to right: ice is taken to flow up in training (--flow says otherwise)"
        )
        entries = [replace(entry, flow=0.0) for entry in entries]
    roles = split(FrontData(run.out, tuple(entries)), options, run.seed)
    entries = [replace(entry, role=role) for entry, role in zip(entries, roles, strict=True)]
    writer.finish(entries, assumed, audit(entries))
    return run.out


def _with_flow(entry: Entry, options: PrepareOptions, glacier: Glacier) -> Entry:
    """Return an image with its direction of flow: as told, else the table's, else that of a file."""
    told = options.flow if options.flow != "auto" else entry.facts.get("flow", "auto")
    if told == "unknown":
        return entry
    if told == "auto":
        files = (options.flow_from, glacier.centre_line, glacier.dem)
        source = next((file for file in files if file is not None), None)
        if source is None:
            return entry
        bearing, spread = flow_from(source, entry, glacier.outline)
        return replace(entry, flow=bearing, flow_spread=spread)
    try:
        degrees, on_ground = bearing_of(told.strip().lower())
    except ValueError as error:
        raise UsageError(
            f"the flow of image {entry.id}: {error}", "correct the table's column 'flow'"
        ) from error
    frame = frame_of(entry.place, entry.shape, entry.resolution)
    return replace(entry, flow=degrees if on_ground else bearing_in(frame, degrees))


def turned_upward(entries: Sequence[Entry]) -> bool:
    """Tell whether a set was turned so that fronts run from left to right.

    Crops without a CRS whose fronts all do were turned by someone, and glaciers are then shown below
    the sea. Where labels are masks nothing needs to be known of it.
    """
    lines = [entry.lines[0] for entry in entries if entry.lines]
    turned = [abs(np.subtract(*line[[0, -1], 0])) < abs(np.subtract(*line[[0, -1], 1])) for line in lines]
    plain = all(entry.place is None and entry.flow is None and not entry.has_mask for entry in entries)
    return plain and len(turned) >= MIN_TURNED and float(np.mean(turned)) >= MOSTLY


def _entries(scenes: list[Scene], options: PrepareOptions) -> Iterator[tuple[Entry, F32, Bools | None]]:
    for scene in scenes:
        asset = image_of(scene)
        source = scene.assets[asset]
        image, place = read_image(source, options.band)
        shape = (image.shape[0], image.shape[1])
        facts = {k: str(v) for k, v in scene.properties.get("icectl:facts", {}).items()}
        if place is None:
            place = _stated_place(scene, shape, options, Info(source).world)
        if asset in RADAR or is_power(source, image):
            image = decibels(image)
        if asset in RADAR or is_radar(source):
            facts["radar"] = "yes"
        label = _label_of(scene, shape, place, options.label_kind)
        entry = Entry(
            id=scene.id,
            time=scene.time,
            dated=bool(scene.properties.get("icectl:dated", True)),
            shape=shape,
            lines=None if label is None else label.lines,
            has_mask=label is not None and label.mask is not None,
            place=place,
            resolution=_resolution(scene.id, facts, place, shape, options.resolution),
            file=str(source),
            facts=facts,
        )
        yield entry, image, None if label is None else label.mask


def _stated_place(
    scene: Scene, shape: tuple[int, int], options: PrepareOptions, own: Affine | None
) -> Place | None:
    """Return where an image without a CRS lies: as ``--bounds`` or its world file say, or its archive."""
    if options.bounds is not None or options.crs is not None:
        return place_on(assigned_grid(shape, options.crs, options.bounds, own=own))
    said = scene.properties.get("icectl:place")
    if said is None:
        return None
    grid = assigned_grid(shape, said["crs"], tuple(said["bounds"]))
    if not 0.9 < abs(grid.resolution.x / grid.resolution.y) < 1.1:
        raise DataError(
            f"the box that meta_data.csv gives for {scene.id} has another shape than the image",
            "correct the row, or remove the table: images are then without a CRS",
        )
    return place_on(grid)


def _resolution(
    name: str, facts: dict[str, str], place: Place | None, shape: tuple[int, int], given: float | None
) -> float | None:
    """Return metres per pixel on the ground: by the CRS, else the table's ``resolution``, else as given."""
    said = facts.get("resolution")
    if place is None and said is not None:
        try:
            given = float(said)
        except ValueError:
            given = -1.0
        if given <= 0:
            raise UsageError(
                f"the resolution of image {name} is '{said}'", "give metres per pixel in the table's column"
            )
    return metres_per_pixel(frame_of(place, shape, given))


IMAGES = ("image", "nir08", "red", "green", "pan", *RADAR)
"""Assets that are taken as the image, the first that is there."""


def decibels(image: F32) -> F32:
    """Return 10 log₁₀ of backscatter, NaN where it is not above zero.

    A few bright rocks would otherwise take the whole range, and ice and sea have one grey.
    """
    return np.asarray(10 * np.log10(np.where(image > 0, image, np.nan)), np.float32)


HEAVY = 4.0
"""Backscatter has a 99th percentile of more than so many medians; its decibels, however scaled, have not."""


def is_power(path: Path, image: F32) -> bool:
    """Tell whether a file holds backscatter, not decibels: floats of a polarisation, with a long tail."""
    if not is_radar(path) or Info(path).dtype not in FLOATS:
        return False
    low, middle, high = np.nanpercentile(image, (0, 50, 99))
    return bool(low >= 0 and high > HEAVY * middle)


def is_radar(path: Path) -> bool:
    """Tell whether a file or its bands are named after a polarisation."""
    words = re.split(r"[^a-z0-9]+", " ".join([path.stem, *map(str, Info(path).descriptions)]).lower())
    return not set(words).isdisjoint(RADAR)


def image_of(scene: Scene) -> str:
    """Return the asset that is a scene's image: ``image``, its best band, or whatever band there is."""
    others = [
        name for name in scene.assets if name not in FLAGS and name not in ("front", "mask", "label", "zones")
    ]
    for name in (*IMAGES, *others):
        if name in scene.assets:
            return name
    raise DataError(
        f"scene '{scene.id}' has no image among its assets ({', '.join(scene.assets)})",
        f"known: {', '.join(IMAGES)}",
    )


def _label_of(scene: Scene, shape: tuple[int, int], place: Place | None, kind: str) -> Label | None:
    """Return what is known of a scene's front: a label, or the lines and the mask of a source's own."""
    if "label" in scene.assets:
        day = scene.time if scene.properties.get("icectl:dated", True) else None
        return read_label(scene.assets["label"], shape, place, kind, day)
    if "front" not in scene.assets:
        return None
    line = read_label(scene.assets["front"], shape, place, "line")
    if "zones" in scene.assets:
        return Label(line.lines, ice_of(scene.assets["zones"], shape))
    mask = read_label(scene.assets["mask"], shape, place, "mask").mask if "mask" in scene.assets else None
    return Label(line.lines, mask)


def _returns(entry: Entry) -> bool:
    """Tell whether a label's longest line ends at the side of the image where it begins."""
    if not entry.lines:
        return False
    (row, column), size = entry.lines[0][[0, -1]].T, np.array(entry.shape)
    sides = (row, column, size[0] - 1 - row, size[1] - 1 - column)
    return any(bool((side < AT_BORDER).all()) for side in sides)


def _say_oddities(run: Run, entries: list[Entry]) -> None:
    """Tell of labels without a front, with several, and of images without a date."""
    odd = {
        "labels hold no front; they count as images without one": [e for e in entries if e.lines == ()],
        "labels hold several fronts; all are used": [e for e in entries if e.lines and len(e.lines) > 1],
        "labels are masks whose edge begins and ends at one side of the image: what is beside the ice counts "
        "as sea; give rock as nodata": [e for e in entries if e.has_mask and _returns(e)],
        "images have no date in their name or tags; their order is that of the names": [
            e for e in entries if not e.dated
        ],
    }
    for text, found in odd.items():
        if found:
            names = ", ".join(entry.id for entry in found[:SHOWN])
            run.warn(f"{len(found)} {text} ({names}{' …' if len(found) > SHOWN else ''})")
