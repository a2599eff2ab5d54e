"""Every model's paper preset takes an update from the command line, on tiny data."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage
from shapely.geometry import Point
from terminal import terminal
from worlds import world

from icectl.raster import write_cog

SNOW = (
    *(*world("convlstm", size=224, years=5), "--align", "none", "--epochs", "1"),
    *("--batch-size", "2", "--stride", "40"),  # some fifteen windows to validate on, not some 250
)
DATA = {
    "convlstm": SNOW,
    "lstm": SNOW,
    "unet": SNOW,
    "salstm": SNOW,
    "svg": (
        *world("svg", size=384, frames=14),
        "--split",
        "time",
        "--chip",
        "64",
        "--batch-size",
        "2",
        "--epochs",
        "1",
    ),
    "deeplab-xception": (*world("deeplab", size=96, count=2, years=2), "--batch-size", "2"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: the snow models share what was fetched and prepared."""
    return tmp_path_factory.mktemp("presets")


@pytest.mark.slow
@pytest.mark.parametrize("model", DATA)
def test_a_paper_preset_takes_an_update(model, monkeypatch, capfd, folder: Path) -> None:
    monkeypatch.chdir(folder)
    command = ("train", model, "--glacier", "demo", "--preset", "paper", "--updates", "1", *DATA[model])
    assert "weights" not in terminal(monkeypatch, capfd)(*command).err
    assert list(folder.glob(f"icectl-workspace/runs/{model}/*/*/weights.safetensors"))


@pytest.mark.slow
def test_the_paper_preset_of_inpaint_gan_takes_an_update(monkeypatch, capfd, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    call = terminal(monkeypatch, capfd)
    rng = np.random.default_rng(0)
    heights = (2600 + 9000 * ndimage.gaussian_filter(rng.normal(size=(700, 700)), 14)).astype("float32")
    grid = GeoBox((700, 700), Affine(30, 0, 400_000, 0, -30, 5_200_000), "EPSG:32632")
    write_cog(tmp_path / "dem.tif", heights, grid)
    ice = gpd.GeoDataFrame({"id": ["a"]}, geometry=[Point(401_000, 5_199_000).buffer(300)], crs="EPSG:32632")
    ice.to_file(tmp_path / "ice.gpkg")
    own = ("--train-dem", "dem.tif", "--train-outlines", "ice.gpkg", "--unlisted-ice", "none")
    more = ("--patches", "40", "--step", "inpaint", "--minimum-relief", "20")
    command = (
        "train",
        "inpaint-gan",
        "--preset",
        "paper",
        "--updates",
        "1",
        "--batch-size",
        "1",
        *own,
        *more,
    )
    call(*command)
    assert list(tmp_path.glob("icectl-workspace/runs/*/*/*/weights.safetensors"))
    refused = call(*command, "--patch-size", "64", "--dry-run", ok=False)
    assert refused.code != 0
    assert "cannot be averaged to the network's 256" in refused.err
