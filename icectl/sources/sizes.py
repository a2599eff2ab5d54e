"""Layers of one scene with pixels of several sizes: which file of a band is taken, and on which grid."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from icectl.errors import DataError
from icectl.raster import Grid, Info, grid_of
from icectl.sources.files import ImageFile
from icectl.sources.names import QUALITY
from icectl.sources.scene import Scene

SLACK = 1.0
"""How many coarse pixels the edges of two layers of the same ground may lie apart."""


def one_of_each(files: Sequence[ImageFile]) -> list[ImageFile]:
    """Return the files with one of each band of a Sentinel-2 scene, where it is there in several sizes.

    The pixels wanted are the finest in which every band comes; of finer and coarser files of a band the
    coarsest that is not coarser than that is taken, and for a quality layer likewise, else its finest.
    """
    scenes: dict[object, dict[str | None, list[ImageFile]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        of_one = file.named.product == "Sentinel-2"
        key = (file.named.period, file.named.scene) if of_one else (file.path,)
        scenes[key][file.named.asset].append(file)
    return [file for assets in scenes.values() for file in _chosen(assets)]


def _chosen(assets: dict[str | None, list[ImageFile]]) -> Iterable[ImageFile]:
    """Return the file of each asset of one scene; files of one size are left to be refused as they are."""
    finest = [min(map(_side, found)) for name, found in assets.items() if name not in QUALITY]
    wanted = max(finest or [min(map(_side, found)) for found in assets.values()])
    for found in assets.values():
        sides = {_side(file) for file in found}
        side = max((s for s in sides if s <= wanted * 1.001), default=min(sides))
        yield from (file for file in found if _side(file) == side)


def _side(file: ImageFile) -> float:
    return max(file.resolution)


def same_ground(files: Sequence[ImageFile]) -> None:
    """Refuse files without CRS, mixed CRS, dates of differing pixel sizes, and layers of other ground.

    Within one date, bands of several pixel sizes that cover the same ground are read on one grid.

    DataError: names two files that do not fit.
    """
    all_or_none_placed({file.path: file.crs for file in files})
    for file in files:
        if file.crs is None:
            raise DataError(f"{file.path} has no coordinate reference system", Info(file.path).advice)
    for file in files[1:]:
        if file.crs != files[0].crs:
            raise _mixed("CRS", files[0], str(files[0].crs), file, str(file.crs))
    dates: dict[object, list[ImageFile]] = defaultdict(list)
    for file in files:
        if file.named.asset not in QUALITY:  # a quality layer may be coarser
            dates[file.named.period].append(file)
    coarsest = []
    for bands in dates.values():
        coarse = max(bands, key=_side)
        coarsest.append(coarse)
        for file in bands:
            if _differ(coarse, file) and not _covers_the_same(coarse, file):
                raise DataError(
                    f"{file.path.name} and {coarse.path.name} have pixels of {_side(file):g} and "
                    f"{_side(coarse):g} and do not cover the same ground",
                    "cut both to the same extent (gdalwarp -te …), or bring them onto one grid (-tr … -tap)",
                )
    for file in coarsest[1:]:
        if _differ(coarsest[0], file):
            sizes = ["{:g} × {:g}".format(*one.resolution) for one in (coarsest[0], file)]
            raise _mixed("pixel sizes", coarsest[0], sizes[0], file, sizes[1])


def all_or_none_placed(files: Mapping[Path, object]) -> None:
    """Refuse images of which some have a CRS and some have none, given by their paths.

    DataError: names those without.
    """
    bare = [path for path, crs in files.items() if crs is None]
    if bare and len(bare) < len(files):
        more = f" and {len(bare) - 3} more" if len(bare) > 3 else ""
        raise DataError(
            f"{len(bare)} of the {len(files)} images of {bare[0].parent} have no CRS, the others have one: "
            f"{', '.join(path.name for path in bare[:3])}{more}",
            "keep images with and without a CRS in folders of their own",
        )


def _differ(one: ImageFile, other: ImageFile) -> bool:
    return any(abs(a - b) > 1e-6 * a for a, b in zip(one.resolution, other.resolution, strict=True))


def _covers_the_same(coarse: ImageFile, fine: ImageFile) -> bool:
    """Tell whether the edges of two layers lie within a coarse pixel of one another."""
    if coarse.grid is None or fine.grid is None:
        return False
    edges = np.abs(np.subtract(tuple(coarse.grid.boundingbox.bbox), tuple(fine.grid.boundingbox.bbox)))
    return bool(np.all(edges <= SLACK * _side(coarse)))


def _mixed(what: str, first: ImageFile, ours: str, file: ImageFile, theirs: str) -> DataError:
    return DataError(
        f"mixed {what}: {first.path.name} has {ours}, {file.path.name} has {theirs}",
        "bring them onto one grid (gdalwarp -t_srs … -tr …), or keep them in folders of their own",
    )


def scene_grid(scene: Scene, names: Collection[str]) -> tuple[Grid, str]:
    """Return the grid to read bands of a scene on, and a sentence where they differ in pixel size.

    It is that of the coarsest band: what is finer is averaged onto it, so that all show the same ground.

    `scene` and `names`: the scene, and which of its assets are read together.
    """
    grids = {name: grid_of(scene.asset(name)) for name in names}
    sides = {name: max(abs(grid.affine.a), abs(grid.affine.e)) for name, grid in grids.items()}
    coarse = max(sides, key=lambda name: sides[name])
    finer = [name for name in sides if sides[name] < sides[coarse] * (1 - 1e-6)]
    if not finer:
        return grids[coarse], ""
    unit = " m" if grids[coarse].crs is not None and grids[coarse].crs.projected else ""
    said = ", ".join(f"{name} of {sides[name]:g}{unit}" for name in finer)
    verb = "is" if len(finer) == 1 else "are"
    sentence = f"{said} {verb} averaged onto the pixels of {coarse} of {sides[coarse]:g}{unit}"
    if any(layer in scene.assets for layer in QUALITY):
        sentence += "; quality layers are taken at the nearest pixel"
    return grids[coarse], sentence
