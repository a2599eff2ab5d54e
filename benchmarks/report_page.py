"""The report of a run of 36 frames: its size, how long it takes to write, and to open in headless Chromium.

Opening is timed by the browser itself, from the start of navigation to the end of the load event, three
times, and the slowest counts. The bounds are those of 800×800 pixels; smaller frames show the growth.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import Row, absent, bound, finish, installed, sizes

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
LOADED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"


@contextmanager
def browser() -> Iterator[Any]:
    """Yield a headless Chromium with an empty profile, or None where there is none."""
    driver, program = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
    if not (driver and program and installed("selenium")):
        yield None
        return
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"):
            options.add_argument(flag)
        session = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield session
        finally:
            session.quit()


def opened(session: Any, page: Path) -> float:
    """Return the seconds until a page has loaded."""
    session.get("about:blank")
    session.get(page.as_uri())
    return float(session.execute_script(LOADED)) / 1000


def measure(side: int, session: Any) -> list[Row]:
    """Write and open the report of 36 frames of one size."""
    from report_runs import make_run, time_maps

    from icectl.report.page import write_report

    label = f"36 frames of {side}×{side}"
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder), lambda run: [time_maps(run, 36, side, side, cube=True)])
        started = time.perf_counter()
        page = write_report(run)
        note = f"written in {time.perf_counter() - started:.1f} s"
        rows = [bound(f"size of the report, {label}", page.stat().st_size / 1e6, 15, "MB", note=note)]
        if session is None:
            rows.append(absent(f"opening it, {label}", "bound", "no chromium and chromedriver here"))
        else:
            slowest = max(opened(session, page) for _ in range(3))
            rows.append(bound(f"opening it, {label}", slowest, 2, "s"))
    return rows


if __name__ == "__main__":
    with browser() as chromium:
        found = [row for side in sizes(200, 400, 800) for row in measure(side, chromium)]
    finish("report_page", found, ("selenium", "pillow"))
