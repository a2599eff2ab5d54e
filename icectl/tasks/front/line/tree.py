"""The longest path of a tree, in one sweep.

CALFIN walks a tree from every node, O(N²), to find the path with the largest sum of edge
weights. A tree has one path between two nodes, so one pass from the leaves to a root is enough:
each node keeps its best downward arm, and the best path bends at some node and joins its two
best arms. O(N) time and memory, and no recursion.
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from icectl.arrays import F64, I64


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
