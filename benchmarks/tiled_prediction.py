"""Whole-scene prediction in overlapping windows: icectl, a plain loop, MONAI, torchgeo.

The same network (three convolutions of 32 channels), windows of 128 px that share 32, batches of 4, one
thread; all blend where windows overlap. The loop and MONAI's ``sliding_window_inference`` hold the scene in
memory, and so does icectl beside them; torchgeo's ``GridGeoSampler`` reads a COG, and so does icectl beside
it. torchgeo only cuts windows: adding them up is written here as its tutorials do.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from common import Row, absent, compare, finish, installed, sizes

from icectl.raster import Grid, Window, blend_profile, plan, predict_blended, read, write_cog

BANDS, WINDOW, OVERLAP, BATCH = 4, 128, 32, 4
STEP = WINDOW - OVERLAP


def network() -> torch.nn.Module:
    """Return four bands to four bands."""
    torch.manual_seed(0)
    widths = (BANDS, 32, 32, BANDS)
    layers: list[torch.nn.Module] = []
    for a, b in pairwise(widths):
        layers += [torch.nn.Conv2d(a, b, 3, padding=1), torch.nn.GELU()]
    return torch.nn.Sequential(*layers[:-1]).eval()


def icectl(net: torch.nn.Module, scene: np.ndarray | Path, side: int) -> np.ndarray:
    """Predict by `predict_blended`, from an array or a file, into an array."""
    result = np.empty((BANDS, side, side), np.float32)

    def block(window: Window) -> np.ndarray:
        if isinstance(scene, Path):
            return read(scene, window, band=None).filled(0)
        return scene[:, *window.slices]

    def write(part: np.ndarray, row: int, col: int) -> None:
        result[:, row : row + part.shape[1], col : col + part.shape[2]] = part

    with torch.inference_mode():
        apply = lambda x: net(torch.from_numpy(x)).numpy()  # noqa: E731
        predict_blended(block, apply, (side, side), WINDOW, OVERLAP, 512, write, batch=BATCH)
    return result


def loop(net: torch.nn.Module, scene: np.ndarray, side: int) -> np.ndarray:
    """Predict as one would by hand: the same windows and weights, sums of the whole scene."""
    weight = np.outer(*[blend_profile(WINDOW, OVERLAP)] * 2)
    total, weights = np.zeros((BANDS, side, side), np.float32), np.zeros((side, side), np.float32)
    windows = plan((side, side), WINDOW, OVERLAP)
    with torch.inference_mode():
        for first in range(0, len(windows), BATCH):
            some = windows[first : first + BATCH]
            out = net(torch.from_numpy(np.stack([scene[:, *w.slices] for w in some]))).numpy()
            for window, values in zip(some, out, strict=True):
                total[:, *window.slices] += values * weight
                weights[window.slices] += weight
    return total / weights


def monai(net: torch.nn.Module, scene: np.ndarray, side: int) -> np.ndarray:
    """Predict by MONAI's sliding window (Gaussian blending)."""
    from monai.inferers import sliding_window_inference

    with torch.inference_mode():
        image = torch.from_numpy(scene)[None]
        return sliding_window_inference(
            image, (WINDOW, WINDOW), BATCH, net, overlap=OVERLAP / WINDOW, mode="gaussian"
        )[0].numpy()


def torchgeo(net: torch.nn.Module, path: Path, side: int) -> np.ndarray:
    """Predict windows of torchgeo's grid sampler, and average where they overlap."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    class Scenes(RasterDataset):
        filename_glob = path.name

    data = Scenes(str(path.parent))
    loader = DataLoader(
        data, batch_size=BATCH, sampler=GridGeoSampler(data, WINDOW, STEP), collate_fn=stack_samples
    )
    total, weights = np.zeros((BANDS, side, side), np.float32), np.zeros((side, side), np.float32)
    windows = iter(plan((side, side), WINDOW, OVERLAP))  # its order and its shifted last windows alike
    with torch.inference_mode():
        for batch in loader:
            for values, window in zip(net(batch["image"]).numpy(), windows, strict=False):
                total[:, *window.slices] += values[:, :WINDOW, :WINDOW]
                weights[window.slices] += 1
    return total / weights


def measure(side: int, folder: Path) -> list[Row]:
    """Measure all at one size."""
    net, scene = network(), np.random.default_rng(0).random((BANDS, side, side), np.float32)
    path, label = folder / f"scene{side}.tif", f"{BANDS} × {side}²"
    write_cog(path, scene, Grid((side, side), Affine(30, 0, 500_015, 0, -30, 4_000_015), "EPSG:32643"))
    ours = partial(icectl, net, scene, side)
    np.testing.assert_allclose(ours(), loop(net, scene, side), atol=1e-5)
    by_hand = partial(loop, net, scene, side)
    rows = [compare(label, ours, by_hand, against="plain loop", kind="loop", floor=0.95)]
    for name, other, mine in (
        ("monai", partial(monai, net, scene, side), ours),
        ("torchgeo", partial(torchgeo, net, path, side), partial(icectl, net, path, side)),
    ):
        against = {"monai": "MONAI sliding_window_inference", "torchgeo": "torchgeo GridGeoSampler"}[name]
        told = f"{label}, from a COG" if name == "torchgeo" else label
        there = installed(name)
        rows.append(compare(told, mine, other, against=against, rounds=3) if there else absent(told, against))
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        found = [row for side in sizes(320, 640, 1280) for row in measure(side, Path(name))]
    finish("tiled_prediction", found, ("torch", "monai", "torchgeo"))
