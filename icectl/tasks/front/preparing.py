"""Stage two: images and labels become one data set with roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from icectl.errors import DataError
from icectl.sources.catalogue import Scene, read_catalogue
from icectl.sources.products import FLAGS
from icectl.tasks.front.dataset import DataWriter, Entry
from icectl.tasks.front.fetching import RADAR
from icectl.tasks.front.ground import Texture
from icectl.tasks.front.images import Label, Place, read_image, read_label
from icectl.tasks.front.places import look_of, places_of
from icectl.tasks.front.series import LEAST
from icectl.tasks.front.split import Moment, audit, split_images

if TYPE_CHECKING:
    from icectl.run import Run
    from icectl.tasks.front.options import PrepareOptions

SHOWN = 5

LEAST_TURNED = 5
"""Fewest fronts that tell how a set was turned."""

MOSTLY = 0.95
"""Share of them that must agree."""


def prepare(run: Run, options: PrepareOptions) -> Path:
    """Read every image and label of the fetched catalogue and write the data set."""
    writer = DataWriter(run.out)
    entries: list[Entry] = []
    looks: list[Texture] = []
    scenes = read_catalogue(run.inputs["fetch"])
    with run.progress("preparing", total=len(scenes)) as advance:
        for entry, image, mask in _entries(scenes, options):
            writer.add(entry, image, mask)
            entries.append(entry)
            looks.append(look_of(image))
            advance()
    _say_oddities(run, entries)
    names = places_by_looks(entries, looks)
    if names:
        run.say(f"{len(set(names.values()))} places are told apart by their ground (--table names glaciers)")
    entries = [entry.named(names.get(entry.id)) for entry in entries]
    labelled = [i for i, entry in enumerate(entries) if entry.lines is not None]
    moments = [Moment(entries[i].glacier, entries[i].time) for i in labelled]
    roles = ["unlabelled"] * len(entries)
    shares = (options.valid_share, options.test_share, options.guard)
    for i, role in zip(labelled, split_images(moments, options.held_out, *shares), strict=True):
        roles[i] = role
    flow = flow_of(entries) if options.flow == "auto" else options.flow
    if flow not in (options.flow, "unknown"):
        run.say(f"all fronts run from left to right: ice is taken to flow {flow} (--flow says otherwise)")
    writer.finish(roles, flow, audit(moments, [roles[i] for i in labelled]), names)
    return run.out


def places_by_looks(entries: Sequence[Entry], looks: Sequence[Texture]) -> dict[str, str]:
    """Return names of places by image, where neither a name nor a CRS tells them.

    Empty when all are of one place; images of which a place has fewer than a series stay without a name.
    """
    nameless = [k for k, entry in enumerate(entries) if "glacier" not in entry.facts and entry.place is None]
    numbers = places_of([looks[k] for k in nameless])
    series = [number for number in sorted(set(numbers)) if numbers.count(number) >= LEAST]
    if len(set(numbers)) < 2:
        return {}
    return {
        entries[k].id: f"place {series.index(number) + 1}"
        for k, number in zip(nameless, numbers, strict=True)
        if number in series
    }


def flow_of(entries: Sequence[Entry]) -> str:
    """Return ``"up"`` for a set that was turned so that fronts run from left to right, else ``"unknown"``.

    Crops without a CRS whose fronts all do were turned by someone, and glaciers are then shown below
    the sea. Where labels are masks nothing needs to be known of it.
    """
    lines = [entry.lines[0] for entry in entries if entry.lines]
    turned = [abs(np.subtract(*line[[0, -1], 0])) < abs(np.subtract(*line[[0, -1], 1])) for line in lines]
    plain = all(entry.place is None and not entry.has_mask for entry in entries)
    return "up" if plain and len(turned) >= LEAST_TURNED and np.mean(turned) >= MOSTLY else "unknown"


def _entries(
    scenes: list[Scene], options: PrepareOptions
) -> Iterator[tuple[Entry, NDArray[np.float32], NDArray[np.bool_] | None]]:
    """Yield what is stored of each scene."""
    for scene in scenes:
        asset = image_of(scene)
        source = scene.assets[asset]
        image, place = read_image(source, options.band)
        if asset in RADAR:
            image = decibels(image)
        label = _label_of(scene, (image.shape[0], image.shape[1]), place, options.label_kind)
        entry = Entry(
            id=scene.id,
            time=scene.time,
            dated=bool(scene.properties.get("icectl:dated", True)),
            shape=(image.shape[0], image.shape[1]),
            lines=None if label is None else label.lines,
            has_mask=label is not None and label.mask is not None,
            place=place,
            resolution=metres_per_pixel(place, options.resolution),
            file=str(source),
            facts={k: str(v) for k, v in scene.properties.get("icectl:facts", {}).items()},
        )
        yield entry, image, None if label is None else label.mask


IMAGES = ("image", "nir08", "red", "green", "pan", *RADAR)
"""Assets that are taken as the image, the first that is there."""


def decibels(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 10 log₁₀ of backscatter, NaN where it is not above zero.

    A few bright rocks would otherwise take the whole range, and ice and sea have one grey.
    """
    return np.asarray(10 * np.log10(np.where(image > 0, image, np.nan)), np.float32)


def image_of(scene: Scene) -> str:
    """Return the asset that is a scene's image: ``image``, its best band, or whatever band there is."""
    others = [name for name in scene.assets if name not in FLAGS and name not in ("front", "mask", "label")]
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
        return read_label(scene.assets["label"], shape, place, kind)
    if "front" not in scene.assets:
        return None
    line = read_label(scene.assets["front"], shape, place, "line")
    mask = read_label(scene.assets["mask"], shape, place, "mask").mask if "mask" in scene.assets else None
    return Label(line.lines, mask)


def metres_per_pixel(place: Place | None, given: float | None) -> float | None:
    """Return the pixel size: of a projected image, else what the user said."""
    if place is None:
        return given
    from pyproj import CRS

    a, b, _, d, e, _ = place.transform
    crs = CRS.from_user_input(place.crs)
    return float(np.sqrt(abs(a * e - b * d))) if crs.is_projected else given


def _say_oddities(run: Run, entries: list[Entry]) -> None:
    """Tell of labels without a front, with several, and of images without a date."""
    odd = {
        "labels hold no front; they count as images without one": [e for e in entries if e.lines == ()],
        "labels hold several fronts; all are used": [e for e in entries if e.lines and len(e.lines) > 1],
        "images have no date in their name; their order is that of the names": [
            e for e in entries if not e.dated
        ],
    }
    for text, found in odd.items():
        if found:
            names = ", ".join(entry.id for entry in found[:SHOWN])
            run.warn(f"{len(found)} {text} ({names}{' …' if len(found) > SHOWN else ''})")
