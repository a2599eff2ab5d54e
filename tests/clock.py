"""A time after which no more tests begin: ``ICECTL_TESTS_UNTIL``, in seconds since 1970."""

from __future__ import annotations

import os
import time

import pytest

LATE = "not reached: the time for the tests was over"


@pytest.hookimpl(tryfirst=True)  # before the fixtures
def pytest_runtest_setup() -> None:
    if time.time() >= float(os.environ.get("ICECTL_TESTS_UNTIL") or "inf"):
        pytest.skip(LATE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    late = [report.nodeid for report in skipped if LATE in str(report.longrepr)]
    if late:
        terminalreporter.section(f"{len(late)} tests were not run: the time for them was over")
        terminalreporter.write_line("\n".join(f"not reached: {name}" for name in late))
