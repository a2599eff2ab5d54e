"""Stages of several glaciers over a Dask cluster, one glacier a task.

Each task does what one process would do in place: same request, same workspace, same locks,
hence the same files. Workers need the workspace at the same path and the same packages.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from icectl import registry, stages
from icectl.cluster import each
from icectl.errors import IcectlError
from icectl.stages import Outcome, Request


@dataclass(frozen=True, slots=True)
class Job:
    """One glacier's stage: its place in the list, what is asked, and what a worker has to know."""

    number: int
    request: Request
    verb: str
    environment: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.verb} of {self.request.glacier.name}"


_CARRIED = (registry.ENVIRONMENT, "ICECTL_ENERGY")
"""Settings of ours that are said in the environment; a cluster started before does not have them."""


def perform_all(
    requests: Sequence[Request], verb: str, cluster: str
) -> Iterator[tuple[int, Outcome | IcectlError]]:
    """Perform `verb` for every request; yield (its number, its outcome or error) as they finish.

    UsageError, WorkError: the cluster is not written well, does not answer, or loses worker after worker.
    """
    carried = {name: os.environ[name] for name in _CARRIED if name in os.environ}
    jobs = [Job(number, _for_worker(request), verb, carried) for number, request in enumerate(requests)]
    for job, result in each(perform_job, jobs, cluster):
        yield job.number, result


def perform_job(job: Job) -> Outcome | IcectlError:
    """Do one job in this process; errors for users are returned, so that the others go on."""
    os.environ.update(job.environment)
    logging.getLogger("icectl").setLevel(logging.WARNING)
    try:
        return stages.perform(job.request, job.verb)
    except IcectlError as error:
        return error


def _for_worker(request: Request) -> Request:
    """Return the request as a worker does it: in place, without a bar."""
    root = replace(request.workspace, root=request.workspace.root.absolute())
    return replace(request, workspace=root, compute=replace(request.compute, cluster=None), quiet=True)
