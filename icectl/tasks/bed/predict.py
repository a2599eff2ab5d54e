"""Predict: bed, thickness and volume of glaciers, one job each; or the holes of an elevation model."""

import csv
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.strtree import STRtree

from icectl.arrays import Bools
from icectl.cluster import each
from icectl.errors import DataError, IcectlError, UsageError, WorkError
from icectl.raster import Grid, Info, rasterize, read_on, read_vectors
from icectl.run import Run
from icectl.sources.published import resolve
from icectl.tasks.bed import products
from icectl.tasks.bed.baselines import baselines, fills
from icectl.tasks.bed.model import answers_of
from icectl.tasks.bed.options import PredictOptions
from icectl.tasks.bed.readers.dem import Dem, open_dem
from icectl.tasks.bed.readers.known import keep, keeping
from icectl.tasks.bed.readers.outlines import Outlines, gap, read_outlines, region_of, year_of
from icectl.tasks.bed.readers.scene import Place, scene_of
from icectl.tasks.bed.thickness.law import PHYSICS
from icectl.tasks.bed.thickness.solve import FAR_OFF, TOO_SLOW, solve
from icectl.tasks.model import TaskModel


@dataclass(frozen=True, slots=True)
class Job:
    """One glacier: all that a worker needs, in plain values."""

    place: Place
    dem: Dem
    run: Run
    model: TaskModel
    options: PredictOptions
    seed: int
    real: bool

    def __str__(self) -> str:
        return self.place.name


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where a prediction reads from, and whether that is a real place."""

    dem: Path
    outlines: Path
    velocity: tuple[Path, ...]
    real: bool = True


def inputs_of(run: Run, options: PredictOptions) -> Inputs:
    """Return the files to predict from: the user's, the glacier's, or the synthetic test world's.

    UsageError: there is an elevation model and no outlines, or the other way round.
    """
    dem, outlines = options.dem or run.glacier.dem, options.outlines or run.glacier.outline
    fetched = run.inputs.get("fetch")
    if dem is None and outlines is None and fetched is not None and (fetched / "test" / "dem.tif").is_file():
        test = fetched / "test"
        return Inputs(test / "dem.tif", test / "outlines.gpkg", (test / "vx.tif", test / "vy.tif"), False)
    if dem is None and fetched is not None and any(fetched.glob("*/*_dem.tif")):
        dem = fetched
    if dem is None or outlines is None:
        missing = "--dem FILE" if dem is None else "--outlines FILE"
        raise UsageError(f"{missing} is missing", "a prediction needs an elevation model and outlines")
    return Inputs(dem, resolve(outlines, run.say), options.velocity)


def predict(run: Run, model: TaskModel, options: PredictOptions) -> Path:
    """Write COGs of each glacier and one table of all into ``run.out``, or the elevation model without holes.

    A glacier that fails is a row with a note; if all fail, the first failure is raised. What an interrupted
    prediction had computed is not computed again.

    Returns ``run.out``, with ``table.csv``, ``glaciers.gpkg`` and a folder of COGs for each glacier; or
    ``filled.tif``.
    """
    if options.fill is not None:
        return fill_holes(run, model, options)
    where = inputs_of(run, options)
    dem = open_dem(where.dem, options.dem_crs)
    outlines = read_outlines(where.outlines)
    for note in outlines.notes:
        run.warn(note)
    chosen = outlines.choose(options.ids, options.region)
    _folders(chosen)
    _overlaps(run, chosen)
    _epochs(run, where, outlines)
    options = options.model_copy(update={"velocity": where.velocity})
    law = answers_of(model, run).law
    if where.real and (law is None or law.kind == "synthetic"):
        run.warn(f"{products.PRIOR_ONLY}: give --thickness-data FOLDER to a training for more")
    with keeping(run.out) as (known, file), run.progress("glaciers", len(chosen)) as advance:
        if known:
            run.say(f"{len(known)} of {len(chosen)} glaciers were computed before the interruption")
        advance(len(known))
        jobs = _jobs(run, model, options, chosen, outlines, dem, where.real, frozenset(known))
        for job, made in each(work, jobs, run.compute.cluster):
            known[job.place.name] = made
            if not made[0]["note"]:
                keep(file, made)
            advance()
    first, done = ("", ""), 0
    said: list[str] = []
    slow = odd = 0
    fell: list[str] = []
    with (run.out / products.TABLE).open("w", newline="") as file:
        table = csv.DictWriter(file, products.COLUMNS)
        table.writeheader()
        for row, notes, words in (known[name] for name in chosen.ids):
            table.writerow(row)
            failed = str(row["note"])
            first = first if first[0] or not failed else (failed, words)
            done += not failed
            slow += any(note.endswith(TOO_SLOW) for note in notes)
            odd += any(note.endswith((TOO_SLOW, FAR_OFF)) for note in notes)
            said += [note for note in notes if note not in said and not note.endswith(TOO_SLOW)]
            fell += [words] if words and not failed else []
    if not done:
        why, hint = first
        raise DataError(
            f"no glacier could be computed: {why}", hint or "check the elevation model and the outlines"
        )
    if done < len(chosen):
        kinds = Counter(str(row["note"]) for row, _, _ in known.values() if row["note"])
        why = "; ".join(f"{note} ({count})" for note, count in kinds.most_common(3))
        failed = f"{len(chosen) - done} of {len(chosen)} glaciers could not be computed (table.csv)"
        run.warn(f"{failed}: {why}{'; …' * (len(kinds) > 3)}")
    for note in said[:20]:
        run.warn(note)
    if slow and odd < done:
        run.say(f"{TOO_SLOW} on {slow} of {done} glaciers")
    if odd == done and not all(Info(path).units[0] for path in where.velocity):
        run.warn(
            "the velocity fits none of the glaciers and is not used: perhaps it is in metres a day, and its "
            "unit is not stated (gdal_edit.py -units m/day FILE)"
        )
    if fell:
        run.say(f"step (a) is the biharmonic fill on {len(fell)} of {done} glaciers: {fell[0]}")
    products.write(run, chosen)
    return run.out


def _epochs(run: Run, where: Inputs, outlines: Outlines) -> None:
    """Note of when the inputs are, and warn where they lie years apart."""
    found = {"the elevation model": year_of(where.dem), "the outlines": outlines.year}
    found["the velocity"] = next((year for year in map(year_of, where.velocity) if year), None)
    run.notes["epochs"] = {
        what: f"{year:.0f}" for what, year in found.items() if year is not None and np.isfinite(year)
    }
    if words := gap(found):
        run.warn(words)


def _overlaps(run: Run, chosen: Outlines) -> None:
    """Warn of outlines that share more than a twentieth of the smaller one: their ice counts twice."""
    shapes = shapely.make_valid(np.array(chosen.geometries, dtype=object))
    pairs = STRtree(shapes).query(shapes, predicate="intersects").T
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    if not len(pairs):
        return
    common = shapely.area(shapely.intersection(shapes[pairs[:, 0]], shapes[pairs[:, 1]]))
    smaller = np.minimum(shapely.area(shapes[pairs[:, 0]]), shapely.area(shapes[pairs[:, 1]]))
    bad = pairs[common > 0.05 * smaller]
    if len(bad):
        one, other = (chosen.ids[i] for i in bad[0])
        more = f" and {len(bad) - 1} more pairs" if len(bad) > 1 else ""
        run.warn(f"the outlines of {one} and {other}{more} overlap: their common ice counts twice")


def _folders(chosen: Outlines) -> None:
    """Refuse ids that differ only in what no folder's name holds: one glacier would replace the other."""
    first: dict[str, str] = {}
    for name in chosen.ids:
        other = first.setdefault(products.place_of(name), name)
        if other != name:
            raise DataError(
                f"the glaciers '{other}' and '{name}' of {chosen.source} would share one folder",
                "give them ids that differ in letters or digits, or predict each by itself (--ids)",
            )


