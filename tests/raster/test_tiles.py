from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from icectl.errors import UsageError
from icectl.raster import Window, blend_profile, plan, predict_blended


def run(scene, network, window=16, overlap=5, tile=20, batch=3):
    """Predict a whole scene held in memory; also counts how often each pixel is read and written."""
    out = {}
    reads = np.zeros(scene.shape[1:], int)
    writes = np.zeros(scene.shape[1:], int)

    def read_block(w):
        reads[w.slices] += 1
        return scene[:, *w.slices]

    def write_block(block, row, col):
        whole = out.setdefault("out", np.zeros((block.shape[0], *scene.shape[1:]), np.float32))
        part = slice(row, row + block.shape[1]), slice(col, col + block.shape[2])
        whole[:, *part] = block
        writes[part] += 1

    predict_blended(read_block, network, scene.shape[1:], window, overlap, tile, write_block, batch=batch)
    assert (reads == 1).all()
    assert (writes == 1).all()
    return out["out"]


def tells_place(batch):
    """A network whose answer depends on where in its window a pixel lies: seams would show."""
    h, w = batch.shape[2:]
    ramp = np.linspace(0, 1, h)[:, None] + np.linspace(0, 2, w)
    return np.stack([batch.sum(axis=1) * ramp, batch.mean(axis=(2, 3), keepdims=True)[:, 0] + ramp], axis=1)


def whole_at_once(scene, network, window, overlap):
    """The plain definition, in double precision: weighted windows over the sum of weights."""
    rows, cols = scene.shape[1:]
    profile = blend_profile(window, overlap).astype(float)
    top, weight = 0.0, np.zeros((max(rows, window), max(cols, window)))
    padded = np.pad(scene, ((0, 0), (0, max(0, window - rows)), (0, max(0, window - cols))), mode="symmetric")
    for w in plan((rows, cols), window, overlap):
        part = network(padded[None, :, *w.slices].astype(float))[0]
        if np.isscalar(top):
            top = np.zeros((part.shape[0], *weight.shape))
        top[:, *w.slices] += part * np.outer(profile, profile)
        weight[w.slices] += np.outer(profile, profile)
    return (top / weight)[:, :rows, :cols]


@pytest.mark.parametrize("shape", [(71, 53), (16, 16), (9, 40), (40, 9), (5, 7), (60, 64)])
@pytest.mark.parametrize(("window", "overlap"), [(16, 0), (16, 5), (16, 11), (1, 0)])
def test_it_is_the_weighted_mean_of_all_windows(shape, window, overlap):
    scene = np.random.default_rng(0).random((2, *shape)).astype("float32")
    want = whole_at_once(scene, tells_place, window, overlap)
    np.testing.assert_allclose(run(scene, tells_place, window, overlap), want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("tile", [1, 7, 16, 32, 53, 512])
def test_tile_changes_not_one_bit(tile):
    scene = np.random.default_rng(1).random((3, 71, 53)).astype("float32")
    np.testing.assert_array_equal(run(scene, tells_place, tile=tile), run(scene, tells_place, tile=20))


def test_an_identity_comes_back_and_nan_stays_where_it_is():
    scene = np.random.default_rng(2).random((2, 50, 45)).astype("float32")
    np.testing.assert_allclose(run(scene, lambda b: b), scene, atol=1e-6)
    scene[0, 20, 30] = np.nan
    got = run(scene, lambda b: b)
    assert np.argwhere(np.isnan(got)).tolist() == [[0, 20, 30]]


def test_the_network_always_sees_its_own_size():
    seen = set()

    def network(batch):
        seen.add(batch.shape[1:])
        assert batch.shape[0] <= 3
        return batch

    for shape in [(71, 53), (5, 7), (16, 30)]:
        run(np.zeros((2, *shape), "float32"), network)
    assert seen == {(2, 16, 16)}


def test_windows_start_at_the_origin_and_the_last_is_shifted_back():
    windows = plan((50, 40), 20, 5)
    assert windows[0] == Window(0, 0, 20, 20)
    assert sorted({w.row for w in windows}) == [0, 15, 30]
    assert sorted({w.col for w in windows}) == [0, 15, 20]
    covered = np.zeros((50, 40), bool)
    for w in windows:
        assert Window(0, 0, 50, 40).contains(w)
        covered[w.slices] = True
    assert covered.all()


@pytest.mark.parametrize(("window", "overlap"), [(64, 16), (64, 32), (50, 1)])
def test_neighbours_sum_to_one(window, overlap):
    profile = blend_profile(window, overlap)
    np.testing.assert_allclose(profile[-overlap:] + profile[:overlap], 1, atol=1e-6)
    assert (profile > 0).all()


@pytest.mark.parametrize(("window", "overlap"), [(16, 16), (16, -1), (0, 0)])
def test_an_overlap_that_does_not_fit_is_refused(window, overlap):
    with pytest.raises(UsageError, match="overlap"):
        plan((50, 50), window, overlap)
    with pytest.raises(UsageError, match="positive"):
        run(np.zeros((1, 20, 20), "float32"), lambda b: b, tile=0)


MEMORY = """
import resource, sys
import numpy as np
from icectl.raster import predict_blended
rows, columns = int(sys.argv[1]), 1000
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
noise = np.random.default_rng(0).random((4, 512, 1000)).astype("float32")
before = peak()
predict_blended(lambda w: noise[:, : w.height, : w.width].copy(), lambda b: b * 0.5, (rows, columns),
                64, 16, 512, lambda block, row, col: None, batch=16)
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_scene():
    def peak(rows):
        out = subprocess.run(
            [sys.executable, "-c", MEMORY, str(rows)], capture_output=True, text=True, check=True, timeout=120
        )
        return float(out.stdout)

    small, large = peak(1500), peak(6000)
    assert large < small + 12  # MB; the scene itself grows by 72 MB
