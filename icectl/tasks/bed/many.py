"""One function over many jobs: in place, or one job a task on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from icectl.errors import UsageError, WorkError

J = TypeVar("J")
R = TypeVar("R")

AHEAD = 3
"""Jobs that wait at a cluster for each of its workers; more would grow with the number of jobs."""


def each(function: Callable[[J], R], jobs: Iterable[J], cluster: str | None) -> Iterator[R]:
    """Yield ``function(job)`` of every job: in order without a cluster, as they finish with one.

    Parameters
    ----------
    cluster
        None, ``"local:N"`` (N processes here) or the address of a Dask scheduler.
    """
    if cluster is None:
        yield from map(function, jobs)
        return
    with _client(cluster) as client:
        yield from _pooled(client, function, jobs)


def _pooled(client: Any, function: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
    from distributed import as_completed

    workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    queue = iter(jobs)
    first = [
        client.submit(function, job, pure=False)
        for _, job in zip(range(AHEAD * workers), queue, strict=False)
    ]
    pool = as_completed(first)
    for future in pool:
        result = future.result()
        following = next(queue, None)
        if following is not None:
            pool.add(client.submit(function, following, pure=False))
        yield result


@contextmanager
def _client(cluster: str) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if cluster.startswith("local:"):
        count = cluster.removeprefix("local:")
        if not count.isdigit() or int(count) < 1:
            raise UsageError(f"--cluster {cluster} is not understood", "local:2, or tcp://HOST:PORT")
        local = LocalCluster(
            n_workers=int(count),
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=40,
        )
        with local, Client(local) as client:
            yield client
        return
    try:
        client = Client(cluster, timeout="20s")
    except (OSError, ValueError) as error:
        raise WorkError(f"no Dask scheduler answers at {cluster}", "start one: dask scheduler") from error
    with client:
        yield client
