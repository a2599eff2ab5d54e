"""Real Landsat crops: pairs, glaciers, labels, and the untrained path as measured."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from icectl.settings import load_experiment
from icectl.tasks.front.files.images import read_image, read_label
from icectl.tasks.front.files.pairs import find_pairs
from icectl.tasks.front.metrics import score

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def pairs(shared_data):
    root = shared_data / "fronts_mohajerani2019"
    places = load_experiment("mohajerani2019-jakobshavn").fetch["wrs_glaciers"]
    return find_pairs(root / "images", root / "labels", wrs_glaciers=places)


def test_all_pair_and_name_their_glacier(pairs):
    assert Counter(p.facts["glacier"] for p in pairs) == {
        "jakobshavn": 30,
        "kangerlussuaq": 23,
        "sverdrup": 70,
    }
    assert all(p.dated for p in pairs)
    assert not any(p.facts["slc_off"] == "yes" for p in pairs)


def test_wide_and_thin_labels_are_one_front(pairs):
    for pair in pairs[::20]:
        image, place = read_image(pair.image)
        assert place is None
        assert image.shape == (300, 200)
        thin = pair.label.parents[1] / "labels_1px" / pair.label.name
        wide, fine = (read_label(path, (300, 200), None) for path in (pair.label, thin))
        assert len(wide.lines) == len(fine.lines) == 1
        assert np.mean(score(wide.lines, fine.lines, (300, 200)).pooled) < 0.5