def _jobs(
    run: Run,
    model: TaskModel,
    options: PredictOptions,
    chosen: Outlines,
    every: Outlines,
    dem: Dem,
    real: bool,
    known: Collection[str],
) -> Iterator[Job]:
    """Yield the jobs of glaciers that are not known yet."""
    tree, bytes_of = STRtree(list(every.geometries)), shapely.to_wkb(np.array(every.geometries, dtype=object))
    for number, (name, shape) in enumerate(zip(chosen.ids, chosen.geometries, strict=True)):
        if name in known:
            continue
        left, bottom, right, top = shape.bounds
        reach = 1.5 * max(right - left, top - bottom) + (
            0.05 if abs(left) <= 180 and abs(top) <= 90 else 3000.0
        )
        near = tree.query(shapely.box(left - reach, bottom - reach, right + reach, top + reach))
        yield Job(
            place=Place(
                name,
                shape.wkb,
                tuple(bytes_of[near]),
                every.crs,
                every.heights.get(name),
            ),
            dem=dem,
            run=run,
            model=model,
            options=options,
            seed=run.seed + number,
            real=real,
        )


def work(job: Job) -> tuple[dict[str, Any], list[str], str]:
    """Compute one glacier, write its COGs, and return its row of the table, what there is to say, and why
    step (a) fell back to the biharmonic fill, if it did; of one that failed, how that may be mended.
    """
    row: dict[str, Any] = dict.fromkeys(products.COLUMNS, "")
    name = row["id"] = job.place.name
    notes: list[str] = []
    words = ""
    try:
        scene, terrain, notes = scene_of(job.place, job.dem, job.options)
        answers = answers_of(job.model, job.run)
        law = answers.law
        if job.real and (law is None or law.kind == "synthetic"):
            law = PHYSICS
        region = scene.region if law is not None and scene.region in law.regions else ""
        if region and not region_of(name):
            notes.append(f"outlines without an RGI id take the level of region {region}, where they lie")
        others, words = baselines(scene, answers.filler, job.options.rounds, job.seed)
        made = solve(scene, law or PHYSICS)
        notes += [f"{name}: {one}" for one in made.notes]
        made.others.update(others)
        products.write_glacier(
            job.run.out / products.place_of(job.place.name), job.place.name, scene, terrain, made
        )
        row.update(products.row_of(made, scene, terrain.grid))
    except WorkError:  # a full disk is no fault of the glacier's
        raise
    except IcectlError as error:
        row["note"], words = error.message, error.hint
    return row, notes, words


