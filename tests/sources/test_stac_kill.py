"""A fetch that is killed goes on where it stopped."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from servers import BOX, OLI, SHAPE, Fault, FileServer, landsat_item, stac_api, write_source

from icectl.sources.catalogue import read_catalogue

SCENES = 6

PROGRAM = """
import sys
from pathlib import Path
from icectl.contract import Plugin
from icectl.run import Run
from icectl.settings import Glacier
from icectl.sources.options import SceneQuery
from icectl.sources.remote import Patience
from icectl.sources.stac import fetch_scenes
out = Path(sys.argv[2])
out.mkdir(exist_ok=True)
(out / ".icectl").touch()
plugin = Plugin(name="x", summary="", task="snow", model="x:y", stages={})
place = Glacier(name="here", bbox=tuple(map(float, sys.argv[3].split(","))))
run = Run(verb="fetch", plugin=plugin, glacier=place, out=out, quiet=True)
fetch_scenes(run, SceneQuery(api=sys.argv[1]), ("green", "swir16", "qa_pixel"), patience=Patience(parallel=2))
"""


@pytest.fixture
def files(tmp_path: Path):
    with FileServer(tmp_path / "archive") as server:
        yield server


def start(url: str, out: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, url, str(out), ",".join(map(str, BOX))])


def test_a_killed_fetch_downloads_only_what_is_missing(files, tmp_path):
    out, items = tmp_path / "out", []
    rng = np.random.default_rng(0)
    for number in range(SCENES):
        name = f"LC08_L2SP_147038_{number:04d}_02_T1"
        cloudy = number == 0  # looked at before the kill, and not again after it
        for band in ("green", "swir16", "qa_pixel"):
            array = rng.integers(7000, 9000, SHAPE).astype("uint16")
            if band == "qa_pixel":
                array[:] = 22280 if cloudy else 21824
            write_source(files.root / f"{name}_{OLI[band]}.TIF", array, nodata=1 if band == "qa_pixel" else 0)
        items.append(landsat_item(name, datetime(2019, 6, 1, tzinfo=UTC) + timedelta(days=number), files.url))
    files.faults.append(Fault("slow", match="SR_B6"))
    with stac_api(items, tmp_path / "stac") as url:
        first = start(url, out)
        deadline = time.monotonic() + 60
        while len(list(out.glob("*/*_swir16.tif"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        first.kill()
        first.wait()
        assert not (out / "items.json").exists()
        whole = {path.name: path.read_bytes() for path in out.glob("*/*.tif")}
        assert 3 <= len(list(out.glob("*/*_swir16.tif"))) < SCENES
        torn = next(path for path in sorted(out.glob("*/*.tif")))  # as a disk without power may leave it
        torn.write_bytes(whole[torn.name][:-200])

        files.faults.clear()
        files.seen.clear()
        assert start(url, out).wait(timeout=120) == 0
    asked = {_band_file(path) for path in files.paths()}
    missing = {
        f"{item['id']}_{band}.tif" for item in items[1:] for band in ("green", "swir16", "qa_pixel")
    } - set(whole)
    assert asked == missing | {torn.name}
    scenes = read_catalogue(out)
    assert [scene.id for scene in scenes] == [item["id"] for item in items[1:]]
    for path in out.glob("*/*.tif"):
        if path.name in whole:
            assert path.read_bytes() == whole[path.name]
    assert sorted(f.name for f in out.iterdir()) == sorted(
        [*(scene.id for scene in scenes), ".icectl", "items.json"]
    )


def _band_file(path: str) -> str:
    """Return the name under which the fetch keeps a file of the archive."""
    layers = {layer: band for band, layer in OLI.items()}
    match = re.fullmatch(r"/(LC08_\w+?_T1)_(SR_B\d|QA_PIXEL)\.TIF", path)
    assert match
    return f"{match[1]}_{layers[match[2]]}.tif"
