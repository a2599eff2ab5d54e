"""Ten thousand outlines of a region, of which 50 and then 500 are computed with the weights that ship.

Takes minutes, so only ``make bench-large`` runs it. All are asked for, and the command is ended when 500 are
done; then it is started again, until it has gone on. The glaciers are small: all but computing is measured.
"""

from __future__ import annotations

import csv
import json
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from _loads import Used, begun, growth, icectl
from affine import Affine
from common import QUICK, bound, finish
from scipy import ndimage

from icectl.raster import Grid, write_cog, write_vectors

OUTLINES, START, FEW, MANY = (400, 1, 4, 8) if QUICK else (10_000, 5, 50, 500)
SIDE, PIXEL, LEFT, TOP, CRS = 1500, 30.0, 400_000.0, 5_200_000.0, "EPSG:32632"
NOTES = "icectl-workspace/runs/inpaint-gan/*/*/predictions/*/.glaciers.jsonl"
TABLES = NOTES.replace(".glaciers.jsonl", "table.csv")
WORDS = ("predict", "inpaint-gan", "--dem", "dem.tif", "--outlines", "outlines.gpkg")


def region(folder: Path) -> list[str]:
    """Write an elevation model and its outlines; return their ids."""
    rng = np.random.default_rng(0)
    ground = 2500 + 2500 * ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 8)
    grid = Grid((SIDE, SIDE), Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP), CRS)
    write_cog(folder / "dem.tif", ground.astype(np.float32), grid)
    side = int(np.ceil(OUTLINES**0.5))
    step = (SIDE - 20) * PIXEL / side
    where = [
        (LEFT + 300 + (i % side + 0.5) * step, TOP - 300 - (i // side + 0.5) * step) for i in range(OUTLINES)
    ]
    shapes = [shapely.Point(x, y).buffer(150) for x, y in where]
    names = [f"RGI60-99.{i:05d}" for i in range(OUTLINES)]
    write_vectors(folder / "outlines.gpkg", gpd.GeoDataFrame({"RGIId": names}, geometry=shapes, crs=CRS))
    return names


def known(folder: Path) -> int:
    """Return how many glaciers an unfinished prediction has noted down."""
    with suppress(FileNotFoundError):  # a folder of work that has just gone
        return sum(path.read_text().count("\n") for path in folder.glob(NOTES))
    return 0


def until(folder: Path, first: int, last: int) -> float:
    """Return the seconds until more than `first` of all outlines are computed; end the command at `last`."""
    started, process = time.perf_counter(), begun(folder, *WORDS)
    while known(folder) <= first:
        time.sleep(0.05)
        if process.poll() is not None:
            raise RuntimeError((folder / "said.txt").read_text()[-2000:])
    took = time.perf_counter() - started
    while known(folder) < last:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.wait()
    return took


def finishing(folder: Path, names: list[str], computed: Path) -> Used:
    """Return what is left to do when all are known; those not computed are copies of `computed`."""
    rows = list(csv.DictReader((computed / "table.csv").open()))
    (notes,) = folder.glob(NOTES)
    with notes.open("w") as file:
        for number, name in enumerate(names):
            row = rows[number % len(rows)]
            shutil.copytree(computed / row["id"], notes.parent / name, dirs_exist_ok=True)
            values = {k: v if k == "note" or not v else float(v) for k, v in row.items() if k != "id"}
            file.write(json.dumps([{"id": name, **values}, [], ""]) + "\n")
    return icectl(folder, *WORDS)


def main() -> None:
    """Measure three numbers of glaciers, all of them as far as the largest number, twice, and their end."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, found = Path(temporary), {}
        names = region(folder)
        planned = icectl(folder, *WORDS, "--dry-run")
        for count in (START, FEW, MANY):
            chosen = [word for name in names[:: OUTLINES // count][:count] for word in ("--ids", name)]
            found[count] = icectl(folder, *WORDS, *chosen)
        computed = max(folder.glob(TABLES), key=lambda path: path.stat().st_size).parent
        before = until(folder, 0, MANY)
        resumed = until(folder, known(folder), MANY)
        rest = finishing(folder, names, computed)
        again = icectl(folder, *WORDS)
    start, few = found.pop(START), found[FEW]
    name = f"{OUTLINES:,} outlines"
    rows = [
        bound(f"{name}, dry run", planned.seconds, 60, "s", note=str(planned)),
        bound(f"{name}, planning: until the first is computed", before, 60, "s"),
        bound(f"{name}, resume after {MANY}: until the next is computed", resumed, 60, "s"),
        bound(f"{name}, all known: table, records and page", rest.seconds, 60, "s", note=str(rest)),
        bound(f"{name}, peak memory of that over {FEW} computed", rest.memory / few.memory, 1.1, "times"),
        bound(f"{name}, seeing that they are done", again.seconds, 60, "s", note=str(again)),
        *growth(name, found, 1.1, start, "computed"),
    ]
    finish("loads_region", rows, ("torch", "geopandas", "rasterio"))


if __name__ == "__main__":
    main()
