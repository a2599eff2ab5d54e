"""A region that is killed goes on with the glaciers that are left, and gives the same products."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from scipy import ndimage
from shapely.geometry import Point

from icectl.raster import Grid, write_cog, write_vectors

WORDS = ("predict", "inpaint-gan", "--dem", "dem.tif", "--outlines", "outlines.gpkg")
COUNT, NOTES = 12, "runs/inpaint-gan/*/*/predictions/*/.glaciers.jsonl"


@pytest.fixture
def region(tmp_path: Path) -> Path:
    ground = 2500 + 2500 * ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(240, 320)), 8)
    grid = Grid((240, 320), Affine(30, 0, 400_000, 0, -30, 5_200_000), "EPSG:32632")
    write_cog(tmp_path / "dem.tif", ground.astype(np.float32), grid)
    ice = [Point(401_200 + 2400 * (i % 4), 5_198_800 - 2400 * (i // 4)).buffer(300) for i in range(COUNT)]
    names = [f"RGI60-11.{i:05d}" for i in range(COUNT)]
    write_vectors(
        tmp_path / "outlines.gpkg", gpd.GeoDataFrame({"RGIId": names}, geometry=ice, crs=grid.crs.to_wkt())
    )
    return tmp_path


def start(folder: Path, workspace: str, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "icectl", *WORDS, "--workspace", workspace, *words]
    around = {**os.environ, "ICECTL_ENERGY": "off", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=around)


def known(workspace: Path) -> int:
    with suppress(FileNotFoundError):  # a folder of work that has just gone
        return sum(path.read_text().count("\n") for path in workspace.glob(NOTES))
    return 0


def products(workspace: Path) -> dict[str, str]:
    (folder,) = workspace.glob("runs/inpaint-gan/*/*/predictions/*")
    dated = {"stage.json", "item.json", "report.html"}
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in dated]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


@pytest.mark.slow
@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_region_goes_on_where_it_stopped(region, what):
    """It began with the first glacier again: of ten thousand, hours were lost."""
    killed = start(region, "broken")
    deadline = time.monotonic() + 240
    while known(region / "broken") < 3 and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert killed.poll() is None, killed.communicate()[1]
    killed.send_signal(what)
    killed.communicate()
    (kept,) = (region / "broken").rglob(".glaciers.jsonl")
    kept.write_text(kept.read_text() + '[{"id": "RGI60-11.0')  # a line that was cut
    before = {path: path.stat().st_mtime_ns for path in kept.parent.rglob("thickness.tif")}
    again = start(region, "broken")
    said = again.communicate()[1]
    assert again.returncode == 0, said
    count = int(said.partition(f" of {COUNT} glaciers were computed before")[0].split()[-1])
    assert count >= 3
    assert sum(path.stat().st_mtime_ns == when for path, when in before.items()) >= count
    whole = start(region, "whole")
    assert "computed before" not in whole.communicate()[1]
    assert products(region / "broken") == products(region / "whole")


def test_a_full_disk_is_no_fault_of_a_glacier(monkeypatch):
    from icectl.errors import WorkError
    from icectl.tasks.bed import predict

    def full(*_: object) -> None:
        raise WorkError("the disk of x is full", "free some space")

    monkeypatch.setattr(predict, "scene_of", full)
    place = type("Place", (), {"name": "a"})
    job = type("Job", (), {"place": place, "dem": None, "options": None})
    with pytest.raises(WorkError, match="is full"):
        predict.work(job)
