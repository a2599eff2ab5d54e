"""Work in two threads: reading, arithmetic on arrays and OpenCV leave Python's lock."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2
from rasterio.errors import NotGeoreferencedWarning

J = TypeVar("J")
R = TypeVar("R")


def in_threads(work: Callable[[J], R], jobs: Sequence[J], workers: int = 2) -> Iterator[R]:
    """Yield what `work` makes of each job, in the order of the jobs, with one OpenCV thread a worker.

    The first job that fails, in their order, raises its error; jobs that had not begun are not done.

    >>> list(in_threads(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        if workers < 2 or len(jobs) < 2:
            yield from map(work, jobs)
            return
        with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
            # Threads share the filters, and one that restores its own takes away what another has set.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield from pool.map(work, jobs)
    finally:
        cv2.setNumThreads(threads)


def each(work: Callable[[J], None], jobs: Sequence[J], workers: int = 2) -> None:
    """Do `work` on all jobs in `workers` threads; see `in_threads`."""
    for _ in in_threads(work, jobs, workers):
        pass
