"""Windows, two passes, filters with a network that is known: the image itself."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from icectl.tasks.front.image.views import padded_box, view
from icectl.tasks.front.image.windows import (
    mirrored,
    pad_to,
    predict_whole,
    predict_windows,
    predict_zoomed,
    window_starts,
)
from icectl.tasks.front.line import filters
from icectl.tasks.front.line.domains import best, by_domains, confirmed, domains
from icectl.tasks.front.line.found import Front, Rules
from icectl.tasks.front.line.lines import draw
from icectl.tasks.front.line.passes import PassResult, Predictor, away_from_gaps, painted, supported
from icectl.tasks.front.metrics import score

SHAPE = (180, 240)
LINE = np.stack([90 + 12 * np.sin(np.arange(140) / 20), np.arange(140) + 50.0], axis=1)


def scene(line=LINE, shape=SHAPE):
    """Bright front on grey; ice below is brighter than the sea above."""
    rows = np.arange(shape[0])[:, None] * np.ones(shape)
    level = np.interp(np.arange(shape[1]), line[:, 1], line[:, 0])
    image = np.where(rows > level, 0.55, 0.25).astype(np.float32)
    image[draw(line, shape, 3 if shape == SHAPE else 9)] = (
        1.0  # above 0.5 % of the pixels: not stretched away
    )
    image[0, 0], image[0, 1] = 0.0, 1.0
    return image


def network(windows):
    """Edge where the raw layer is bright, ice where it is middling or more."""
    raw = (windows[:, 0] + 1) / 2
    return np.stack([np.clip(raw * 4 - 3, 0, 1), (raw > 0.4).astype(np.float32)], axis=1).astype(np.float32)


def nothing(windows):
    return np.full((len(windows), 2, *windows.shape[2:]), 0.01, np.float32)


def test_windows_cover_and_average():
    assert window_starts(256, 224, 16) == [0, 16, 32]  # CALFIN's three a side
    assert window_starts(250, 224, 16) == [0, 16, 26]
    assert window_starts(100, 224, 16) == [0]
    layers = np.random.default_rng(0).random((3, 70, 90)).astype(np.float32)
    seen = []

    def counting(windows):
        seen.append(len(windows))
        return windows[:, :2]

    result = predict_windows(layers, counting, window=32, stride=8, batch=5)
    np.testing.assert_allclose(result, layers[:2], atol=1e-6)
    assert sum(seen) == len(window_starts(70, 32, 8)) * len(window_starts(90, 32, 8))
    np.testing.assert_allclose(predict_windows(layers[:, :20, :20], counting, 32, 8), layers[:2, :20, :20])


def test_whole_images_are_padded_and_mirrored():
    layers = np.random.default_rng(0).random((3, 50, 70)).astype(np.float32)
    shapes = []

    def echo(windows):
        shapes.append(windows.shape)
        return windows[:, :2]

    np.testing.assert_allclose(predict_whole(layers, mirrored(echo)), layers[:2], atol=1e-6)
    assert shapes == [(1, 3, 64, 96)] * 2
    assert pad_to(layers, (50, 70)) is layers


@pytest.mark.parametrize("passes", ["whole", "two"])
@pytest.mark.parametrize("shape", [SHAPE, (600, 700)])
def test_every_pass_finds_the_front_in_source_pixels(passes, shape):
    line = LINE * (np.array(shape) / SHAPE).min()
    rules = Rules(full_size=256 if passes == "two" else None, mask_ratio=1e9)
    found = Predictor(network, rules)(scene(line, shape))
    assert len(found.fronts) == 1
    assert not found.fronts[0].fallback
    error = score([found.fronts[0].line], [line], shape)
    assert error.pooled.mean() < 1.6 * max(1.0, max(shape) / 256)
    assert found.edge.shape == shape
    if passes == "two" and shape == SHAPE:
        assert found.fronts[0].enlarged > 1
        assert any("source has fewer pixels" in note for note in found.notes)


@pytest.mark.parametrize("second", [(0, 0, 90, 90), (20, 30, 80, 90)])
def test_later_looks_lie_over_earlier_ones(second):
    rng = np.random.default_rng(0)
    looks = [
        PassResult(box, *rng.random((2, 32, 32), np.float32), (), ()) for box in ((0, 0, 90, 90), second)
    ]  # fmt: skip
    edge, mask = painted((90, 90), looks)
    for found, parts in ((edge, [look.edge for look in looks]), (mask, [look.mask for look in looks])):
        wanted = cv2.resize(parts[0], (90, 90))
        top, left, bottom, right = second
        wanted[top:bottom, left:right] = cv2.resize(parts[1], (right - left, bottom - top))
        np.testing.assert_array_equal(found, wanted)


def test_large_scenes_are_cut_into_domains():
    image = np.full((500, 900), 0.25, np.float32)
    image[300:480, 600:840] = scene()
    image[:60, :300] = np.nan  # the first domain holds data all the same
    rules = Rules(full_size=256, mask_ratio=1e9, fallback=False)
    found = by_domains(image, Predictor(network, rules), 300, 75, 1)
    assert found.edge.shape == found.mask.shape == image.shape
    assert found.notes[0] == "cut into 15 domains"
    assert len(found.fronts) == 1  # though several domains hold it
    error = score([found.fronts[0].line], [np.add(LINE, (300, 600))], image.shape)
    assert error.pooled.mean() < 2
    assert len(by_domains(image, Predictor(network, rules), 300, 75, 5).fronts) == 1
    empty = by_domains(image, Predictor(nothing, rules), 300, 75, 1)
    assert (empty.fronts, empty.notes[1:]) == ((), ("no front found",))


def test_domains_overlap_by_half_and_cover():
    covered = np.zeros((500, 900), int)
    for top, left, bottom, right in domains(covered.shape, 300):
        assert bottom - top == right - left == 300
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1
    assert domains((100, 500), 300) == [(0, 0, 100, 300), (0, 150, 100, 450), (0, 200, 100, 500)]


def test_a_front_that_depends_on_where_a_scene_is_cut_is_in_doubt():
    line = np.column_stack([np.full(80, 190.0), np.arange(150.0, 230.0)])
    front, other = Front(line, 0.9, "whole"), Front(np.add(line, (60, 0)), 0.9, "whole")
    boxes = domains((384, 384), 256)  # four, all of which hold the line
    for seen, doubt in ((1, ("seen in 1 of 4 domains that hold it",)), (3, ())):
        parts = [(box, (front if k < seen else other,), ()) for k, box in enumerate(boxes)]
        assert confirmed(front, parts, 8).doubt == doubt
    cut = [((0, 0, 256, 200), (), ()), ((0, 128, 256, 384), (front,), ())]
    assert confirmed(front, cut, 8).doubt == ()  # the one domain that holds it whole sees it


def test_flagged_fronts_count_only_without_others():
    fronts = [Front(LINE, 0.9, "two", fallback=True), Front(LINE[:60] + 200, 0.6, "two")]
    assert best(fronts, 10, 5) == fronts[1:]
    assert best(fronts[:1], 10, 5) == fronts[:1]


def test_no_front_is_an_empty_result_with_a_reason():
    found = Predictor(nothing, Rules())(np.random.default_rng(0).random((64, 64)))
    assert found.fronts == ()
    assert found.notes == ("no front found",)


def test_weak_fronts_are_flagged_or_refused():
    def weak(windows):
        return network(windows) * np.array([0.2, 1.0], np.float32)[None, :, None, None]

    flagged = Predictor(weak, Rules(mask_ratio=1e9))(scene())
    assert flagged.fronts[0].fallback
    assert "no front passed the filters" in flagged.notes[0]
    refused = Predictor(weak, Rules(fallback=False))(scene())
    assert refused.fronts == ()
    assert refused.notes == ("no front found",)


def test_boxes_are_square_padded_and_inside():
    box = padded_box(np.array([[10.0, 10.0], [50.0, 70.0]]), (400, 500), 2.5, 100)
    top, left, bottom, right = box
    assert (bottom - top, right - left) == (150, 150)
    assert top >= 0
    assert left >= 0
    assert padded_box(LINE, (400, 500), 2.5, 256)[2] <= 400
    square = view(np.zeros((400, 500), np.float32), box, 256)
    assert square.image.shape == (256, 256)
    np.testing.assert_allclose(square.to_source(np.array([[-0.5, -0.5]])), [[top - 0.5, left - 0.5]])


def test_filters_one_by_one():
    edge, mask = np.zeros((100, 100), np.float32), np.zeros((100, 100), np.float32)
    mask[50:] = 1
    edge[50, 10:90], edge[20, 10:14] = 0.95, 0.95
    parts = filters.parts_of(edge, mask, 0.25)
    assert sorted(part.area for part in parts) == [4, 80]
    options = Rules(full_size=100, minimum_relative=0.0, edge_confidence=0.0, fronts=5)
    assert [p.area for p in filters.accept(parts, mask, options, 0.0)] == [80]  # the other is too short
    loose = replace(options, minimum_length=0.0)
    assert [p.area for p in filters.accept(parts, mask, loose, 0.0)] == [80, 4]
    assert len(filters.accept(parts, mask, replace(loose, minimum_relative=0.15), 0.0)) == 1
    assert len(filters.accept(parts, mask, replace(loose, front_distance=0.5), 0.0)) == 1
    assert len(filters.accept(parts, mask, replace(loose, edge_confidence=0.99), 0.0)) == 0
    assert len(filters.accept(parts, mask, replace(loose, band_bias=0.2), 0.0)) == 1
    assert len(filters.accept(parts, np.ones_like(mask), loose, 0.0)) == 0  # all ice: ratio above 32
    assert filters.confidence(np.array([0.0, 0.75, 1.0])) == pytest.approx(0.75)


@pytest.mark.parametrize(("width", "hidden"), [(3, False), (9, False), (30, True)])
def test_narrow_gaps_hide_no_front(width, hidden):
    rows, columns = np.mgrid[:120, :120]
    gaps = (rows + columns // 7 + 30) % 60 < width  # the first begins below the upper border
    allowed = away_from_gaps(np.where(gaps, np.nan, 1.0).astype(np.float32))
    assert (allowed is not None) == hidden
    if hidden:
        assert not allowed[34:42, 14:60].any()


def test_gaps_are_no_fronts():
    image = np.ones((40, 40), np.float32)
    image[:, 30:] = np.nan
    assert away_from_gaps(np.ones((40, 40), np.float32)) is None  # nothing is missing
    allowed = away_from_gaps(image, 4)
    assert allowed[:, :26].all()
    assert not allowed[:, 26:].any()


def test_the_mask_supports_the_edge_of_ice_and_sea():
    edge, mask = np.zeros((60, 80), np.float32), np.zeros((60, 80), np.float32)
    edge[20], edge[50] = 0.9, 0.9  # a front, and a crevasse far up the ice
    mask[21:] = 1.0
    weak = supported(edge, mask, 15)
    np.testing.assert_array_equal(weak[20], edge[20])
    assert not weak[50].any()
    np.testing.assert_array_equal(supported(edge, mask, 0), edge)
    np.testing.assert_allclose(supported(edge, mask * 0.25, 15)[20], 0.45)  # half of a full change


def test_only_networks_that_know_the_mask_are_supported_by_it():
    image = np.zeros(SHAPE, np.float32)
    image[draw(LINE, SHAPE, 5)] = 1

    def flat(windows):
        edge = np.clip(windows[:, 0] * 4 - 3, 0, 1)
        return np.stack([edge, np.full_like(edge, 0.5)], axis=1)

    rules = Rules(mask_ratio=1e9, fallback=False)
    assert len(Predictor(flat, rules)(image).fronts) == 1
    assert Predictor(flat, rules, has_mask=True)(image).fronts == ()


def test_a_magnified_look_is_brought_back_to_the_image():
    layers = np.random.default_rng(0).random((3, 40, 60)).astype(np.float32)
    seen = []

    def network(bands):
        seen.append(bands.shape)
        return np.full((2, *bands.shape[1:]), bands.shape[1] / 40, np.float32)

    for zoom in (0.5, 1.0, 2.0):
        np.testing.assert_allclose(predict_zoomed(layers, network, zoom), zoom, rtol=1e-6)
    assert seen == [(3, 20, 30), (3, 40, 60), (3, 80, 120)]
    smooth = cv2.GaussianBlur(layers[0], (0, 0), 4)
    for zoom in (0.8, 1.25):
        again = predict_zoomed(np.stack([smooth] * 2), lambda bands: bands[:2], zoom)
        assert np.abs(again[0] - smooth).max() < 0.02  # nothing is shifted by going there and back


def test_looks_are_averaged_and_coarser_ones_are_smoother():
    image, seen = np.random.default_rng(0).random((64, 64)).astype(np.float32), []

    def network(windows):
        rough = np.abs(np.diff(windows[0, 0], axis=1)).mean()
        seen.append((windows.shape[2:], rough))
        return np.full((1, 2, *windows.shape[2:]), len(seen), np.float32)

    rules = replace(Rules(), looks=((1.0, 2.0), (0.5, 0.0), (1.0, 0.0)), flip=False)
    found = Predictor(network, rules)(image)
    assert [shape for shape, _ in seen] == [(64, 64), (32, 32), (64, 64)]
    assert seen[0][1] < seen[2][1] / 2
    np.testing.assert_allclose(found.mask, (1 + 2 + 3) / 3, rtol=1e-6)
