"""Frames: scenes read onto one grid, band by band, with masks of what can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

from icectl import raster
from icectl.arrays import F32, F64, Bools
from icectl.errors import DataError
from icectl.imagery import qa
from icectl.imagery.margins import undeclared
from icectl.raster import Grid
from icectl.run import Run
from icectl.sources.names import QUALITY
from icectl.sources.reading import read_asset, usable
from icectl.sources.scene import Scene
from icectl.sources.sizes import all_or_none_placed, scene_grid
from icectl.tasks.flow.options import PrepareOptions

BLACK = 8
"""Grey levels up to this may be a fill in 8-bit pictures without a nodata value: JPEG blurs its border."""

WIDER = 2.0
"""Pixels that many times as wide as those of the first frame show less than its chips hold."""

EDGE = 9
"""Pixels eroded from the border of valid ground: compression and resampling soil it."""


@dataclass(frozen=True, slots=True)
class Series:
    """Frames of one place by time.

    `values`: ``(time, band, rows, cols)`` float32 in the sensor's units; 0 where invalid.
    `valid`: ``(time, rows, cols)``: pixels that every band has.
    `cloud`: ``(time, rows, cols)``: known or guessed cloud, or None where neither was asked for.
    `aerosol`: ``(time,)`` share of valid pixels with high aerosol; NaN where not told.
    `grid`: where the pixels are; a grid in pixels (no CRS) for plain pictures.
    """

    times: tuple[datetime, ...]
    names: tuple[str, ...]
    bands: tuple[str, ...]
    values: F32
    valid: Bools
    cloud: Bools | None
    aerosol: F64
    grid: Grid

    def take(self, keep: Sequence[int]) -> Series:
        """Return the frames numbered `keep`."""
        k = list(keep)
        cloud = None if self.cloud is None else self.cloud[k]
        times, names = tuple(self.times[i] for i in k), tuple(self.names[i] for i in k)
        return replace(
            self, times=times, names=names, values=self.values[k], valid=self.valid[k], cloud=cloud,
            aerosol=self.aerosol[k],
        )  # fmt: skip


def read_series(run: Run, scenes: Sequence[Scene], options: PrepareOptions) -> Series:
    """Read all scenes onto the grid of the first.

    DataError: if the scenes differ in bands (RGB against one band) or, as plain pictures, in size.
    """
    if not scenes:
        raise DataError("there are no scenes to prepare", "fetch some first")
    grid = grid_of(scenes[0], options)
    bands = bands_of(scenes[0])
    if grid.crs is not None and (sentence := _sizes(scenes[0])):
        run.say(sentence)
        run.notes["pixel sizes"] = sentence
    values = np.zeros((len(scenes), len(bands), *grid.shape), np.float32)
    valid, cloud = np.zeros((2, len(scenes), *grid.shape), dtype=bool)
    aerosol = np.full(len(scenes), np.nan)
    told = 0
    all_or_none_placed({path: raster.Info(path).crs for scene in scenes for _, path in _images(scene)})
    scaled = _scales_differ(scenes)
    with run.progress("reading scenes", total=len(scenes)) as advance:
        for i, scene in enumerate(scenes):
            if bands_of(scene) != bands:
                raise DataError(
                    f"{scene.id} has {', '.join(bands_of(scene))}; {scenes[0].id} has {', '.join(bands)}",
                    "give scenes with the same bands (not RGB and single-band images together)",
                )
            values[i], valid[i] = _bands(scene, grid, scaled)
            if words := _coarser(scene, grid):
                run.warn(f"{words} of {scenes[0].id}: the stated errors of its velocities are too small")
            if not valid[i].any():
                run.warn(f"{scene.id} has no valid pixel on the ground of {scenes[0].id}")
            clear = usable(scene, grid)  # by the scene's quality layer: neither cloud, cirrus nor shadow
            if clear is not None:
                cloud[i], told = ~clear, told + 1
            aerosol[i] = _aerosol(scene, grid, valid[i])
            advance()
    known_cloud = cloud if told == len(scenes) else None
    times, names = tuple(s.time for s in scenes), tuple(s.id for s in scenes)
    return Series(times, names, bands, values, valid, known_cloud, aerosol, grid)


def grid_of(scene: Scene, options: PrepareOptions) -> Grid:
    """Return the grid of the scene's coarsest band; of plain pictures what the user says, else pixels."""
    info = raster.Info(_images(scene)[0][1])
    if info.crs is not None:
        return scene_grid(scene, [name for name, _ in _images(scene)])[0]
    return raster.assigned_grid(info.shape, options.crs, options.bounds, options.resolution, info.world)


