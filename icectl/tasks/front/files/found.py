"""Which files of a folder are images: all of them, or one band of each scene as archives deliver it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from icectl.errors import DataError
from icectl.sources.names import PREVIEW, by_name

_ABOUT = frozenset({"QI_DATA", "AUX_DATA"})
"""Folders of Sentinel-2's SAFE format whose rasters are about the image."""


def images_in(places: Iterable[Path], suffixes: frozenset[str], asset: str) -> list[Path]:
    """Return the images of folders, sorted by name.

    Rasters directly in a folder are taken; if there are none, those of the folders in it. Where several
    layers of one Landsat, Sentinel-2 or HLS scene are there, one band of it is the image.

    Parameters
    ----------
    places
        Folders.
    suffixes
        Endings of images, in lower case.
    asset
        The band of a scene of several, e.g. ``"nir08"``.

    Raises
    ------
    DataError
        A scene of several bands has no such band.
    """
    scenes: dict[str, list[tuple[str | None, Path]]] = defaultdict(list)
    for place in places:
        files = sorted(_rasters(place.iterdir(), suffixes)) or sorted(_rasters(place.rglob("*"), suffixes))
        for path in files:
            named = by_name(path.stem)
            scenes[named.scene if named.product else str(path)].append((named.asset, path))
    return sorted(_image_of(scene, layers, asset) for scene, layers in scenes.items())


def _rasters(files: Iterable[Path], suffixes: frozenset[str]) -> Iterator[Path]:
    for path in files:
        shown = path.suffix.lower() in suffixes and not path.name.startswith(".")
        if shown and path.is_file() and path.parent.name not in _ABOUT and not PREVIEW.search(path.stem):
            yield path


def _image_of(scene: str, layers: list[tuple[str | None, Path]], asset: str) -> Path:
    """Return the file of a scene's only layer, or of the band that is asked for."""
    if len(layers) == 1:
        return layers[0][1]
    chosen = [path for name, path in layers if name == asset]
    if not chosen:
        names = ", ".join(sorted({name for name, _ in layers if name and name != "unused"}))
        raise DataError(f"{scene} has no band '{asset}', but {names}", "name one of them with --asset")
    return chosen[0]  # of several pixel sizes the finest: …_10m comes before …_20m
