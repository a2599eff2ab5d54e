"""From a raster of front probabilities to one ordered line (CALFIN, Cheng et al. 2021).

Skeleton -> nearest-neighbour graph -> minimum spanning tree -> longest path. The published code
holds an N×N distance matrix and walks the tree from every node, O(N²). Here the graph is the Delaunay
triangulation, which contains every minimum spanning tree of the plane (an edge of such a tree
has no other point in its lune, hence none in its diametral disc), so that memory stays linear.
A tree has one path between two nodes, so one pass from the leaves to a root is enough: each node keeps
its best downward arm, and the best path bends at some node and joins its two best arms. Equal distances
are ordered by the indices of their end points, so the tree, and the path, are the published ones.
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial import Delaunay, QhullError, cKDTree

from icectl.arrays import F64, I64, Array, Bools, Floats
from icectl.tasks.front.line.lines import Line

STEP_BONUS = 3.0
"""A tree edge of d pixels weighs 3 - d: a unit step gains 2, a gap wider than 3 px costs."""

SHORT_GAPS = (3.0, 6.0, 12.0)
"""Pixels up to which gaps are bridged without a triangulation."""


def front_line(
    edge: Floats, threshold: float = 0.33, *, neighbours: float = 0.25, bridge: float = np.inf
) -> Line:
    """Return the front in a raster of edge probabilities as one line, of the skeleton's pixels.

    `edge`: (rows, columns) probabilities of the front edge.
    `threshold`: pixels above it are skeletonised (CALFIN: 0.33).
    `neighbours`: gaps are bridged only to a node's nearest neighbours, this share of all (CALFIN: 0.25).
    `bridge`: widest gap in pixels that is bridged (CALFIN: any).

    Returns (N, 2) rows and columns from the end nearer to the image's origin; empty without a front.
    """
    points = skeleton_of(np.asarray(edge) > threshold)
    if len(points) == 0:
        return np.empty((0, 2))
    path = points[order_points(points, neighbours, bridge)].astype(float)
    return path[::-1] if np.hypot(*path[0]) > np.hypot(*path[-1]) else path


def skeleton_of(pixels: Bools) -> I64:
    """Return the (N, 2) pixels of a raster's skeleton; only the part that holds any pixel is looked at."""
    from skimage.morphology import skeletonize

    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return np.empty((0, 2), np.int64)
    top, left = max(0, rows[0] - 1), max(0, columns[0] - 1)
    part = pixels[top : rows[-1] + 2, left : columns[-1] + 2]
    return np.add(np.argwhere(skeletonize(part)), (top, left), dtype=np.int64)


def order_points(points: Array, neighbours: float = 0.25, bridge: float = np.inf) -> I64:
    """Return indices of unordered pixels along the longest path of their spanning tree.

    `points`: (N, 2) distinct rows and columns.
    `neighbours`, `bridge`: see `front_line`.

    Returns the path; pixels on side branches are left out. O(N log N) time, O(N) memory.
    """
    points = np.asarray(points, np.int64)
    edges = spanning_tree(points)
    distance = np.hypot(*(points[edges[:, 0]] - points[edges[:, 1]]).T)
    keep = _within_reach(points, edges, distance, neighbours) & (distance <= bridge)
    return longest_path(len(points), edges[keep], STEP_BONUS - distance[keep])


def spanning_tree(points: I64) -> I64:
    """Return the (N - 1, 2) edges of the Euclidean minimum spanning tree of distinct pixels.

    Of equal distances the edge with the smaller pair of indices is taken first, which makes
    the tree unique.
    """
    if len(points) < 2:
        return np.empty((0, 2), np.int64)
    touching = _touching_edges(points)
    tree = _minimum_tree(points, touching)
    return tree if len(tree) >= len(points) - 1 else _minimum_tree(points, _bridged(points, touching))


def _minimum_tree(points: I64, edges: I64) -> I64:
    """Return the edges of the minimum spanning forest of a graph."""
    squared = ((points[edges[:, 0]] - points[edges[:, 1]]) ** 2).sum(axis=1)
    edges = edges[np.lexsort((edges[:, 1], edges[:, 0], squared))]
    rank = np.arange(1.0, len(edges) + 1)  # distinct weights in the order of the distances
    taken = minimum_spanning_tree(_graph(rank, edges, len(points))).data.astype(np.int64) - 1
    return np.asarray(edges[np.sort(taken)])


def _graph(values: F64, edges: I64, count: int) -> csr_array:
    return csr_array((values, (edges[:, 0], edges[:, 1])), shape=(count, count))


def _bridged(points: I64, touching: I64) -> I64:
    """Return edges that hold the spanning tree of pixels in several pieces, at as little cost as they allow.

    Where edges up to some length join all pixels, no longer one is in the tree, and two pixels that a chain
    of touching ones joins need no edge but the chain's. Wide gaps are left to a triangulation.
    """
    _, part = connected_components(_graph(np.ones(len(touching)), touching, len(points)), directed=False)
    tree = cKDTree(points)
    for reach in SHORT_GAPS:
        pairs = tree.query_pairs(reach, output_type="ndarray").astype(np.int64)  # smaller index first
        edges = np.concatenate([touching, pairs[part[pairs[:, 0]] != part[pairs[:, 1]]]])
        if connected_components(_graph(np.ones(len(edges)), edges, len(points)), directed=False)[0] == 1:
            return edges
    return _delaunay_edges(points)


