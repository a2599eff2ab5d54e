"""Bed, thickness, spread and volume of one glacier, a list, or a region: one job a glacier."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.strtree import STRtree

from icectl.cluster import each
from icectl.errors import DataError, IcectlError, UsageError
from icectl.raster import rasterize, read_on, write_cog, write_vectors
from icectl.raster.read import filled
from icectl.run import Run
from icectl.sources.published import resolve
from icectl.tasks.bed.networks import Loader, PriorAlone, suited
from icectl.tasks.bed.options import PredictOptions
from icectl.tasks.bed.readers.dem import Dem, open_dem
from icectl.tasks.bed.readers.outlines import Outlines, read_outlines
from icectl.tasks.bed.readers.terrain import Terrain, check_slopes, warp
from icectl.tasks.bed.thickness.solve import Answer, Scene, solve
from icectl.tasks.bed.thickness.volume import Volume, integrate, sea_level

OTHERS = (
    "inpaint",
    "biharmonic",
    "harmonic",
    "inverse distance",
    "plasticity",
    "mass conservation",
    "no ice",
)
COLUMNS = (
    "id", "area_km2", "volume_km3", "volume_low_km3", "volume_high_km3", "mean_m", "max_m", "sle_mm",
    *(f"{name.replace(' ', '_')}_km3" for name in OTHERS), "note",
)  # fmt: skip

PRIOR_ONLY = "step (b) has seen synthetic glaciers alone, so the thickness is that of mass conservation"


@dataclass(frozen=True, slots=True)
class Job:
    """One glacier: all that a worker needs, in plain values."""

    name: str
    shape: bytes  # WKB in `crs`
    neighbours: tuple[bytes, ...]
    crs: str
    dem: Dem
    out: Path
    weights: Path
    loader: Loader
    options: PredictOptions
    device: str
    seed: int
    real: bool

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where a prediction reads from, and whether that is a real place."""

    dem: Path
    outlines: Path
    velocity: tuple[Path, ...]
    mass_balance: Path | None
    real: bool = True


def inputs_of(run: Run, options: PredictOptions) -> Inputs:
    """Return the files to predict from: the user's, the glacier's, or the synthetic test world's.

    Raises
    ------
    UsageError
        There is an elevation model and no outlines, or the other way round.
    """
    dem, outlines = options.dem or run.glacier.dem, options.outlines or run.glacier.outline
    velocity, balance = options.velocity, options.mass_balance
    fetched = run.inputs.get("fetch")
    if dem is None and outlines is None and fetched is not None and (fetched / "test" / "dem.tif").is_file():
        test = fetched / "test"
        return Inputs(
            test / "dem.tif", test / "outlines.gpkg", (test / "vx.tif", test / "vy.tif"), None, False
        )
    if dem is None and fetched is not None and any(fetched.glob("*/*_dem.tif")):
        dem = fetched
    if dem is None or outlines is None:
        missing = "--dem FILE" if dem is None else "--outlines FILE"
        raise UsageError(f"{missing} is missing", "a prediction needs an elevation model and outlines")
    return Inputs(dem, resolve(outlines, run.say), velocity, balance)


def predict(run: Run, options: PredictOptions, loader: Loader, device: str) -> Path:
    """Write COGs of each glacier and one table of all into ``run.out``.

    A glacier that fails is a row with a note; if all fail, the first failure is raised.

    Returns
    -------
    Path
        ``run.out``, with ``table.csv``, ``glaciers.gpkg`` and a folder of COGs for each glacier.
    """
    where = inputs_of(run, options)
    dem = open_dem(where.dem, options.dem_crs)
    outlines = read_outlines(where.outlines)
    chosen = outlines.choose(options.ids, options.region)
    options = options.model_copy(update={"velocity": where.velocity, "mass_balance": where.mass_balance})
    if isinstance(suited(loader(run.inputs["train"], device), where.real), PriorAlone):
        run.warn(f"{PRIOR_ONLY}: give --thickness-data FOLDER to a training for more")
    jobs = _jobs(run, options, chosen, outlines, dem, loader, device, where.real)
    first: str = ""
    done = 0
    with (
        (run.out / "table.csv").open("w", newline="") as file,
        run.progress("glaciers", len(chosen)) as advance,
    ):
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for _, row in each(work, jobs, run.compute.cluster):
            table.writerow(row)
            first = first or str(row["note"])
            done += not row["note"]
            advance()
    if not done:
        raise DataError(
            f"no glacier could be computed: {first}", "check the elevation model and the outlines"
        )
    if done < len(chosen):
        run.warn(f"{len(chosen) - done} of {len(chosen)} glaciers could not be computed: see table.csv")
    _summarise(run, options, chosen)
    return run.out


