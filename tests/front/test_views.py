"""Views: where they lie, and that training and prediction make the same layers of them."""

from __future__ import annotations

from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from icectl.tasks.front.dataset import DataWriter, Entry, open_dataset
from icectl.tasks.front.image.layers import stack
from icectl.tasks.front.image.samples import load
from icectl.tasks.front.image.views import view
from icectl.tasks.front.image.windows import resize
from icectl.tasks.front.line.found import Rules
from icectl.tasks.front.line.passes import Predictor

DAY = datetime(2005, 8, 8, tzinfo=UTC)


def scene(shape):
    """Rough bright ice over smooth dark water, with texture at every scale."""
    rng = np.random.default_rng(3)
    fine, coarse = rng.random(shape), cv2.resize(rng.random((12, 12)), shape[::-1])
    level = np.where(np.arange(shape[0]) > shape[0] * 0.6, 0.1, 0.7)[:, None]
    return (level + 0.1 * fine + 0.3 * coarse).astype(np.float32)


class Recording:
    """A network that keeps what it is shown and finds nothing."""

    def __init__(self):
        self.shown = []

    def __call__(self, windows):
        self.shown.append(windows.copy())
        return np.full((len(windows), 2, *windows.shape[2:]), 0.01, np.float32)


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("shape", [(300, 200), (90, 120), (640, 800)])
def test_pass_one_shows_the_network_what_training_did(tmp_path, shape, gap):
    image = scene(shape)
    if gap:
        image[20:30, 40:60] = np.nan
    writer = DataWriter(tmp_path)
    entry = Entry("a", DAY, shape, lines=())
    writer.add(entry, image, None)
    writer.finish([entry], False, {})
    data = open_dataset(tmp_path)
    trained, _ = load(data, data.entries[0], 256)
    network = Recording()
    Predictor(network, Rules(full_size=256, window=256, stride=256, flip=False))(image)
    rows, columns = trained.shape[1:]
    assert max(rows, columns) == 256
    np.testing.assert_array_equal(network.shown[0][0][:, :rows, :columns], trained)


def test_layers_of_a_view_are_nearly_the_view_of_layers():
    image = scene((300, 200))
    of_view = stack(view(image, (0, 0, 300, 200), 256).image)
    view_of = resize(stack(image), of_view.shape[1:])
    difference = np.abs(of_view - view_of).mean(axis=(1, 2))
    assert (difference < [0.04, 0.1, 0.04]).all()  # of a range of 2


def test_a_view_keeps_places():
    rows, columns = np.indices((400, 500), np.float32)
    box = (100, 50, 350, 300)
    for size in (64, 256, 400):
        part = view(rows, box, size), view(columns, box, size)
        assert part[0].image.shape == (size, size)
        pixel = np.array([[size // 3, size // 2]])
        source = part[0].to_source(pixel.astype(float))[0]
        found = [float(v.image[size // 3, size // 2]) for v in part]
        np.testing.assert_allclose(found, source, atol=0.05)
