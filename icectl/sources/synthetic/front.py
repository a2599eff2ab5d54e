"""The front view: a tidewater glacier through the years, each scene with its front and its mask."""

from datetime import date
from pathlib import Path

import geopandas
import numpy as np
from rasterio.features import shapes
from scipy import ndimage
from scipy.special import expit
from shapely.geometry import shape

from icectl.arrays import F64
from icectl.raster import write_cog, write_vectors
from icectl.sources.catalogue import write_catalogue
from icectl.sources.scene import Scene
from icectl.sources.synthetic.fjord import Fjord, fjord
from icectl.sources.synthetic.landsat import acquire, scene_id, write_look
from icectl.sources.synthetic.noise import fractal, generator
from icectl.sources.synthetic.optics import sun
from icectl.sources.synthetic.scenery import Cover, ndsi, reflectance
from icectl.sources.synthetic.snow import acquisition_days, satellite
from icectl.sources.synthetic.texture import pattern
from icectl.sources.synthetic.world import World

BANDS = ("green", "red", "nir08", "swir16")


def write_front_scenes(
    world: World,
    folder: Path,
    start: date = date(2013, 1, 1),
    end: date = date(2020, 1, 1),
    *,
    every: int = 2,
    cloud: float = 0.1,
) -> Path:
    """Write scenes of a calving front from `start` to `end` (exclusive) into `folder`, with a catalogue.

    Each scene has the assets of `BANDS`, ``qa_pixel``, and two labels: ``front``, the front as one line
    (GeoPackage, from wall to wall), and ``mask`` (GeoTIFF: 1 ice or land, 0 sea). Beside them lies
    ``fjord.gpkg``, the fjord with no ice in it: a polygon of everything that the sea may reach.
    ``truth/fronts.gpkg`` holds all fronts in one table with the front's mean retreat; models never read it.

    Parameters
    ----------
    every
        Months between acquisitions; those in the dark of winter (sun below 8°) are left out.
    cloud
        Mean cloud cover, 0 to 1.

    Raises
    ------
    UsageError
        If the world is an alpine one.
    """
    place = fjord(world)
    folder.mkdir(parents=True, exist_ok=True)
    scenes, rows = [], []
    for number, day in enumerate(list(acquisition_days(world.seed, start, end))[::every]):
        if (scene := _write_one(world, place, folder, day, satellite(number), cloud)) is None:
            continue
        scenes.append(scene)
        rows.append(
            {
                "id": scene.id,
                "date": day.isoformat(),
                "retreat_m": place.retreat(day),
                "geometry": place.front(day),
            }
        )
    table = geopandas.GeoDataFrame(rows, crs=str(world.grid.crs))
    write_vectors(folder / "truth" / "fronts.gpkg", table, layer="fronts")
    _write_fjord(world, place, folder)
    write_catalogue(folder, scenes)
    return folder


def _write_one(
    world: World, place: Fjord, folder: Path, day: date, sensor: int, cloud: float
) -> Scene | None:
    """Write one date's image and labels; None in the dark of winter."""
    if sun(day, world.latitude)[0] < 8.0:
        return None
    ice, water = place.ice(day), place.water(day)
    floating = melange(place, day)
    cover = Cover(ice, water, floating, pattern(world, day.toordinal()))
    ground = reflectance(world, day, BANDS, cover)
    snow = (ndsi(ground) > 0.4) & ~water
    share = float(floating[water].mean()) if water.any() else 0.0
    properties = {"icectl:melange": round(share, 3), "icectl:glacier": f"synthetic-{world.seed}"}
    seen = acquire(world, day, sensor, ground, snow, water, cloud=cloud, properties=properties)
    scene = write_look(seen, folder, world.grid, world.seed)
    name = scene_id(seen, world.seed)
    line = geopandas.GeoDataFrame(
        {"id": [name], "date": [day.isoformat()]}, geometry=[place.front(day)], crs=str(world.grid.crs)
    )
    front = folder / name / f"{name}_front.gpkg"
    write_vectors(front, line, layer="front")
    mask = write_cog(folder / name / f"{name}_mask.tif", (~water).astype("uint8"), world.grid)
    return Scene(
        scene.id, scene.time, {**scene.assets, "front": front, "mask": mask}, scene.properties, scene.bands
    )


def melange(place: Fjord, day: date) -> F64:
    """Return the share of floating ice in each pixel: packed at the front in late winter, and bergs."""
    world = place.world
    rng = generator(world.seed, "sea", day.toordinal())
    season = 0.5 + 0.5 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 75) / 365.25)
    reach = 150.0 + 1300.0 * season**2 * rng.uniform(0.5, 1.2)
    level = place.level(day)
    clumps = fractal(rng, world.shape, 2.6, 1200 / world.resolution, 2)
    pack = expit((reach - level + 350.0 * clumps) / 120.0) * (0.35 + 0.5 * season)
    drops = fractal(rng, world.shape, 0.8, 8, 2.2)
    thinning = np.exp(-np.clip(level, 0, None) / 2500.0)
    icebergs = ndimage.gaussian_filter((drops > 2.6 - 0.5 * thinning).astype(float), 0.6)
    return np.asarray(np.clip(np.maximum(pack, icebergs), 0.0, 0.95))


def _write_fjord(world: World, place: Fjord, folder: Path) -> None:
    """Write the fjord without ice: the polygon that bounds every front."""
    basin = place.basin
    polygons = [
        shape(g) for g, value in shapes(basin.astype("uint8"), basin, transform=world.grid.affine) if value
    ]
    table = geopandas.GeoDataFrame(
        {"name": ["fjord"] * len(polygons)}, geometry=polygons, crs=str(world.grid.crs)
    )
    write_vectors(folder / "fjord.gpkg", table, layer="fjord")
