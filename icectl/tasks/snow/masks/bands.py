"""The two bands of the NDSI as reflectances without clouds, from any sensor the sources deliver."""

from dataclasses import replace

from icectl.arrays import Bools
from icectl.errors import DataError
from icectl.imagery import qa
from icectl.imagery.margins import filled
from icectl.raster import Field, Grid
from icectl.sources.reading import check_reflectance, read_asset, usable
from icectl.sources.scene import Scene

BANDS = ("green", "swir16")


def is_index(scene: Scene) -> bool:
    """Tell whether a scene is a ready NDSI (and not bands to make one from)."""
    return "ndsi" in scene.assets and not set(BANDS) <= set(scene.assets)


def read_index(scene: Scene, grid: Grid) -> Field:
    """Return a ready NDSI on `grid`, without the clouds that a quality layer tells.

    Where it has negative values, which a mask or a threshold leaves out, patches of exactly 0 hold nothing.

    DataError: its values are no index.
    """
    found = read_asset(scene, "ndsi", "index", grid=grid, resampling="nearest")
    if (found.values < 0).any() and (fill := filled(found.values[None])).any():
        note = f"{scene.id}: patches of exactly 0 ({fill.mean():.1%} of the pixels) are taken for missing"
        found = replace(_only(found, ~fill), notes=(*found.notes, note))
    return _only(found, usable(scene, grid))


def green_and_swir(scene: Scene, grid: Grid) -> tuple[Field, Field]:
    """Return green and short-wave infrared reflectance on `grid`; NaN where there is none, or cloud.

    DataError: if a band is missing, nobody states what its numbers mean, or its values contradict that.
    """
    missing = [name for name in BANDS if name not in scene.assets]
    if missing:
        raise DataError(
            f"scene '{scene.id}' has no {' and no '.join(missing)}: it has {', '.join(sorted(scene.assets))}",
            "the snow task needs green and swir16, or a ready ndsi; --bands names those of a stack in order",
        )
    green, swir = (read_asset(scene, name, "reflectance", grid=grid) for name in BANDS)
    clear = usable(scene, grid)
    found = _only(green, clear), _only(swir, clear)
    for name, field in zip(BANDS, found, strict=True):
        check_reflectance(field.values, scene.asset(name))
    return found


def _only(field: Field, clear: Bools | None) -> Field:
    if clear is None:
        return field
    return replace(field, values=qa.keep(field.values, clear), valid=field.valid & clear)