def _jobs(
    run: Run,
    options: PredictOptions,
    chosen: Outlines,
    every: Outlines,
    dem: Dem,
    loader: Loader,
    device: str,
    real: bool,
) -> Iterator[Job]:
    tree = STRtree(list(every.geometries))
    for number, (name, shape) in enumerate(zip(chosen.ids, chosen.geometries, strict=True)):
        left, bottom, right, top = shape.bounds
        reach = 1.5 * max(right - left, top - bottom) + (
            0.05 if abs(left) <= 180 and abs(top) <= 90 else 3000.0
        )
        near = tree.query(shapely.box(left - reach, bottom - reach, right + reach, top + reach))
        yield Job(
            name=name,
            shape=shape.wkb,
            neighbours=tuple(every.geometries[i].wkb for i in near),
            crs=every.crs,
            dem=dem,
            out=run.out / _safe(name),
            weights=run.inputs["train"],
            loader=loader,
            options=options,
            device=device,
            seed=run.seed + number,
            real=real,
        )


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-._" else "_" for c in name)[:80]


def work(job: Job) -> dict[str, Any]:
    """Compute one glacier, write its COGs, and return its row of the table."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row["id"] = job.name
    try:
        scene, terrain = scene_of(job)
        networks = suited(job.loader(job.weights, job.device), job.real)
        o = job.options
        answer = solve(
            scene,
            networks,
            rounds=o.rounds,
            seed=job.seed,
            yield_stress=o.yield_stress,
            slope_length=o.slope_length,
        )
        _write(job, scene, terrain, answer)
        whole = integrate(answer.thickness, scene.ice, scene.resolution, networks.volume_error, o.confidence)
        row.update(_row(whole, answer, scene, o))
    except IcectlError as error:
        row["note"] = error.message
    return row


def scene_of(job: Job) -> tuple[Scene, Terrain]:
    """Read the surroundings of a glacier and burn in its outline and its neighbours'.

    Raises
    ------
    DataError
        The outline lies off the elevation model, crosses its border, is too small, or covers voids.
    """
    import geopandas as gpd

    shape = shapely.from_wkb(job.shape)
    centre = gpd.GeoSeries([shape], crs=job.crs)
    extent = _metres(centre)
    terrain = job.dem.around(shape.bounds, job.crs, max(1500.0, 0.75 * extent))
    check_slopes(terrain.heights, terrain.resolution, terrain.name)
    crs = terrain.grid.crs.to_wkt()
    own = shapely.make_valid(centre.to_crs(crs).iloc[0])
    frame = shapely.from_wkt(terrain.grid.extent.wkt)
    if not frame.contains(own):
        words = "crosses the border of" if frame.intersects(own) else "lies outside"
        raise DataError(f"the outline of {job.name} {words} {job.dem.name}", "give a larger elevation model")
    ice = _burn([own], terrain)
    area = ice.sum() * terrain.resolution**2 / 1e6
    if area < job.options.smallest or ice.sum() < 4:
        raise DataError(
            f"{job.name} covers {area:.3f} km² on the elevation model, too little", "lower --smallest"
        )
    missing = float((~np.isfinite(terrain.heights[ice])).mean())
    if missing > 0.2:
        raise DataError(
            f"{100 * missing:.0f} % of {job.name} is a void of {job.dem.name}", "give another elevation model"
        )
    around = gpd.GeoSeries(shapely.from_wkb(list(job.neighbours)), crs=job.crs).to_crs(crs)
    everything = ice | _burn([s for s in shapely.make_valid(around.to_numpy()) if not s.is_empty], terrain)
    speed, balance = _fields(job.options, terrain)
    return Scene(
        terrain.heights.astype(np.float64), ice, everything, terrain.resolution, speed, balance
    ), terrain


def _metres(shape: Any) -> float:
    """Return the larger side of a geometry's box in metres."""
    crs = shape.estimate_utm_crs() if shape.crs.is_geographic else shape.crs
    left, bottom, right, top = shape.to_crs(crs).total_bounds
    return float(max(right - left, top - bottom))


def _burn(shapes: list[Any], terrain: Terrain) -> NDArray[np.bool_]:
    if not shapes:
        return np.zeros(terrain.heights.shape, dtype=bool)
    return np.asarray(rasterize(shapes, terrain.grid), dtype=bool)


