"""Work in two threads comes back in order, and its first failure in order is the one that is told."""

import threading
import time

import cv2
import pytest

from icectl.imagery.threads import each, in_threads


def test_results_come_in_the_order_of_the_jobs_whichever_ends_first():
    def slow_first(job):
        time.sleep(0.05 if job == 0 else 0)
        return job, threading.current_thread().name

    made = list(in_threads(slow_first, range(6)))
    assert [job for job, _ in made] == list(range(6))
    assert len({name for _, name in made}) == 2


def test_the_first_failure_in_order_is_raised_and_later_jobs_are_not_begun():
    begun = []

    def work(job):
        begun.append(job)
        time.sleep(0.05 if job == 0 else 0.01)
        if job < 2:
            raise ValueError(f"job {job}")

    before = cv2.getNumThreads()
    with pytest.raises(ValueError, match="job 0"):
        each(work, range(200))
    assert len(begun) < 100
    assert cv2.getNumThreads() == before
