"""The fast vectorisation gives the published path; the tree's longest path is the brute force one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import networkx
import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import distance_matrix

from icectl.tasks.front.line.lines import draw
from icectl.tasks.front.line.vectorise import (
    front_line,
    longest_path,
    order_points,
    skeleton_of,
    spanning_tree,
)

_spec = importlib.util.spec_from_file_location("published", Path(__file__).parent / "published.py")
published = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(published)


def wiggle(seed, size=120, gap=0, branches=True):
    """Skeleton-like pixels of a random front, with side branches and a gap."""
    rng = np.random.default_rng(seed)
    columns = np.arange(10, size - 10)
    rows = size / 2 + np.cumsum(rng.normal(0, 0.8, len(columns)))
    line = np.stack([rows, columns], axis=1)
    raster = draw(line, (size, size))
    if branches:
        for start in rng.integers(10, len(line) - 10, 3):
            stub = line[start] + np.outer(np.arange(rng.integers(2, 9)), rng.choice([-1, 1], 2))
            raster |= draw(stub, (size, size))
    if gap:
        raster[:, size // 3 : size // 3 + gap] = False
    return np.argwhere(raster)


@pytest.mark.parametrize("gap", [0, 2, 6, 15])
@pytest.mark.parametrize("seed", range(4))
def test_same_path_as_published(seed, gap):
    points = wiggle(seed, gap=gap)
    expected = published.published_path(points)
    found = order_points(points)
    total = [_total(points, path) for path in (expected, found)]
    assert total[0] == pytest.approx(total[1], abs=1e-9)
    assert expected == found.tolist()


def _total(points, path):
    steps = np.hypot(*np.diff(points[np.asarray(path)], axis=0).T)
    return float((3 - steps).sum())


@pytest.mark.parametrize("seed", range(6))
def test_tree_is_a_minimum_spanning_tree(seed):
    rng = np.random.default_rng(seed)
    points = np.unique(rng.integers(0, 40, (200, 2)), axis=0)
    edges = spanning_tree(points)
    weight = np.hypot(*(points[edges[:, 0]] - points[edges[:, 1]]).T).sum()
    assert len(edges) == len(points) - 1
    assert weight == pytest.approx(minimum_spanning_tree(distance_matrix(points, points)).sum())


@pytest.mark.parametrize("seed", range(8))
def test_longest_path_against_all_pairs(seed):
    rng = np.random.default_rng(seed)
    tree = networkx.random_labeled_tree(25, seed=seed)
    edges = np.array(tree.edges)
    weights = rng.normal(0.3, 1.0, len(edges))
    for (a, b), w in zip(edges, weights, strict=True):
        tree[a][b]["w"] = w
    paths = [networkx.shortest_path(tree, a, b) for a in tree for b in tree if a < b]
    totals = [networkx.path_weight(tree, p, "w") for p in paths]
    path = longest_path(25, edges, weights).tolist()
    assert networkx.path_weight(tree, path, "w") == pytest.approx(max(*totals, 0.0))
    assert path == paths[int(np.argmax(totals))]


def test_longest_path_of_a_forest_and_of_nothing():
    edges = np.array([[0, 1], [2, 3], [3, 4]])
    assert longest_path(5, edges, np.ones(3)).tolist() == [2, 3, 4]
    assert longest_path(5, edges, -np.ones(3)).tolist() == [0]
    assert longest_path(0, np.empty((0, 2), int), np.empty(0)).tolist() == []


def test_collinear_and_tiny_sets():
    assert order_points(np.array([[3, 1], [3, 0], [3, 2]])).tolist() == [1, 0, 2]
    assert order_points(np.array([[0, 0], [5, 5]])).tolist() == [0]  # the gap costs more than it brings
    assert order_points(np.array([[2, 2]])).tolist() == [0]


def test_wide_gaps_are_bridged_only_within_reach():
    left, right = ([[10, c] for c in range(start, start + 40)] for start in (0, 60))
    points = np.array(left + right)
    assert len(order_points(points, neighbours=1.0)) == 80
    assert len(order_points(points, neighbours=0.25)) == 40  # the ten nearest lie on one side


def test_front_line_of_a_drawn_front():
    line = np.stack([50 + 10 * np.sin(np.arange(80) / 12), np.arange(80) + 10.0], axis=1)
    probability = draw(line, (100, 100), 3) * 0.9
    found = front_line(probability)
    gaps = distance_matrix(found, line).min(axis=1)
    assert gaps.max() < 1.5  # the skeleton may end a pixel beyond the line
    assert found[0, 1] < found[-1, 1]
    assert len(front_line(probability * 0.3)) == 0


@pytest.mark.slow
def test_only_the_part_with_pixels_is_thinned():
    from skimage.morphology import skeletonize

    pixels = np.zeros((90, 120), bool)
    pixels |= draw(np.array([[20.0, 0.0], [60.0, 70.0]]), pixels.shape, 5)  # it touches the border
    np.testing.assert_array_equal(skeleton_of(pixels), np.argwhere(skeletonize(pixels)))
    assert skeleton_of(np.zeros((9, 9), bool)).shape == (0, 2)


def test_wide_gaps_end_a_line_where_bridges_are_bounded():
    edge = np.zeros((40, 120))
    edge[20, 5:60] = edge[20, 75:110] = 1.0
    assert front_line(edge)[-1, 1] == 109
    assert front_line(edge, bridge=10)[-1, 1] == 59
    assert front_line(edge, bridge=20)[-1, 1] == 109


def test_memory_is_linear_at_twenty_thousand_pixels():
    import tracemalloc

    peaks = []
    for size in (10_000, 20_000):
        columns = np.arange(size)
        points = np.stack([np.round(500 * np.sin(columns / 700)), columns], axis=1).astype(int)
        tracemalloc.start()
        path = order_points(points)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(path) == size
    assert peaks[1] < 2.5 * peaks[0]
    assert peaks[1] < 20_000 * 20_000 / 8


@pytest.mark.parametrize("density", [0.02, 0.1, 0.4, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_touching_pixels_and_short_gaps_give_the_triangulation_s_tree(seed, density, monkeypatch):
    from icectl.tasks.front.line import vectorise

    rng = np.random.default_rng(seed)
    points = rng.permutation(np.argwhere(rng.random((30, 30)) < density))
    quick = spanning_tree(points)
    monkeypatch.setattr(vectorise, "_touching_edges", vectorise._delaunay_edges)
    assert quick.tolist() == spanning_tree(points).tolist()
