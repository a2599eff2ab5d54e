"""Vectorising a front: icectl's linear-memory tree against the published dense algorithm.

    python benchmarks/front_vectorise.py [--pixels 2000] [--large 20000]

Prints seconds of both, whether the paths are equal, the peak memory at growing sizes, and, where they
are installed, what networkx and skan take for the longest path of the same skeleton.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from icectl.tasks.front.lines import draw
from icectl.tasks.front.vectorise import order_points, spanning_tree

PUBLISHED = Path(__file__).parent.parent / "tests" / "front" / "published.py"


def published() -> Any:
    """Load the dense algorithm that the tests compare with."""
    spec = importlib.util.spec_from_file_location("published", PUBLISHED)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def front_pixels(count: int, seed: int = 0) -> np.ndarray:
    """Return about `count` skeleton pixels of a winding front with a few side branches."""
    rng = np.random.default_rng(seed)
    columns = np.arange(int(count * 0.95))
    rows = 60 + 25 * np.sin(columns / 40) + 3 * np.sin(columns / 5) + rng.normal(0, 0.3, len(columns))
    line = np.stack([rows, columns], axis=1)
    raster = draw(line, (130, len(columns)))
    for start in rng.integers(0, len(line), max(3, count // 200)):
        stub = line[start] + np.outer(np.arange(6), rng.choice([-1, 1], 2))
        raster |= draw(stub, raster.shape)
    return np.argwhere(raster)[:count]


def clock(function: Callable[[], Any], repeats: int = 5) -> tuple[float, Any]:
    """Return the best time of several calls, and the last result."""
    best, result = float("inf"), None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def peak(function: Callable[[], Any]) -> float:
    """Return the peak of allocated memory in MB."""
    tracemalloc.start()
    function()
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top / 1e6


def with_networkx(points: np.ndarray) -> float | None:
    """Return the seconds that networkx takes for the longest path of the same tree."""
    if importlib.util.find_spec("networkx") is None:
        return None
    import networkx

    def run() -> Any:
        tree = networkx.Graph()
        edges = spanning_tree(points)
        lengths = np.hypot(*(points[edges[:, 0]] - points[edges[:, 1]]).T)
        tree.add_weighted_edges_from(zip(edges[:, 0].tolist(), edges[:, 1].tolist(), lengths, strict=True))
        far = max(networkx.single_source_dijkstra_path_length(tree, 0).items(), key=lambda p: p[1])[0]
        distances, paths = networkx.single_source_dijkstra(tree, far)
        return paths[max(distances, key=distances.__getitem__)]

    return clock(run, 3)[0]


def with_skan(points: np.ndarray) -> float | None:
    """Return the seconds that skan takes to order the same skeleton into branches."""
    if importlib.util.find_spec("skan") is None:
        return None
    import skan

    raster = np.zeros(points.max(axis=0) + 3, bool)
    raster[tuple((points + 1).T)] = True
    return clock(lambda: skan.summarize(skan.Skeleton(raster), separator="-"), 3)[0]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pixels", type=int, default=2_000)
    parser.add_argument("--large", type=int, default=20_000)
    options = parser.parse_args()
    points = front_pixels(options.pixels)
    ours, path = clock(lambda: order_points(points))
    dense, expected = clock(lambda: published().published_path(points), 1)
    print(f"{len(points)} pixels: icectl {ours:.4f} s, published {dense:.2f} s, {dense / ours:.0f}× faster")
    print(f"same path: {path.tolist() == expected}")
    for name, seconds in (("networkx", with_networkx(points)), ("skan", with_skan(points))):
        print(f"{name}: {'not installed' if seconds is None else f'{seconds:.4f} s'}")
    for size in (options.large // 4, options.large // 2, options.large):
        many = front_pixels(size)
        seconds, _ = clock(lambda: order_points(many), 1)  # noqa: B023 (called at once)
        memory = peak(lambda: order_points(many))  # noqa: B023
        print(
            f"{len(many)} pixels: {seconds:.3f} s, {memory:.1f} MB "
            f"(a dense matrix: {len(many) ** 2 * 8e-6:.0f} MB)"
        )


if __name__ == "__main__":
    main()
