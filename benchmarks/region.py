"""Bed and thickness of a region: glaciers a minute, and peak memory as the region grows.

    python benchmarks/region.py

Regions of 4, 16 and 64 glaciers of about half a square kilometre on one elevation model, with weights that
were trained for a few updates only: neither time nor memory depends on how good they are. Each region is
predicted in a process of its own; 5 % more memory is allowed for sixteen times the glaciers. The same table
must come from two workers of a local Dask cluster.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
from affine import Affine
from common import QUICK, Row, bound, finish, in_fresh_process
from scipy import ndimage
from shapely.affinity import rotate, scale
from shapely.geometry import Point, Polygon

from icectl.raster import Grid, write_cog, write_vectors

SIDE, PIXEL, LEFT, TOP = 64, 30.0, 400_000.0, 5_200_000.0
"""Pixels of ground around each glacier, their size (m), and the corner of the map."""

TRAIN = """
import json, sys
from pathlib import Path
from icectl import registry, stages
from icectl.run import Compute
from icectl.settings import load_glacier
from icectl.workspace import Workspace
plugin = registry.get("inpaint-gan")
quick = {"fetch": {"world": {"size": 128, "count": 3}},
         "prepare": {"patch_size": 64, "hole_size": 24, "patches": 60, "minimum_relief": 50},
         "train": {"updates": 20, "validate_every": 20, "batch_size": 8}}
options = {v: kind.model_validate(quick.get(v, {})) for v, kind in plugin.stages.items()}
request = stages.Request(plugin=plugin, glacier=load_glacier("demo"), options=options, quiet=True,
                         workspace=Workspace(Path(sys.argv[1])), compute=Compute(device="cpu"))
print(json.dumps({"run": str(stages.perform(request, "train").run)}))
"""

PREDICT = """
import json, sys, time
from pathlib import Path
from icectl import registry, stages
from icectl.run import Compute
from icectl.settings import load_glacier
from icectl.workspace import Workspace
import torch
torch.set_num_threads(1)
folder, run, cluster = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None
if __name__ == "__main__":
    plugin = registry.get("inpaint-gan")
    chosen = {"predict": {"dem": folder / "dem.tif", "outlines": folder / "outlines.gpkg", "rounds": 3}}
    options = {v: kind.model_validate(chosen.get(v, {})) for v, kind in plugin.stages.items()}
    request = stages.Request(plugin=plugin, glacier=load_glacier("demo"), options=options, run=run,
                             quiet=True, force=True, workspace=Workspace(folder / str(bool(cluster))),
                             compute=Compute(device="cpu", cluster=cluster))
    started = time.perf_counter()
    out = stages.perform(request, "predict").out
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "table": sorted((out / "table.csv").read_text().splitlines())}))
"""


def region(folder: Path, count: int) -> Path:
    """Write an elevation model with `count` glaciers, and their outlines."""
    across = round(count**0.5)
    rng = np.random.default_rng(0)
    shape = (SIDE * across, SIDE * across)
    ground = 2500 + 2500 * ndimage.gaussian_filter(rng.normal(size=shape), 8)
    grid = Grid(shape, Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP), "EPSG:32632")
    folder.mkdir()
    write_cog(folder / "dem.tif", ground.astype("float32"), grid)
    shapes = [rotate(scale(_circle(i % across, i // across), 550, 300), 37 * i) for i in range(count)]
    names = [f"RGI60-99.{i:05d}" for i in range(count)]
    write_vectors(
        folder / "outlines.gpkg", gpd.GeoDataFrame({"RGIId": names}, geometry=shapes, crs=grid.crs.to_wkt())
    )
    return folder


def _circle(col: int, row: int) -> Polygon:
    metres = SIDE * PIXEL
    return Point(LEFT + (col + 0.5) * metres, TOP - (row + 0.5) * metres).buffer(1)


def main() -> None:
    """Measure, compare, print."""
    os.environ |= {"ICECTL_ENERGY": "off", "OMP_NUM_THREADS": "1"}  # workers add up as one process does
    counts = (4, 9) if QUICK else (4, 16, 64)
    with tempfile.TemporaryDirectory() as temporary:
        run = in_fresh_process(TRAIN, temporary)["run"]
        folders = {n: region(Path(temporary) / f"region{n}", n) for n in counts}
        found = {n: in_fresh_process(PREDICT, str(folder), run, "") for n, folder in folders.items()}
        least, most = found[counts[0]], found[counts[-1]]
        rows: list[Row] = [
            bound(f"peak memory with {n} glaciers", found[n]["peak_mb"], 1.05 * least["peak_mb"], "MB",
                  against=f"that with {counts[0]}, and 5 %")
            for n in counts[1:]
        ]  # fmt: skip
        spread = in_fresh_process(PREDICT, str(folders[counts[-1]]), run, "local:2")
        changed = 1.0 + (spread["table"] != most["table"])
        rows.append(
            bound("1 + whether --cluster local:2 changes the table", changed, 1.0, "", against="no change")
        )
        alone, two = (60 * counts[-1] / one["seconds"] for one in (most, spread))
        rows.append(
            Row(
                name=f"{counts[-1]} glaciers", against="--cluster local:2, its start included",
                ours=most["seconds"], other=spread["seconds"], ratio=spread["seconds"] / most["seconds"],
                floor=None, kind="loop",
                note=f"{alone:.0f} glaciers a minute in one process, {two:.0f} with two workers; peak "
                + ", ".join(f"{one['peak_mb']:.0f} MB with {n}" for n, one in found.items()),
            )
        )  # fmt: skip
        finish("region", rows, packages=("torch", "scipy", "distributed"))


if __name__ == "__main__":
    main()
