"""One function over many jobs on a Dask cluster: an existing one, or processes of this machine."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from icectl.errors import UsageError, WorkError
from icectl.workspace import temporary

J = TypeVar("J")
R = TypeVar("R")

AHEAD = 3
"""Jobs that wait at a cluster for each of its workers; more would only fill the scheduler's memory."""

_PARENT = "ICECTL_CLUSTER_PARENT"

_HINT = "write local:N for N processes here, or tcp://HOST:PORT of a running `dask scheduler`"


def each(function: Callable[[J], R], jobs: Iterable[J], cluster: str | None) -> Iterator[tuple[J, R]]:
    """Yield ``(job, function(job))``: in order without a cluster, as they finish with one.

    A job whose worker dies is done again by another. Jobs, results and the function must pickle;
    workers need the same packages and the same folders.

    `cluster`: none, ``"local:N"`` (N processes here, of one thread unless ``OMP_NUM_THREADS`` says how
        many) or a scheduler's address.

    UsageError: the cluster is not written as one of these. WorkError: no scheduler answers, it has no
    workers, or a job killed several of them.
    """
    if cluster is None:
        for job in jobs:
            yield job, function(job)
        return
    with connected(cluster) as client:
        yield from _pooled(client, function, jobs)


def _pooled(client: Any, function: Callable[[J], R], jobs: Iterable[J]) -> Iterator[tuple[J, R]]:
    """Keep a few jobs waiting for each worker, and yield results as they come."""
    from distributed import KilledWorker, as_completed

    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    queue, waiting = iter(jobs), {}

    def submit() -> list[Any]:
        for job in queue:
            future = client.submit(function, job, pure=False)
            waiting[future.key] = job
            return [future]
        return []

    pool = as_completed([future for _ in range(AHEAD * workers) for future in submit()])
    for future in pool:
        job = waiting.pop(future.key)
        try:
            result = future.result()
        except KilledWorker as error:
            raise WorkError(
                f"work on {job} ended several workers", "give workers more memory, or look at their logs"
            ) from error
        pool.update(submit())
        yield job, result


@contextmanager
def connected(cluster: str) -> Iterator[Any]:
    """Yield a client of `cluster` that has at least one worker; local processes end with the block."""
    if cluster.startswith("local:"):
        with _local(cluster) as client:
            yield client
        return
    if "://" not in cluster:
        raise UsageError(f"--cluster {cluster} is not understood", _HINT)
    from distributed import Client

    try:
        client = Client(cluster, timeout="20s")
    except (OSError, ValueError) as error:
        raise WorkError(
            f"no Dask scheduler answers at {cluster}", "start one with `dask scheduler`"
        ) from error
    with client:
        _expect_workers(client, 1, cluster)
        yield client


@contextmanager
def _local(cluster: str) -> Iterator[Any]:
    """Start processes of one job and one thread; a nanny beside each would cost more than it guards."""
    from distributed import Client
    from distributed.deploy.subprocess import SubprocessCluster

    count = cluster.removeprefix("local:")
    if not count.isdigit() or int(count) < 1:
        raise UsageError(f"--cluster {cluster} is not understood", _HINT)
    with temporary() as folder:
        places = {"DASK_TEMPORARY_DIRECTORY": str(folder), _PARENT: str(os.getpid())}
        with _environment(OMP_NUM_THREADS="1", **places):
            local = SubprocessCluster(
                host="127.0.0.1",
                n_workers=int(count),
                threads_per_worker=1,
                worker_class="distributed.Worker",
                worker_kwargs={"memory_limit": 0, "preload": [__name__]},
                scheduler_kwargs={
                    "dashboard": False,
                    "dashboard_address": None,
                    "preload": [__name__],
                    "scheduler_file": str(folder / "scheduler.json"),
                },
                silence_logs=40,
            )
        with local, Client(local) as client:
            _expect_workers(client, int(count), cluster)
            yield client


def dask_setup(_service: Any) -> None:
    """End this scheduler or worker when the command that started it is gone; Dask calls it at the start."""
    parent = os.environ.get(_PARENT, "")

    def watch() -> None:
        while str(os.getppid()) == parent:
            time.sleep(1.0)
        os._exit(1)

    if parent:
        threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _environment(**defaults: str) -> Iterator[None]:
    """Set variables that have no value, for the processes that are started within the block.

    A worker whose libraries take a thread for every core gets in the way of the others.
    """
    added = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _expect_workers(client: Any, count: int, cluster: str) -> None:
    try:
        client.wait_for_workers(count, timeout=60)
    except TimeoutError as error:
        raise WorkError(
            f"the cluster {cluster} has no worker", "start one with `dask worker ADDRESS`"
        ) from error