def _fields(
    options: PredictOptions, terrain: Terrain
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Read speed and mass balance on the terrain's grid; where a file has nothing they are NaN, or None."""
    read = [filled(read_on(p, terrain.grid, "bilinear")).astype(np.float64) for p in options.velocity]
    speed = None
    if read:
        speed = np.abs(read[0]) if len(read) == 1 else np.hypot(read[0], read[1])
        speed = np.where(speed < 30_000, speed, np.nan)
    balance = None
    if options.mass_balance is not None:
        balance = filled(read_on(options.mass_balance, terrain.grid, "bilinear")).astype(np.float64)
        balance = np.where(np.abs(balance) < 100, balance, np.nan)
    return (
        None if speed is None or not np.isfinite(speed).any() else speed,
        None if balance is None or not np.isfinite(balance).any() else balance,
    )


def _write(job: Job, scene: Scene, terrain: Terrain, answer: Answer) -> None:
    """Write bed, thickness and spread, and the other answers, on the elevation model's own grid."""
    job.out.mkdir(parents=True, exist_ok=True)
    bed = np.where(scene.ice, scene.heights - answer.thickness, scene.heights)
    tags = {"glacier": job.name, "units": "m"}
    spread = np.where(scene.ice, answer.spread, np.nan)
    depth = np.where(scene.ice, answer.thickness, np.nan)
    for name, values in (("bed", bed), ("thickness", depth), ("spread", spread)):
        write_cog(
            job.out / f"{name}.tif", _native(values, terrain), terrain.native, tags=tags, descriptions=[name]
        )
    names = [n for n in OTHERS if n in answer.others and n != "no ice"]
    if names:
        stack = np.stack([_native(np.where(scene.ice, answer.others[n], np.nan), terrain) for n in names])
        write_cog(job.out / "others.tif", stack, terrain.native, tags=tags, descriptions=names)


def _native(values: NDArray[np.floating], terrain: Terrain) -> NDArray[np.float32]:
    if terrain.grid == terrain.native:
        return values.astype(np.float32)
    return warp(values, terrain.grid, terrain.native)


def _row(whole: Volume, answer: Answer, scene: Scene, options: PredictOptions) -> dict[str, Any]:
    pixel = scene.resolution**2 / 1e9
    others = {
        f"{name.replace(' ', '_')}_km3": _digits(float(answer.others[name].sum()) * pixel)
        for name in OTHERS
        if name in answer.others
    }
    return {
        "area_km2": _digits(whole.area),
        "volume_km3": _digits(whole.volume),
        "volume_low_km3": _digits(whole.low),
        "volume_high_km3": _digits(whole.high),
        "mean_m": round(whole.mean, 2),
        "max_m": round(whole.greatest, 2),
        "sle_mm": _digits(sea_level(whole.volume, options.ocean_area)),
        **others,
    }


def _digits(value: float) -> float:
    """Return `value` to six digits, whatever its size."""
    return float(f"{value:.6g}")


def read_table(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a prediction's table."""
    path = folder / "table.csv"
    if not path.is_file():
        raise DataError(f"{folder} holds no prediction", "run `icectl predict inpaint-gan` first")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _summarise(run: Run, options: PredictOptions, chosen: Outlines) -> None:
    """Write the outlines with their numbers, and say the sum."""
    import geopandas as gpd

    rows = {r["id"]: r for r in read_table(run.out)}
    kept = [i for i, n in enumerate(chosen.ids) if n in rows and not rows[n]["note"]]
    data = {c: [_number(rows[chosen.ids[i]][c]) for i in kept] for c in COLUMNS if c != "note"}
    frame = gpd.GeoDataFrame(data, geometry=[chosen.geometries[i] for i in kept], crs=chosen.crs)
    write_vectors(run.out / "glaciers.gpkg", frame, layer="glaciers")
    total = sum(float(r["volume_km3"]) for r in rows.values() if not r["note"])
    low = sum(float(r["volume_low_km3"]) for r in rows.values() if not r["note"])
    high = sum(float(r["volume_high_km3"]) for r in rows.values() if not r["note"])
    area = sum(float(r["area_km2"]) for r in rows.values() if not r["note"])
    sea = sea_level(total, options.ocean_area)
    run.say(
        f"{len(kept)} glacier{'s' * (len(kept) != 1)}, {area:.4g} km²: {total:.4g} km³ of ice "
        f"({low:.4g} to {high:.4g}), {sea:.3g} mm of sea level "
        f"(ice of 900 kg/m³ on {options.ocean_area:.4g} km² of ocean)"
    )
    run.notes["volume"] = {
        "km3": total,
        "low": low,
        "high": high,
        "area_km2": area,
        "sle_mm": sea,
        "glaciers": len(kept),
    }


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
