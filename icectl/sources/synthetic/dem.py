"""The bed view: an elevation model, outlines and thickness measurements, with the bed known."""

from datetime import UTC, date, datetime
from pathlib import Path

import geopandas
import numpy as np
import pandas
import shapely
from rasterio.features import shapes
from shapely.geometry import shape
from skimage.measure import label
from skimage.morphology import h_minima
from skimage.segmentation import watershed

from icectl.arrays import F64
from icectl.raster import write_cog, write_vectors
from icectl.sources.catalogue import write_catalogue
from icectl.sources.scene import Scene
from icectl.sources.synthetic.noise import generator, smooth
from icectl.sources.synthetic.world import World

SURVEY = date(2000, 2, 16)
"""Day of the elevation model, as SRTM's."""

PROFILES = 12
"""Number of survey lines."""

SMALLEST = 0.05
"""Area (km²) from which a patch of ice is a glacier of the inventory."""


def write_dem(world: World, folder: Path, *, uncertainty: float = 5.0) -> Path:
    """Write the elevation model and what belongs to it into `folder`, with a catalogue of one scene.

    Assets: ``dem`` (surface, m), ``outlines`` (GeoPackage, columns of the Randolph Glacier Inventory 7),
    ``points`` (thickness along survey lines, CSV with the columns of GlaThiDa's table TTT), ``vx`` and ``vy``
    (surface velocity, m a⁻¹), ``mass_balance`` (m of ice a⁻¹). ``truth/bed.tif`` and ``truth/thickness.tif``
    are exact: surface = bed + thickness. Models never read them.

    Parameters
    ----------
    uncertainty
        Standard error of a measured thickness (m).
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = outlines(world)
    paths = {"outlines": folder / "outlines.gpkg", "points": folder / "points.csv"}
    write_vectors(paths["outlines"], table, layer="outlines")
    points(world, table, uncertainty).to_csv(paths["points"], index=False)
    balance = np.minimum(
        world.climate.gradient * (world.surface - world.climate.equilibrium), world.climate.accumulation
    )
    thickness = world.thickness.astype("float32")
    bed = world.bed.astype("float32")
    layers = {"dem": bed + thickness, "vx": world.ice.vx, "vy": world.ice.vy, "mass_balance": balance}
    for name, field in layers.items():
        paths[name] = write_cog(folder / f"{name}.tif", field.astype("float32"), world.grid)
    write_cog(folder / "truth" / "bed.tif", bed, world.grid)
    write_cog(folder / "truth" / "thickness.tif", thickness, world.grid)
    moment = datetime.combine(SURVEY, datetime.min.time(), UTC)
    write_catalogue(folder, [Scene(f"synthetic-{world.seed}", moment, paths, {"icectl:synthetic": True})])
    return folder


def outlines(world: World) -> geopandas.GeoDataFrame:
    """Return the glaciers as polygons, parted where the flow parts, with the inventory's columns."""
    basins = glacier_numbers(world)
    polygons = [(int(n), shape(g)) for g, n in shapes(basins, basins > 0, transform=world.grid.affine)]
    rows = []
    for number in range(1, int(basins.max()) + 1):
        where = basins == number
        whole = shapely.union_all([p for n, p in polygons if n == number])
        rows.append(_inventory_row(world, number, where, whole))
    return geopandas.GeoDataFrame(rows, crs=str(world.grid.crs))