def fill_holes(run: Run, model: TaskModel, options: PredictOptions) -> Path:
    """Fill in the holes of an elevation model that a mask names, or its own voids: ``filled.tif``.

    UsageError: there is no elevation model. DataError: the mask names nothing, or all of it.
    """
    if options.dem is None or options.fill is None:
        raise UsageError("--dem FILE is missing", "name the elevation model whose holes are to be filled")
    dem = open_dem(options.dem, options.dem_crs)
    terrain = dem.whole(None)
    for note in terrain.notes:
        run.warn(note)
    metric = terrain.grid == terrain.native  # else heights were resampled, and the file's own stay
    rows, columns = terrain.native.shape
    known = terrain.heights if metric else dem.read(slice(0, rows), slice(0, columns))[0]
    hidden = ~np.isfinite(known) | _mask(options.fill, dem, terrain.native)
    if not hidden.any() or hidden.all():
        what = "no pixel" if not hidden.any() else "every pixel"
        raise DataError(f"{options.fill} names {what} of {options.dem.name}", "give another mask")
    if hidden.mean() > 0.5:
        share = f"{100 * hidden.mean():.0f} % of {options.dem.name} is filled"
        run.warn(f"{share}: in a mask, what is not 0 is to be filled")
    filler = answers_of(model, run).filler
    unknown = hidden
    if not metric:
        unknown = ~np.isfinite(terrain.heights) | _mask(options.fill, dem, terrain.grid)
    heights = np.where(unknown, 0.0, terrain.heights).astype(np.float64)
    made, words = fills(heights, unknown, terrain.resolution, filler, options.rounds, run.seed)
    ground = np.where(unknown, made.get("inpaint", made["biharmonic"]), terrain.heights)
    if words or filler is None:
        run.warn(f"filled by the biharmonic fill: {words or 'step (a) was not trained'}")
    products.write_filled(run, terrain, np.where(hidden, np.nan, known), ground, made.get("inpaint spread"))
    return run.out


def _mask(path: Path, dem: Dem, grid: Grid) -> Bools:
    """Return where a mask says that ground is to be filled: not 0 in a raster, or inside polygons."""
    if path.resolve() in {file.resolve() for file in dem.files}:
        return np.zeros(grid.shape, dtype=bool)
    if path.suffix.lower() in (".tif", ".tiff", ".vrt", ".img", ".png"):
        return np.asarray(read_on(path, grid, "nearest").filled(0) != 0)
    frame = read_vectors(path, crs=grid.crs.to_wkt())
    return np.asarray(rasterize(frame, grid), dtype=bool)