def _sizes(scene: Scene) -> str:
    """Say what is done where the bands of a scene differ in pixel size."""
    with_crs = [name for name, path in _images(scene) if raster.Info(path).crs is not None]
    return scene_grid(scene, with_crs)[1] if len(with_crs) > 1 else ""


def _coarser(scene: Scene, grid: Grid) -> str:
    """Say where a scene's pixels are much wider than those that it is read on."""
    own = raster.Info(_images(scene)[0][1]).grid
    if own is None or grid.crs is None:
        return ""
    theirs, ours = raster.ground_metres(own), raster.ground_metres(grid)
    return (
        f"{scene.id} has pixels of {theirs:.3g} m, {theirs / ours:.2g} times those"
        if theirs > WIDER * ours
        else ""
    )


def _images(scene: Scene) -> list[tuple[str, Path]]:
    """Return the assets that are bands, in their order."""
    found = [(name, path) for name, path in scene.assets.items() if name not in (*QUALITY, "mask", "truth")]
    if not found:
        raise DataError(f"scene '{scene.id}' holds no image band")
    return found


def bands_of(scene: Scene) -> tuple[str, ...]:
    """Return band names: those of the assets, or ``red, green, blue`` of a picture."""
    names: list[str] = []
    for name, path in _images(scene):
        numbers = _numbers(name, raster.Info(path))
        colours = ["red", "green", "blue"]
        names += (
            [name]
            if len(numbers) == 1
            else colours
            if len(numbers) == 3
            else [f"{name}_{n}" for n in numbers]
        )
    return tuple(names)


def _numbers(name: str, info: raster.Info) -> list[int]:
    """Return the bands of a picture, without transparency and a fourth beside colours; one of others."""
    if name != "image":
        return [1]
    numbers = [number for number in range(1, info.count + 1) if number != info.alpha]
    return numbers[:3] if len(numbers) == 4 else numbers


def _scales_differ(scenes: Sequence[Scene]) -> bool:
    """Tell whether a band is stored with another scale in one frame than in others."""
    stated = {
        (name, scene.band(name).scale, scene.band(name).offset) for scene in scenes for name in scene.assets
    }
    return len({name for name, _, _ in stated}) < len(stated)


def _bands(scene: Scene, grid: Grid, scaled: bool) -> tuple[F32, Bools]:
    """Read every band of a scene as grey levels, and the pixels that all of them have."""
    fields = []
    for name, path in _images(scene):
        info = raster.Info(path)
        if info.crs is None and tuple(info.shape) != tuple(grid.shape):
            raise DataError(
                f"{path.name} is of {tuple(info.shape)} pixels, the first frame of {tuple(grid.shape)}",
                "pictures without georeference must be of one size",
            )
        target = None if info.crs is None else grid
        numbers = _numbers(name, info)
        if len(numbers) > 1:
            fields += [raster.read_quantity(path, "grey", band=b, grid=target) for b in numbers]
        else:
            fields.append(read_asset(scene, name, "grey", grid=target, scaled=scaled))
    valid = np.asarray(np.all([field.valid for field in fields], axis=0))
    values = np.stack([np.where(field.valid, field.values, np.float32(0)) for field in fields])
    soiled = info.nodata is None and info.dtype == "uint8"
    valid &= ~undeclared(np.stack([field.values for field in fields]), BLACK if soiled else 0)
    return values * valid, valid


def _aerosol(scene: Scene, grid: Grid, valid: Bools) -> float:
    """Return the share of valid pixels whose aerosol level is high."""
    if "qa_aerosol" not in scene.assets or not valid.any():
        return float("nan")
    low = qa.low_aerosol(raster.read_on(scene.asset("qa_aerosol"), grid, "nearest"))
    return float((~low)[valid].mean())


def sound(valid: Bools) -> Bools:
    """Pixels valid in every frame, less a border of `EDGE` pixels around gaps."""
    always = valid.all(axis=0).astype(np.uint8)
    kernel = np.ones((EDGE, EDGE), np.uint8)
    return np.asarray(cv2.erode(always, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0)