def glacier_numbers(world: World) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return the number of the glacier at each pixel (0: none, or ice too small to count)."""
    surface = smooth(world.surface, 3.0)
    depth = np.where(world.glacier, surface, surface.max() + 1.0)
    seeds = label(h_minima(depth, 60.0) * world.glacier)
    basins = watershed(depth, seeds, mask=world.glacier)
    parts = label(basins, background=0, connectivity=1)
    areas = np.bincount(parts.ravel()) * world.resolution**2 / 1e6
    kept = [n for n in range(1, areas.size) if areas[n] >= SMALLEST]
    numbers = np.zeros(areas.size, np.int32)
    numbers[sorted(kept, key=lambda n: -areas[n])] = np.arange(1, len(kept) + 1)
    return np.asarray(numbers[parts])


def _inventory_row(world: World, number: int, where: F64, whole: shapely.Geometry) -> dict[str, object]:
    """Return one glacier's attributes under the names of RGI 7; region 99 is none of the inventory's."""
    heights = world.surface[where]
    north, east = (float(f[where].mean()) for f in world.slope)
    centre = (
        geopandas.GeoSeries([whole.representative_point()], crs=str(world.grid.crs))
        .to_crs("EPSG:4326")
        .iloc[0]
    )
    steep = np.rad2deg(np.arctan(np.hypot(world.slope[0][where], world.slope[1][where]).mean()))
    return {
        "rgi_id": f"RGI2000-v7.0-G-99-{world.seed % 10 * 10_000 + number:05}",
        "o1region": "99",
        "glac_name": f"Synthetic {world.seed}.{number}",
        "src_date": SURVEY.isoformat(),
        "cenlon": centre.x,
        "cenlat": centre.y,
        "area_km2": float(where.sum()) * world.resolution**2 / 1e6,
        "zmin_m": float(heights.min()),
        "zmax_m": float(heights.max()),
        "zmed_m": float(np.median(heights)),
        "slope_deg": float(steep),
        "aspect_deg": float(np.rad2deg(np.arctan2(-east, -north)) % 360),
        "term_type": 0 if world.setting == "alpine" else 1,
        "geometry": whole,
    }


def points(world: World, table: geopandas.GeoDataFrame, uncertainty: float) -> pandas.DataFrame:
    """Return measured thickness every 60 m along lines over the largest glaciers, as GlaThiDa's TTT."""
    rng = generator(world.seed, "survey")
    basins = glacier_numbers(world)
    frames = []
    for line in range(PROFILES):
        glacier = int(rng.choice(np.arange(1, min(4, int(basins.max())) + 1)))
        inside = np.argwhere(basins == glacier)
        if len(inside) < 30:
            continue
        start, end = inside[rng.integers(len(inside), size=2)].astype(float)
        count = int(np.hypot(*(end - start)) * world.resolution / 60.0)
        at = np.rint(start + np.linspace(0, 1, max(count, 2))[:, None] * (end - start)).astype(int)
        at = np.unique(at[basins[at[:, 0], at[:, 1]] == glacier], axis=0)
        frames.append(_measured(world, table, glacier, line, at, rng, uncertainty))
    return pandas.concat(frames, ignore_index=True)


def _measured(
    world: World,
    table: geopandas.GeoDataFrame,
    glacier: int,
    line: int,
    at: np.ndarray[tuple[int, ...], np.dtype[np.int_]],
    rng: np.random.Generator,
    uncertainty: float,
) -> pandas.DataFrame:
    rows, columns = at[:, 0], at[:, 1]
    x, y = world.grid.affine @ (columns + 0.5, rows + 0.5)
    places = geopandas.GeoSeries(geopandas.points_from_xy(x, y), crs=str(world.grid.crs)).to_crs("EPSG:4326")
    noise = uncertainty * rng.standard_normal(len(at))
    return pandas.DataFrame(
        {
            "GlaThiDa_ID": 9000 + world.seed,
            "POLITICAL_UNIT": "ZZ",
            "GLACIER_NAME": table.glac_name.iloc[glacier - 1].upper(),
            "SURVEY_DATE": f"{SURVEY.year}9999",
            "PROFILE_ID": line + 1,
            "POINT_ID": np.arange(len(at)) + 1,
            "POINT_LAT": places.y.round(6),
            "POINT_LON": places.x.round(6),
            "ELEVATION": np.rint(world.surface[rows, columns]).astype(int),
            "THICKNESS": np.rint(np.maximum(world.thickness[rows, columns] + noise, 0)).astype(int),
            "THICKNESS_UNCERTAINTY": round(uncertainty),
            "DATA_FLAG": "",
            "REMARKS": "",
        }
    )