def _touching_edges(points: I64) -> I64:
    """Return the edges between pixels that touch by a side or a corner, smaller index first."""
    rows, columns = (points - points.min(axis=0)).T
    width = int(columns.max()) + 2  # one column more, so that no row touches the next at its end
    place = rows * width + columns
    order = np.argsort(place)
    ordered, pairs = place[order], []
    for step in (1, width - 1, width, width + 1):
        wanted = ordered + step
        at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
        found = ordered[at] == wanted
        first, second = order[found], order[at[found]]
        pairs.append(np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1))
    return np.concatenate(pairs)


def _delaunay_edges(points: I64) -> I64:
    """Return the edges of the triangulation, smaller index first, without repeats."""
    try:
        corners = Delaunay(points).simplices
    except (QhullError, ValueError):  # fewer than three points, or all on one straight line
        order = np.lexsort((points[:, 1], points[:, 0]))
        pairs = np.stack([order[:-1], order[1:]], axis=1)
    else:
        pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    return np.unique(np.sort(pairs, axis=1).astype(np.int64), axis=0)


def _within_reach(points: I64, edges: I64, distance: F64, neighbours: float) -> Bools:
    """Tell which edges join a pixel to one of its nearest neighbours, the given share of all."""
    count = max(3, int(neighbours * len(points)))
    keep = np.ones(len(edges), bool)
    wide = np.flatnonzero(distance > 2)  # nearer pixels are among the nearest in any skeleton
    if len(wide) == 0 or count >= len(points) - 1:
        return keep
    tree = cKDTree(points)
    radius = np.nextafter(distance[wide], 0)
    ranks = [tree.query_ball_point(points[edges[wide, side]], radius, return_length=True) for side in (0, 1)]
    keep[wide] = np.minimum(*ranks) - 1 < count  # the pixel itself is counted too
    return keep


def longest_path(size: int, edges: I64, weights: F64) -> I64:
    """Return the nodes of the path with the largest weight in a forest.

    `size`: number of nodes.
    `edges`: (E, 2) pairs of nodes; together they hold no cycle.
    `weights`: (E,) weights, of any sign. The empty path weighs 0 and starts every comparison.

    Returns nodes in order along the path, at least one when `size` > 0. Of two ends the one with the
    smaller index comes first.
    """
    if size == 0:
        return np.empty(0, np.int64)
    graph = _symmetric(size, edges)
    weights = np.asarray(weights, float)
    best: tuple[float, I64] = (-1.0, np.empty(0, np.int64))
    for root in _roots(graph, len(edges)):
        total, path = _sweep(graph, weights, root)
        if total > best[0]:
            best = (total, path)
    path = best[1]
    return path if path[0] <= path[-1] else path[::-1]


def _roots(graph: csr_array, edges: int) -> list[int]:
    size = graph.shape[0]
    if edges == size - 1:
        return [0]
    count, part = connected_components(graph, directed=False)
    roots = np.full(count, size, np.int64)
    np.minimum.at(roots, part, np.arange(size))
    return [int(root) for root in roots]


def _symmetric(size: int, edges: I64) -> csr_array:
    """Return an adjacency matrix with each edge both ways; entries number the edges from 1."""
    rows, columns = np.asarray(edges, np.int64).reshape(-1, 2).T
    number = np.arange(1, len(rows) + 1)
    both = (np.r_[rows, columns], np.r_[columns, rows])
    return csr_array((np.r_[number, number], both), shape=(size, size))


def _sweep(graph: csr_array, weights: F64, root: int) -> tuple[float, I64]:
    """Return the best path's weight and nodes in the component of `root`."""
    size = graph.shape[0]
    order, parent = breadth_first_order(graph, root, directed=False, return_predecessors=True)
    up = np.zeros(size)
    below, above = order[1:], parent[order[1:]]
    if len(below):
        up[below] = weights[np.asarray(graph[below, above]).ravel() - 1]
    arm = [0.0] * size  # best sum of a path that goes down from the node
    first, second, second_arm = [-1] * size, [-1] * size, [0.0] * size
    for node, mother in zip(below[::-1].tolist(), above[::-1].tolist(), strict=True):
        reach = arm[node] + up[node]
        if reach > arm[mother]:
            second[mother], second_arm[mother] = first[mother], arm[mother]
            first[mother], arm[mother] = node, reach
        elif reach > second_arm[mother]:
            second[mother], second_arm[mother] = node, reach
    totals = np.asarray(arm) + np.asarray(second_arm)
    top = int(order[np.argmax(totals[order])])
    left, right = _descend(first, first[top]), _descend(first, second[top])
    return float(totals[top]), np.asarray([*left[::-1], top, *right], np.int64)


def _descend(first: list[int], node: int) -> list[int]:
    """Follow the best arms downward from `node`; empty when there is none."""
    path: list[int] = []
    while node >= 0:
        path.append(node)
        node = first[node]
    return path
