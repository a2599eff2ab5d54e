"""CALFIN's vectorisation as published: a dense distance matrix and a walk from every node.

Written from the description (Cheng et al. 2021 and notes on its steps), independently of
`icectl.tasks.front.line.vectorise`; it is the oracle of the tests and the clock of the benchmark.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import distance_matrix


def dense_tree(points: np.ndarray, neighbours: float = 0.25) -> dict[int, dict[int, float]]:
    """Minimum spanning forest of the nearest-neighbour graph (Kruskal), as weighted adjacency."""
    count = len(points)
    k = max(3, int(neighbours * count))
    distances = distance_matrix(points, points)
    pairs = set()
    for node in range(count):
        row = distances[node]
        others = np.delete(np.arange(count), node)
        nearer = np.sort(row[others])
        limit = nearer[min(k, len(nearer)) - 1] if len(nearer) else 0.0
        pairs |= {(min(node, int(o)), max(node, int(o))) for o in others[row[others] <= limit]}
    weights = np.log(distances + 1)
    ordered = sorted(pairs, key=lambda p: (round(float(np.exp(weights[p]) - 1) ** 2), p))
    head = list(range(count))

    def root(node: int) -> int:
        while head[node] != node:
            head[node] = head[head[node]]
            node = head[node]
        return node

    tree: dict[int, dict[int, float]] = {node: {} for node in range(count)}
    for first, second in ordered:
        a, b = root(first), root(second)
        if a != b:
            head[a] = b
            weight = 5 - np.exp(weights[first, second]) - 1
            tree[first][second] = tree[second][first] = float(weight)
    return tree


def walk_from(tree: dict[int, dict[int, float]], start: int) -> tuple[float, list[int]]:
    """Best path that starts at one node, by visiting every node it can reach."""
    best, best_path = 0.0, [start]
    stack = [(start, -1, 0.0, [start])]
    while stack:
        node, mother, total, path = stack.pop()
        if total > best:
            best, best_path = total, path
        for child, weight in tree[node].items():
            if child != mother:
                stack.append((child, node, total + weight, [*path, child]))
    return best, best_path


def published_path(points: np.ndarray, neighbours: float = 0.25) -> list[int]:
    """Longest path over all starts; the smaller end index first."""
    tree = dense_tree(points, neighbours)
    best: tuple[float, list[int]] = (-1.0, [])
    for start in range(len(points)):
        total, path = walk_from(tree, start)
        if total > best[0] + 1e-9:
            best = (total, path)
    path = best[1]
    return path if path[0] <= path[-1] else path[::-1]
