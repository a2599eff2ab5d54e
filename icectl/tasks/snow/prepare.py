"""The recipe of `prepare`: scenes to one cube of snow masks.

Order: reflectance, clouds and fill masked by quality bits, gaps of the *bands* filled, *scenes* aligned,
NDSI, composites over periods, interpolation of empty periods, and the threshold last. Every layer of a
scene waits on disk between the steps, so memory holds strips of two scenes, read in two threads, and one of
the series; whole images where they are aligned, and a whole elevation model.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from icectl.arrays import F32, Array
from icectl.errors import DataError
from icectl.imagery import align, composite, indices
from icectl.imagery.composite import Flag
from icectl.imagery.gap_rows import fill_rows
from icectl.imagery.missing import nearest
from icectl.imagery.periods import Period, plan_periods
from icectl.imagery.threads import in_threads
from icectl.raster import Grid, grid_of, ground_metres, read_quantity, row_strips, same_grid
from icectl.run import Run
from icectl.sources.catalogue import read_catalogue
from icectl.sources.options import between
from icectl.sources.scene import Scene
from icectl.sources.sizes import scene_grid
from icectl.tasks.snow.dataset import CHUNK_ROWS, DEM, STORE, CubeWriter
from icectl.tasks.snow.masks import bands
from icectl.tasks.snow.masks.bands import BANDS, is_index
from icectl.tasks.snow.options import PrepareOptions
from icectl.workspace import own_folder, remove_file

MAX_VOID = 0.1
"""Share of a scene that an elevation model may leave without a height."""

SHARED = 0.9
"""Share of the largest scene below which it is said that scenes have less ground in common."""

FEW = 8
"""An index in percent takes more values than this; masks and classes take fewer."""

_STRIP, _PIXELS = 100, 2**22  # rows and pixels of a strip of the series, in chunks of the cube


@dataclass
class Layers:
    """What is kept of the scenes between the steps: memory-mapped files in a hidden folder.

    `folder`: where the files lie; `grid`: the common grid; `scenes`: scenes with at least one valid pixel,
    by their numbers; `values`: some of the values of a ready index, by the same; `facts`: what to
    tell afterwards.
    """

    folder: Path
    grid: Grid
    scenes: dict[int, Scene] = field(default_factory=dict)
    values: dict[int, set[float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def put(self, number: int, name: str, values: Array, top: int = 0) -> None:
        """Keep rows of one layer of scene `number`, from row `top` on."""
        path = self._path(number, name)
        with path.open("r+b" if path.exists() else "x+b") as file:
            file.truncate(self._shape[0] * self._shape[1] * values.itemsize)  # what is not written is 0
            file.seek(top * self._shape[1] * values.itemsize)
            values.tofile(file)

    def get(self, number: int, name: str) -> Array:
        """Return a layer as a memory map."""
        kind = np.bool_ if name == "filled" else np.float32
        return np.memmap(self._path(number, name), kind, mode="r", shape=self._shape)

    def has(self, number: int, name: str) -> bool:
        """Tell whether a layer was kept."""
        return self._path(number, name).is_file()

    def strips(self) -> list[slice]:
        """Return the rows of a scene in strips."""
        return [part.slices[0] for part in row_strips(self._shape)]

    def index_of_bands(self, number: int) -> None:
        """Make the index of a scene whose bands were kept, and let these go."""
        for rows in self.strips():
            made = indices.ndsi(*(self.get(number, name)[rows] for name in BANDS))
            self.put(number, "index", made, rows.start)
        for name in BANDS:
            remove_file(self._path(number, name))

    def fill(self, number: int, name: str) -> None:
        """Fill the gaps of a layer."""
        fill_rows(
            lambda rows: np.array(self.get(number, name)[rows]),
            lambda rows, values: self.put(number, name, values, rows.start),
            self.strips(),
        )

    @property
    def _shape(self) -> tuple[int, int]:
        return int(self.grid.shape[0]), int(self.grid.shape[1])

    def _path(self, number: int, name: str) -> Path:
        return self.folder / f"{number}-{name}"


def prepare(run: Run, options: PrepareOptions) -> Path:
    """Make the cube of the scenes catalogued in ``run.inputs["fetch"]`` in ``run.out``.

    DataError: for scenes on different grids, without the bands needed, or without one valid pixel.
    """
    scenes = read_catalogue(run.inputs["fetch"])
    within = [s for s in scenes if between(s.time.date(), options)]
    if not within:
        raise DataError(
            f"none of {len(scenes)} scenes lies between {options.start or 'the beginning'} "
            f"and {options.end or 'the end'}",
            "widen --start and --end",
        )
    with own_folder(run.out) as folder:
        layers = Layers(folder, common_grid(within))
        if sentence := scene_grid(within[0], _read_of(within[0]))[1]:
            run.say(sentence)
            run.notes["pixel sizes"] = sentence
        dem = options.dem or run.glacier.dem or run.inputs["fetch"] / DEM
        if dem != run.inputs["fetch"] / DEM or dem.is_file():  # read first: one that does not fit is refused
            layers.put(0, "height", _height(run, dem, layers.grid))
        _index_scenes(run, layers, within, options)
        return _compose(run, layers, options)


def common_grid(scenes: Sequence[Scene]) -> Grid:
    """Return the grid that all scenes share: the same one, or where grids of one raster overlap.

    Of bands of several pixel sizes it is the coarsest one's.

    DataError: if two scenes lie on different rasters; both are named.
    """
    names = [_read_of(scene) for scene in scenes]
    paths = [scene.asset(read[0]) for scene, read in zip(scenes, names, strict=True)]
    grids = [scene_grid(scene, read)[0] for scene, read in zip(scenes, names, strict=True)]
    result = first = grids[0]
    for path, grid in zip(paths[1:], grids[1:], strict=True):
        if grid == first:
            continue
        try:
            result = result & grid
        except ValueError:
            same_grid(first, grid, paths[0].name, path.name)
    if 0 in result.shape:
        raise DataError(f"the {len(scenes)} scenes have no pixel in common", "look at what the folder holds")
    least, most = sorted((result.shape, *(grid.shape for grid in grids)), key=math.prod)[:: len(grids)]
    if math.prod(least) < SHARED * math.prod(most):
        logging.getLogger("icectl").warning(
            f"the {len(scenes)} scenes have {least[0]} × {least[1]} pixels in common, of up to {most[0]} × "
            f"{most[1]}: these alone are read"
        )
    return result


def _read_of(scene: Scene) -> list[str]:
    """Return the assets that are read of a scene together: both bands, or one layer."""
    bands = [name for name in BANDS if name in scene.assets]
    return bands or ["ndsi" if "ndsi" in scene.assets else next(iter(scene.assets))]


def _index_scenes(run: Run, layers: Layers, scenes: Sequence[Scene], options: PrepareOptions) -> None:
    """Turn every scene into an NDSI layer."""
    ready = [is_index(scene) for scene in scenes]
    if any(ready) and not all(ready):
        raise DataError(
            "some scenes are a ready index (ndsi) and others are bands", "keep them in two folders"
        )
    aligning = options.align != "none" and not ready[0] and len(scenes) > 1

    def one(number: int) -> list[str] | None:
        return _read(layers, number, scenes[number], options.fill, aligning)

    with run.progress("reading scenes", total=len(scenes)) as advance:
        for number, notes in enumerate(in_threads(one, range(len(scenes)))):
            scene = scenes[number]
            for note in notes or ():
                run.warn(note)
            if notes is None:
                run.warn(f"scene {scene.id} has no valid pixel: left out")
            else:
                layers.scenes[number] = scene
            advance()
    if not layers.scenes:
        raise DataError(
            f"none of the {len(scenes)} scenes has a valid pixel", "look at clouds and nodata values"
        )
    if all(ready):
        _refuse_classes(layers, scenes[0].band("ndsi").scale in (None, 1.0))
    if aligning:
        _align(run, layers, options)
        for number in layers.scenes:
            layers.index_of_bands(number)


def _read(layers: Layers, number: int, scene: Scene, fill: bool, aligning: bool) -> list[str] | None:
    """Read a scene, fill its gaps, and keep its index, or its bands where they are to be aligned first.

    Return sentences for the user; None of a scene without a valid pixel.
    """
    read, seen = bands.SceneLayers(scene, layers.grid), dict[str, bool]()
    for window in row_strips(layers.grid.shape):
        missing = np.zeros((window.height, window.width), dtype=bool)
        for name, values in read.read(window).items():
            known = np.isfinite(values)
            missing |= ~known
            seen[name] = seen.get(name, False) or bool(known.any())
            layers.put(number, name, values, window.row)
            if name == "index":
                layers.values[number] = _some_of(values[known], layers.values.get(number, set()))
        if fill and missing.any():
            layers.put(number, "filled", missing, window.row)
    notes = read.notes()
    if not all(seen.values()):
        return None
    for name in seen if layers.has(number, "filled") else ():
        layers.fill(number, name)
    if len(seen) > 1 and not aligning:
        layers.index_of_bands(number)
    return notes


def _some_of(index: F32, before: set[float]) -> set[float]:
    """Return the least values of an index, rounded, one more than `FEW` of them, and the greatest.

    `before`: what was found of the rows before.
    """
    found = sorted({*before, *np.unique(index.round(4)).tolist()})
    return {*found[: FEW + 1], *found[FEW + 1 :][-1:]}


def _refuse_classes(layers: Layers, as_they_are: bool) -> None:
    """Refuse a mask of all scenes without snow or without other ground, and other numbers that are classes.

    `as_they_are`: the numbers are not scaled; then an index of many values may be without snow.
    """
    found = sorted(set().union(*layers.values.values()))
    few, snow = len(found) <= FEW, found[-1] >= indices.SNOW_THRESHOLD
    if (
        (not few and (snow or as_they_are))
        or set(found) == {0.0, 1.0}
        or (as_they_are and snow and found != [1])
    ):
        return
    some = ", ".join(f"{value:g}" for value in found) if few else f"{found[0]:g} to {found[-1]:g}"
    raise DataError(
        f"all scenes together hold an index of {some} and nothing else: "
        "no snow, or a mask or classes scaled as something else",
        "--scale 1 reads shares or a mask of 0 and 1 (where 0 is not declared nodata), --scale 0.01 percent, "
        "--scale 0.00392157 a mask of 0 and 255; write classes as 0 and 1",
    )


def _align(run: Run, layers: Layers, options: PrepareOptions) -> None:
    """Lay every scene onto the temporal median or mean; keep what gains nothing by it, with a warning."""
    motion: align.Motion = "homography" if options.align == "homography" else "translation"
    count, shape = len(layers.scenes), (int(layers.grid.shape[0]), int(layers.grid.shape[1]))

    numbers = list(layers.scenes)

    def grey(place: int, rows: slice) -> F32:
        return align.grey(*(layers.get(numbers[place], name)[rows] for name in BANDS))

    reference = align.reference_image(grey, count, shape, "mean" if motion == "homography" else "median")
    reached: list[float] = []
    kept: dict[str, str] = {}
    with run.progress("aligning scenes", total=count) as advance:
        for place, (number, scene) in enumerate(layers.scenes.items()):
            found = align.estimate(reference, grey(place, slice(None)), motion)
            if not np.isnan(found.correlation):
                reached.append(found.correlation)
            if found.aligned:
                _warp(layers, number, found)
            else:
                kept[scene.id] = found.reason
            advance()
    said = f"{count - len(kept)} of {count} scenes by {motion}"
    if reached:
        said += f"; correlation {min(reached):.3f} to {max(reached):.3f}"
    layers.facts["aligned"] = said
    run.say(f"aligned {said}")
    if kept:
        run.notes["scenes kept unaligned"] = kept
        name, why = next(iter(kept.items()))
        others = f" (and {len(kept) - 1} more, see stage.json)" if len(kept) > 1 else ""
        run.warn(f"scene {name} is kept unaligned: {why}{others}")


def _warp(layers: Layers, number: int, found: align.Alignment) -> None:
    for name in BANDS:
        layers.put(number, name, align.warp(np.array(layers.get(number, name)), found))
    if layers.has(number, "filled"):
        layers.put(number, "filled", align.warp_mask(np.array(layers.get(number, "filled")), found))


def _periods(layers: Layers, options: PrepareOptions) -> list[Period]:
    times = [scene.time for scene in layers.scenes.values()]
    if options.cadence == "months":
        return plan_periods(times, options.months, options.start, options.end)
    days = sorted({time.date() for time in times})
    return [Period(day, tuple(i for i, time in enumerate(times) if time.date() == day)) for day in days]


def _compose(run: Run, layers: Layers, options: PrepareOptions) -> Path:
    """Composite, interpolate, threshold, and write the cube strip by strip."""
    periods = _periods(layers, options)
    statistic: composite.Statistic = "median" if options.composite == "median" else "mean"
    shape = (int(layers.grid.shape[0]), int(layers.grid.shape[1]))

    numbers = list(layers.scenes)

    def rows_of(place: int, rows: slice) -> composite.Scene:
        number = numbers[place]
        values = np.array(layers.get(number, "index")[rows])
        if options.composite == "mean-of-masks":
            values = indices.snow_mask(values)
        return values, (
            np.array(layers.get(number, "filled")[rows]) if layers.has(number, "filled") else None
        )

    empty = sum(not period.scenes for period in periods)
    facts = {
        "frames": len(periods),
        "first": periods[0].start.isoformat(),
        "last": periods[-1].start.isoformat(),
        "cadence": f"{options.months} months" if options.cadence == "months" else "scenes",
        "composite": options.composite,
        "scenes": len(layers.scenes),
        "interpolated frames": [p.start.isoformat() for p in periods if not p.scenes],
        **layers.facts,
    }
    writer = CubeWriter(run.out / STORE, [period.start for period in periods], layers.grid, facts)
    shares = np.zeros(3)
    rows = min(_STRIP, _PIXELS // (len(periods) * shape[1])) // CHUNK_ROWS * CHUNK_ROWS
    days = [period.start.toordinal() for period in periods] if options.cadence == "scenes" else None
    strips = composite.composite_strips(rows_of, periods, shape, statistic, max(rows, CHUNK_ROWS), days)
    with run.progress("compositing", total=shape[0]) as advance:
        for part, values, flags in strips:
            writer.write(part, indices.snow_mask(values), flags)
            shares += [(flags == kind).sum() for kind in (0, Flag.FILLED, Flag.INTERPOLATED)]
            advance(part.stop - part.start)
    shares /= len(periods) * shape[0] * shape[1]
    for name, share in zip(("missing", "filled", "interpolated"), shares, strict=True):
        writer.facts[f"share {name}"] = round(float(share), 6)
    if layers.has(0, "height"):
        writer.write_height(layers.get(0, "height"))
    writer.close()
    run.notes["dataset"] = writer.facts
    run.say(
        f"{len(periods)} frames of {shape[0]} × {shape[1]} pixels, {empty} of them interpolated; "
        f"{shares[1]:.1%} of the pixels filled, {shares[0]:.1%} missing"
    )
    return run.out


def _height(run: Run, path: Path, grid: Grid) -> F32:
    """Return heights (rows, columns) in metres on `grid`; small voids take their neighbours' heights.

    DataError: the elevation model leaves more than `MAX_VOID` of the scene without a height.
    """
    finer = ground_metres(grid_of(path)) < 0.5 * ground_metres(grid)
    found = read_quantity(path, "elevation", grid=grid, resampling="average" if finer else None)
    for note in found.notes:
        run.warn(note)
    void = 1 - found.valid.mean()
    if void > MAX_VOID:
        raise DataError(
            f"{path} has no height on {void:.0%} of the scene",
            f"give an elevation model of all of it (at most {MAX_VOID:.0%} may be missing)",
        )
    return found.values if not void else nearest(found.values, found.valid).astype(np.float32, copy=False)
