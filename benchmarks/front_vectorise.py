"""From an edge's pixels to a line: icectl's linear-memory tree against what else does it.

The published algorithm (dense distance matrix, a walk from every node) is written from its description in
``tests/front/published.py`` and gives the same path; networkx gets the graph of touching pixels, its minimum
spanning tree and two shortest-path searches; skan makes the graph, and scipy searches it. Both stop at gaps,
which icectl bridges. Memory is measured for icectl at growing sizes; a dense matrix of 15,000 pixels alone
is 1.8 GB.
"""

from __future__ import annotations

import importlib.util
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, absent, bound, compare, finish, installed, sizes
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from icectl.tasks.front.line.lines import draw
from icectl.tasks.front.line.vectorise import order_points

PUBLISHED = Path(__file__).parent.parent / "tests" / "front" / "published.py"


def published(points: np.ndarray) -> list[int]:
    """Return the dense algorithm's path."""
    spec = importlib.util.spec_from_file_location("published", PUBLISHED)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path: list[int] = module.published_path(points)
    return path


def front_pixels(count: int, seed: int = 0) -> np.ndarray:
    """Return about `count` skeleton pixels of one winding front with side branches, in one piece."""
    rng = np.random.default_rng(seed)
    columns = np.arange(int(count * 0.7))
    rows = 60 + 25 * np.sin(columns / 40) + 3 * np.sin(columns / 5) + rng.normal(0, 0.3, len(columns))
    line = np.stack([rows, columns], axis=1)
    raster = draw(line, (130, len(columns)))
    for start in rng.integers(0, len(line), max(3, count // 200)):
        stub = line[start] + np.outer(np.arange(6), rng.choice([-1, 1], 2))
        raster |= draw(stub, raster.shape)
    return np.argwhere(skeletonize(raster))


def with_networkx(points: np.ndarray) -> list[int]:
    """Return the longest path of the spanning tree of touching pixels."""
    import networkx

    pairs = cKDTree(points).query_pairs(1.5, output_type="ndarray")
    lengths = np.hypot(*(points[pairs[:, 0]] - points[pairs[:, 1]]).T)
    graph = networkx.Graph()
    graph.add_weighted_edges_from(zip(*pairs.T.tolist(), lengths.tolist(), strict=True))
    tree = networkx.minimum_spanning_tree(graph)
    reach = networkx.single_source_dijkstra_path_length(tree, 0)
    before, reach = networkx.dijkstra_predecessor_and_distance(tree, max(reach, key=reach.__getitem__))
    path = [max(reach, key=reach.__getitem__)]
    while before[path[-1]]:
        path.append(before[path[-1]][0])
    return path


def with_skan(points: np.ndarray) -> Any:
    """Return the longest path of skan's graph of the skeleton; skan itself ends at branches."""
    from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
    from skan.csr import skeleton_to_csgraph

    raster = np.zeros(points.max(axis=0) + 3, bool)
    raster[tuple((points + 1).T)] = True
    graph, places = skeleton_to_csgraph(raster)
    tree = minimum_spanning_tree(graph)
    reach = dijkstra(tree, directed=False, indices=0)
    far = int(np.argmax(np.where(np.isfinite(reach), reach, -1)))
    reach, before = dijkstra(tree, directed=False, indices=far, return_predecessors=True)
    path = [int(np.argmax(np.where(np.isfinite(reach), reach, -1)))]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return np.transpose(places)[path]


def peak(function: Callable[[], Any]) -> float:
    """Return the peak of allocated memory in MB."""
    tracemalloc.start()
    function()
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top / 1e6


def main() -> None:
    """Measure three sizes each."""
    rows: list[Row] = []
    for size in sizes(500, 1000, 2000):
        points = front_pixels(size)
        ours, dense = partial(order_points, points), partial(published, points)
        same = ours().tolist() == dense()
        rows.append(
            compare(f"{len(points):,} pixels", ours, dense, against="published dense algorithm", rounds=2,
                    calls=10, warm_up=False, note="same path" if same else "ANOTHER PATH")
        )  # fmt: skip
    for size in sizes(2000, 6000, 20_000):
        points = front_pixels(size)
        ours, label = partial(order_points, points), f"{len(points):,} pixels"
        for name, other in (("networkx", with_networkx), ("skan", with_skan)):
            if installed(name):
                rows.append(compare(label, ours, partial(other, points), against=name, calls=3))
            else:
                rows.append(absent(label, name))
        limit = len(points) * 2e-3  # 2 kB a pixel: linear; a dense matrix takes 8 bytes a pair
        against = "2 kB a pixel"
        rows.append(bound(f"peak memory of {label}", peak(ours), limit, "MB", against=against))
    finish("front_vectorise", rows, ("scipy", "networkx", "skan"))


if __name__ == "__main__":
    main()
