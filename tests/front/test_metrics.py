"""Distances and overlaps against scipy and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from scipy.spatial.distance import cdist

from icectl.tasks.front.line.lines import clip, draw, length, resample, smooth, transform
from icectl.tasks.front.metrics import (
    calfin_mask_iou,
    edge_iou,
    mask_iou,
    pixels_of,
    pooled_distances,
    score,
    summary,
    two_way_distance,
)

SHAPE = (60, 80)
FLAT = np.array([[20.0, 10.0], [20.0, 60.0]])


def wavy(seed):
    rng = np.random.default_rng(seed)
    columns = np.arange(10, 70.0)
    return np.stack([30 + np.cumsum(rng.normal(0, 0.7, 60)), columns], axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_pooled_distances_are_those_of_the_dense_matrix(seed):
    a, b = pixels_of([wavy(seed)], SHAPE), pixels_of([wavy(seed + 10)], SHAPE)
    dense = cdist(a, b)
    expected = np.concatenate([dense.min(axis=1), dense.min(axis=0)])
    np.testing.assert_allclose(pooled_distances(a, b), expected)


def test_parallel_lines_are_their_offset_apart():
    error = score([FLAT + np.array([5, 0])], [FLAT], SHAPE, frame=np.diag([30.0, -20.0]))
    assert error.status == "found"
    assert set(error.pooled) == {5.0}
    assert error.two_way == pytest.approx(5.0)
    assert set(error.pooled_m) == {100.0}  # a row is 20 m high, a column 30 m wide
    assert error.two_way_m == pytest.approx(100.0)
    assert error.edge_iou == 0.0


def test_the_two_definitions_differ_when_one_line_is_short():
    short = FLAT.copy()
    short[1, 1] = 20.0
    error = score([short], [FLAT], SHAPE, frame=np.diag([30.0, -30.0]))
    # 51 true pixels, 11 predicted; 40 of the true ones lie 1…40 px beyond the end
    assert len(error.pooled) == 51 + 11
    assert error.pooled.sum() == pytest.approx(40 * 41 / 2)
    assert error.two_way == pytest.approx(0.5 * np.mean(np.clip(np.linspace(0, 50, 101) - 10, 0, None)))
    assert error.two_way_m == pytest.approx(30 * error.two_way, rel=1e-12)  # points as far apart as in pixels


def test_point_to_segment_differs_from_point_to_point():
    coarse = np.array([[20.0, 10.0], [20.0, 60.0]])
    assert two_way_distance([coarse + np.array([3, 0])], [coarse]) == pytest.approx(3.0)


def test_edge_overlap_against_scipy():
    a, b = [wavy(1)], [wavy(1) + np.array([1, 0])]
    square = np.ones((3, 3))
    first, second = (binary_dilation(draw(x[0], SHAPE), square) for x in (a, b))
    expected = (first & second).sum() / (first | second).sum()
    assert edge_iou(a, b, SHAPE) == pytest.approx(expected)
    assert edge_iou(a, a, SHAPE) == 1.0


def test_mask_overlap_is_soft():
    truth = np.zeros((4, 4), bool)
    truth[:2] = True
    assert mask_iou(truth.astype(float), truth) == 1.0
    assert mask_iou(np.full((4, 4), 0.5), truth) == pytest.approx(4 / (8 + 8 - 4))
    truth[1] = False
    assert calfin_mask_iou(np.full((4, 4), 0.5), truth) == 12 / (4 + 16)  # a chance of one half is ocean


def test_missed_and_false_fronts_are_counted_and_not_averaged():
    cases = [([FLAT], [FLAT]), ([], [FLAT]), ([FLAT], []), ([], [])]
    errors = [score(p, t, SHAPE, frame=np.diag([30.0, -30.0])) for p, t in cases]
    assert [e.status for e in errors] == ["found", "missed", "false", "none"]
    np.testing.assert_array_equal([e.edge_iou for e in errors], [1, 0, 0, np.nan])
    values = summary(errors)
    assert (values["missed"], values["false"], values["fronts"], values["images"]) == (1, 1, 2, 4)
    assert values["mean_px"] == 0.0
    assert values["mean_m"] == 0.0
    assert values["edge_iou"] == pytest.approx(1 / 3)  # missed and false count as no overlap


def test_a_line_off_the_image_is_no_front_and_a_point_is_one():
    off, point = FLAT - np.array([100, 0]), FLAT[:1]
    for predicted, truth in ((off, FLAT), (FLAT, off)):
        error = score([predicted], [truth], SHAPE)
        assert (error.status, error.edge_iou, len(error.pooled)) == ("missed", 0.0, 0)
    error = score([point], [point], SHAPE)
    assert (error.status, error.pooled.tolist(), error.two_way) == ("found", [0, 0], 0.0)


def test_averages_over_points_and_over_images_differ():
    long, short = FLAT, np.array([[40.0, 10.0], [40.0, 14.0]])
    errors = [
        score([long + np.array([2, 0])], [long], SHAPE, None, np.diag([10.0, -10.0])),
        score([short + np.array([8, 0])], [short], SHAPE, None, np.diag([10.0, -10.0])),
    ]
    values = summary(errors)
    assert values["image_mean_px"] == pytest.approx(5.0)
    assert values["mean_px"] == pytest.approx((102 * 2 + 10 * 8) / 112)
    assert values["image_mean_m"] == pytest.approx(50.0)
    assert values["worst_px"] == pytest.approx(8.0)


def test_without_resolution_there_are_no_metres():
    assert summary([score([FLAT], [FLAT], SHAPE)])["mean_m"] is None


def test_several_lines_count_as_one_front():
    left, right = FLAT[:, :] * [1, 0.4], FLAT + np.array([0, 10])
    error = score([left, right], [left, right], SHAPE)
    assert error.pooled.max() == 0.0
    assert error.two_way == pytest.approx(0.0, abs=1e-9)


def test_lines_resample_smooth_and_clip():
    line = wavy(2)
    assert length(resample(line, 0.5)) == pytest.approx(length(line), rel=0.05)
    soft = smooth(line, 3.0)
    np.testing.assert_allclose(soft[[0, -1]], line[[0, -1]], atol=1e-9)
    assert length(soft) < length(line)
    inside = clip(np.array([[20.0, -30.0], [20.0, 200.0]]), SHAPE)
    assert len(inside) == 1
    np.testing.assert_allclose(sorted(inside[0][:, 1]), [-0.5, 79.5])
    assert clip(np.array([[-9.0, 0.0], [-9.0, 70.0]]), SHAPE) == []


def test_transform_uses_opencvs_convention():
    shift = np.array([[1.0, 0.0, 5.0], [0.0, 1.0, -2.0]])  # columns + 5, rows − 2
    np.testing.assert_allclose(transform(FLAT, shift), FLAT + np.array([-2, 5]))
