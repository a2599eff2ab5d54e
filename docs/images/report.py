"""Draws ``docs/images/report.png``: the head of the page that ``icectl demo`` writes (``make docs-figures``).

The demo trains, which takes some minutes; a page that is there is named: ``python docs/images/report.py
runs/…/report.html``. Without a Chromium the picture stays as it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURE = Path(__file__).with_suffix(".png")
WIDTH, HEIGHT = 1300, 2032


def browser() -> str | None:
    """Return the Chromium of this machine, if there is one."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def photograph(page: Path, picture: Path, program: str) -> None:
    """Write the first `WIDTH` × `HEIGHT` pixels of `page`, in light colours, to `picture`."""
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}"]
        flags += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture}"]
        subprocess.run([program, *flags, page.as_uri()], check=True, capture_output=True, timeout=120)


def main() -> None:
    """Photograph the page that was named, or that of a demo."""
    program = browser()
    if program is None:
        print(f"{PICTURE.name} stays as it is: no Chromium here (the package chromium brings one)")
        return
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            page = Path(sys.argv[1]).absolute()
        else:
            demo = [sys.executable, "-m", "icectl", "demo", "--workspace", folder, "--json"]
            made = subprocess.run(demo, check=True, stdout=subprocess.PIPE, text=True)
            page = Path(json.loads(made.stdout)["report"])
        photograph(page, PICTURE, program)
    print(PICTURE.name)


if __name__ == "__main__":
    main()
