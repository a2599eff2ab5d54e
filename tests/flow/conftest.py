"""A small moving texture with known velocity, and runs made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from affine import Affine
from scipy import ndimage

from icectl.raster import Grid, write_cog
from icectl.run import Run
from icectl.settings import Glacier
from icectl.sources.catalogue import write_catalogue
from icectl.sources.scene import Scene
from icectl_svg import plugin
from icectl_svg.network import SVGModel

DAYS = (0, 16, 24, 48, 64, 72, 96)
SPEED = (0.05, -0.075)
"""Rows down and columns right, pixels a day."""

RESOLUTION = 30.0
CLOUDY = 3


def moving(seed=0, shape=(160, 288), days=DAYS, bands=2):
    """Frames (time, band, rows, cols) of a texture that moves by SPEED; frame CLOUDY is under cloud."""
    rng = np.random.default_rng(seed)
    pad = 24
    wide = tuple(n + 2 * pad for n in shape)
    base = sum(ndimage.gaussian_filter(rng.standard_normal(wide), s) * s for s in (1.5, 3, 8))
    cloud = 500 + 300 * ndimage.gaussian_filter(rng.standard_normal(shape), 20) * 20
    frames = np.empty((len(days), bands, *shape), np.float32)
    for t, day in enumerate(days):
        shifted = ndimage.shift(base, (SPEED[0] * day, SPEED[1] * day), order=3, mode="wrap")[
            pad:-pad, pad:-pad
        ]
        for b in range(bands):
            frames[t, b] = 1000 + (100 + 20 * b) * shifted + 3 * rng.standard_normal(shape)
        if t == CLOUDY:
            frames[t] = cloud + 40 * rng.standard_normal(shape)
    return np.rint(frames)


def write_scenes(folder, frames, days=DAYS, crs="EPSG:32633", names=("red", "nir08")):
    """Write frames as single-band GeoTIFFs with a catalogue."""
    grid = Grid(frames.shape[2:], Affine(RESOLUTION, 0, 500_000, 0, -RESOLUTION, 8_000_000), crs)
    scenes = []
    for frame, day in zip(frames, days, strict=True):
        when = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)
        name = f"s_{when:%Y%m%d}"
        assets = {}
        for band, values in zip(names, frame, strict=False):
            assets[band] = folder / f"{name}_{band}.tif"
            write_cog(assets[band], values.astype(np.uint16), grid)
        scenes.append(Scene(name, when, assets))
    write_catalogue(folder, scenes)
    return scenes


def make_run(verb, out, inputs=None, options=None, **more):
    """Make a Run as the stages do."""
    stages = plugin.stages
    given = options or {}
    resolved = {v: stages[v].model_validate(given.get(v, {})) for v in stages}
    out.mkdir(parents=True, exist_ok=True)
    glacier = more.pop("glacier", Glacier(name="test"))
    return Run(
        verb=verb,
        plugin=plugin,
        glacier=glacier,
        out=out,
        inputs=inputs or {},
        options=resolved,
        quiet=True,
        **more,
    )


OPTIONS = {
    "prepare": {"chip": 32, "chips": 60, "scale": 1.5},
    "train": {
        "past": 3, "updates": 6, "batch_size": 4, "width": 4,
        "validate_every": 3, "test_share": 0.35, "valid_share": 0.15,
    },
    "predict": {"velocity_chip": 32, "spacing": 16, "samples": 2, "pairs": 4},
    "evaluate": {},
}  # fmt: skip


@pytest.fixture(scope="session")
def model():
    return SVGModel()


@pytest.fixture(scope="session")
def stages(tmp_path_factory, model):
    """All five stages done once on the moving texture: folders by verb, and the metrics."""
    root = tmp_path_factory.mktemp("flow")
    write_scenes(_made(root / "fetch"), moving())
    inputs = {"fetch": root / "fetch"}
    metrics = None
    for verb in ("prepare", "train", "predict", "evaluate"):
        run = make_run(verb, root / verb, dict(inputs), OPTIONS)
        result = getattr(model, verb)(run, run.options[verb])
        inputs[verb] = root / verb
        metrics = result if verb == "evaluate" else None
    return {**inputs, "metrics": metrics}


def _made(folder):
    folder.mkdir()
    return folder
