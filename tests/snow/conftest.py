"""A tiny cube and a hand-made run, so that no test needs the command line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from terminal import terminal

from icectl.run import Run
from icectl.settings import Glacier
from icectl.tasks.snow.dataset import CubeWriter, open_dataset


def grid_of_shape(rows, cols):
    return GeoBox((rows, cols), Affine(30, 0, 700_005, 0, -30, 3_500_025), "EPSG:32643")


def quarters(count, first=2013):
    return [date(first + k // 4, 3 * (k % 4) + 1, 1) for k in range(count)]


def snow(frames, rows, cols, seed=0):
    """Masks with seasons: snow above a line that moves with the time of year."""
    rng = np.random.default_rng(seed)
    height = np.linspace(0, 1, rows)[:, None] + 0.15 * rng.standard_normal((rows, cols))
    lines = [(0.1, 0.3, 0.8, 0.5)[k % 4] + 0.05 * rng.standard_normal() for k in range(frames)]
    return (
        np.stack([np.where(height > line, 0.35 + 0.3 * height, 0) for line in lines]).clip(0, 1).astype("f4")
    )


@pytest.fixture
def make_cube(tmp_path):
    """Return ``make(values, flags=None, times=None)``: writes a cube and opens it."""

    def make(values, flags=None, times=None, folder=None, height=None):
        folder = folder or tmp_path / "prepare"
        folder.mkdir(parents=True, exist_ok=True)
        frames, rows, cols = values.shape
        flags = np.ones(values.shape, "u1") if flags is None else flags
        writer = CubeWriter(
            folder / "dataset.zarr", times or quarters(frames), grid_of_shape(rows, cols), {"frames": frames}
        )
        writer.write(slice(0, rows), values, flags)
        if height is not None:
            writer.write_height(height)
        writer.close()
        return open_dataset(folder)

    return make


@pytest.fixture
def make_run(tmp_path):
    """Return ``make(plugin, verb, options={}, **fields)``: a run of one stage in its own folder."""

    def make(plugin, verb, given=None, root=None, **fields):
        root = Path(root or tmp_path)
        options = {
            name: kind.model_validate({k: v for k, v in (given or {}).items() if k in kind.model_fields})
            for name, kind in plugin.stages.items()
        }
        out = root / verb
        out.mkdir(parents=True, exist_ok=True)
        inputs = {name: root / name for name in plugin.stages if name != verb and (root / name).exists()}
        place = Glacier(name="somewhere", crs="EPSG:32643", resolution=30)
        return Run(
            verb=verb,
            plugin=plugin,
            glacier=place,
            out=out,
            inputs=inputs,
            options=options,
            quiet=True,
            **fields,
        )

    return make


@pytest.fixture
def icectl(tmp_path, monkeypatch, capfd):
    """The command line in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return terminal(monkeypatch, capfd)
