"""The layers of a snow index without clouds, from any sensor the sources deliver: two bands, or it itself."""

from functools import cached_property, partial
from math import prod

import numpy as np

from icectl.arrays import F32, Bools
from icectl.errors import DataError
from icectl.imagery import qa
from icectl.imagery.margins import PATCH, filled
from icectl.raster import Grid, Window, row_strips
from icectl.sources.reading import asset_reader, check_reflectance, clear_of
from icectl.sources.scene import Scene

BANDS = ("green", "swir16")

SAMPLE = 100_000
"""Pixels of a scene, about, that tell whether its numbers can be reflectances."""


def is_index(scene: Scene) -> bool:
    """Tell whether a scene is a ready NDSI (and not bands to make one from)."""
    return "ndsi" in scene.assets and not set(BANDS) <= set(scene.assets)


class SceneLayers:
    """Reads green and short-wave infrared reflectance of a scene, or its ready index, in parts of a grid.

    DataError: a band is missing, or nobody states what its numbers mean.
    """

    def __init__(self, scene: Scene, grid: Grid) -> None:
        missing = [name for name in BANDS if name not in scene.assets]
        if is_index(scene):
            self._readers = {"index": asset_reader(scene, "ndsi", "index", grid=grid, resampling="nearest")}
        elif missing:
            raise DataError(
                f"scene '{scene.id}' has no {' and no '.join(missing)}: it has "
                f"{', '.join(sorted(scene.assets))}",
                "the snow task needs green and swir16, or a ready ndsi; "
                "--bands names those of a stack in order",
            )
        else:
            self._readers = {name: asset_reader(scene, name, "reflectance", grid=grid) for name in BANDS}
        self._scene, self._shape, self._clear = scene, grid.shape, clear_of(scene, grid)
        self._again = partial(asset_reader, scene, "ndsi", "index", grid=grid, resampling="nearest")
        self._zeros = 0
        self._step = max(1, grid.shape[0] * grid.shape[1] // SAMPLE)
        self._samples: dict[str, list[F32]] = {name: [] for name in BANDS}

    def read(self, window: Window | None = None) -> dict[str, F32]:
        """Return each layer by its name, NaN where there is no value, or cloud."""
        found = {name: reader.read(window).values for name, reader in self._readers.items()}
        index = found.get("index")
        if index is not None and (index == 0).any() and ((index < 0).any() or self._signed):
            patches = self._patches(index, window)
            self._zeros += int(patches.sum())
            found["index"] = qa.keep(index, ~patches)
        clear = self._clear(window)
        if clear is not None:
            found = {name: qa.keep(values, clear) for name, values in found.items()}
        for name in set(BANDS) & set(found):
            known = found[name][np.isfinite(found[name])]
            self._samples[name].append(known[:: self._step].copy())  # a view would keep all of it
        return found

    def notes(self) -> list[str]:
        """Return sentences on what was mended in all that was read.

        DataError: values contradict what they are said to be.
        """
        notes = [note for reader in self._readers.values() for note in reader.notes()]
        if self._zeros:
            share = f"{self._zeros / prod(self._shape):.1%} of the pixels"
            notes.append(f"{self._scene.id}: patches of exactly 0 ({share}) are taken for missing")
        for name in set(BANDS) & set(self._readers):
            check_reflectance(np.concatenate(self._samples[name]), self._scene.asset(name))
        return notes

    @cached_property
    def _signed(self) -> bool:
        """Whether the whole index has negative values, which a mask or a threshold leaves out."""
        again = self._again()
        return any(bool((again.read(part).values < 0).any()) for part in row_strips(self._shape))

    def _patches(self, index: F32, window: Window | None) -> Bools:
        """Return patches of exactly 0, which hold nothing; rows around may belong to one."""
        if window is None or window.height == self._shape[0]:
            return filled(index[None])
        top, bottom = max(window.row - PATCH, 0), min(window.row + window.height + PATCH, self._shape[0])
        around = self._again().read(window._replace(row=top, height=bottom - top)).values
        return filled(around[None])[window.row - top :][: window.height]
