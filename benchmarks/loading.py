"""From STAC items to a cube of snow masks: icectl's prepare against odc-stac with xarray.

A folder of synthetic Landsat-like scenes (green, swir16, qa_pixel as COGs with STAC items; clouds and gaps)
over two years becomes quarterly NDSI composites in Zarr. Both read the same items, drop clouds by the quality
bits, make reflectances and NDSI, average by quarter, interpolate empty quarters and threshold; icectl's
filling of gaps and alignment, which the other side lacks, are off. The cubes are compared; peak memory,
measured in processes of their own, stands beside. odc-stac reads in two threads.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from affine import Affine
from common import Row, compare, finish, in_fresh_process, sizes

SCENES = 24
CLOUD = 1 << 3

ALONE = """
import sys; sys.path.insert(0, {here!r})
from pathlib import Path
import loading
loading.{side}(Path(sys.argv[1]), Path(sys.argv[2]))
print("{{}}")
"""


def scenes(folder: Path, size: int) -> None:
    """Write the scenes and their catalogue."""
    from icectl.raster import Grid, write_cog
    from icectl.sources.catalogue import Band, Scene, write_catalogue

    grid = Grid((size, size), Affine(30, 0, 500_015, 0, -30, 4_000_015), "EPSG:32643")
    scaled = Band(scale=2.75e-5, offset=-0.2, nodata=0)
    made = []
    for k in range(SCENES):
        if k // 3 == 4:
            continue  # a quarter without a scene
        rng = np.random.default_rng(k)
        bands = {name: rng.integers(9000, 40_000, (size, size), np.uint16) for name in ("green", "swir16")}
        quality = np.where(rng.random((size, size)) < 0.2, CLOUD, 1 << 6).astype(np.uint16)
        for band in bands.values():
            band[k % 50 :: 50] = 0
        files = {}
        for name, values in {**bands, "qa_pixel": quality}.items():
            files[name] = folder / f"{k}_{name}.tif"
            write_cog(files[name], values, grid, nodata=1 if name == "qa_pixel" else 0)
        time = datetime(2019 + k // 12, k % 12 + 1, 10, tzinfo=UTC)
        about = {"green": scaled, "swir16": scaled, "qa_pixel": Band(nodata=1)}
        made.append(Scene(f"scene{k}", time, files, {"proj:code": "EPSG:32643"}, about))
    write_catalogue(folder, made)


def ours(folder: Path, out: Path) -> np.ndarray:
    """Make the cube by icectl."""
    from icectl.contract import Plugin
    from icectl.run import Run
    from icectl.settings import Glacier
    from icectl.tasks.snow.dataset import open_dataset
    from icectl.tasks.snow.options import PrepareOptions
    from icectl.tasks.snow.prepare import prepare

    plugin = Plugin(name="bench", summary="", task="snow", model="bench:B", stages={})
    out.mkdir()
    run = Run(
        verb="prepare",
        plugin=plugin,
        glacier=Glacier(name="demo"),
        out=out,
        inputs={"fetch": folder},
        quiet=True,
    )
    prepare(run, PrepareOptions(align="none", fill=False))
    return open_dataset(out).read(slice(None))


def theirs(folder: Path, out: Path) -> np.ndarray:
    """Make the cube by odc-stac and xarray."""
    import odc.stac
    import pystac
    import xarray as xr

    items = list(pystac.ItemCollection.from_file(str(folder / "items.json")))
    for item in items:
        for asset in item.assets.values():
            asset.href = str(folder / asset.href)
    data = odc.stac.load(items, bands=["green", "swir16", "qa_pixel"], dtype="uint16", pool=2)
    clear = (data.qa_pixel & (CLOUD | 1)) == 0
    green, swir = (
        (data[name].where((data[name] > 0) & clear) * np.float32(2.75e-5) - np.float32(0.2)).clip(0, 1)
        for name in ("green", "swir16")
    )
    index = (green - swir) / (green + swir)
    quarters = index.resample(time="QS").mean(skipna=True)
    numbered = quarters.assign_coords(time=np.arange(quarters.sizes["time"])).interpolate_na("time")
    snow = xr.where(numbered < 0.3, np.float32(0), numbered.clip(0, 1)).where(numbered.notnull())
    snow.astype("float32").drop_vars("spatial_ref").rename("mask").to_zarr(out / "cube.zarr", mode="w")
    return snow.to_numpy()


def fresh(make: object, folder: Path, name: str, number: list[int]) -> np.ndarray:
    """Run one side into a folder of its own."""
    number[0] += 1
    return make(folder, folder / f"{name}{number[0]}")  # type: ignore[operator]


def measure(size: int) -> Row:
    """Measure both sides at one size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes(folder, size)
        number = [0]
        mine, other = (partial(fresh, f, folder, f.__name__, number) for f in (ours, theirs))
        a, b = mine(), other()
        equal = np.isclose(a, b, atol=1e-3, equal_nan=True).mean()
        here = str(Path(__file__).parent)
        peaks = [
            in_fresh_process(ALONE.format(here=here, side=side), str(folder), str(folder / f"{side}-alone"))
            for side in ("ours", "theirs")
        ]
        memory = " against ".join(f"{found['peak_mb']:.0f}" for found in peaks)
        note = f"{equal:.2%} of pixels alike; peak {memory} MB"
        label = f"{SCENES - 3} scenes of {size}×{size}"
        return compare(label, mine, other, against="odc-stac + xarray", rounds=2, warm_up=False, note=note)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    finish("loading", [measure(size) for size in sizes(300, 600, 1200)], ("odc-stac", "xarray", "zarr"))
