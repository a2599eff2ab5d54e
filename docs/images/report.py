"""Draws pages that icectl writes (``make docs-figures``): the head of the demo's, figures of two others.

The commands run in a workspace of their own; ``python docs/images/report.py --workspace W [NAME …]`` takes
one where they are done, and draws the named pictures alone. Without a Chromium the pictures stay as they are.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1300, 2032
PAGES = {
    "report": ("demo", ""),
    "page-bed": ("evaluate inpaint-gan --glacier demo --weights bed-thickness-law", "#results, .cards, .top"),
    "page-velocity": ("predict svg --glacier demo --no-forecast", ".top"),
}
"""The command whose page a picture shows, and what of the page is left out (CSS selectors)."""


def browser() -> str | None:
    """Return the Chromium of this machine, if there is one."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def photograph(page: Path, picture: Path, program: str, hidden: str = "") -> None:
    """Write `WIDTH` × `HEIGHT` pixels of `page` without `hidden`, in light colours, to `picture`."""
    with tempfile.TemporaryDirectory() as profile:
        shown = Path(profile, page.name)
        style = f"<style>{hidden} {{ display: none }}</style>" if hidden else ""
        shown.write_text(page.read_text(encoding="utf-8") + style, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}"]
        flags += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture}"]
        subprocess.run([program, *flags, shown.as_uri()], check=True, capture_output=True, timeout=120)
    with Image.open(picture) as drawn:  # a palette of 256 colours takes a third of the bytes
        drawn.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(picture, optimize=True)


def main() -> None:
    """Photograph the pages that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*PAGES, []], metavar="NAME")
    parser.add_argument("--workspace")
    given = parser.parse_args()
    program = browser()
    if program is None:
        print("the pages' pictures stay as they are: no Chromium here (the package chromium brings one)")
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in given.names or PAGES:
            words, hidden = PAGES[name]
            command = [sys.executable, "-m", "icectl", *words.split(), "--json"]
            command += ["--workspace", given.workspace or folder]
            made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            photograph(Path(json.loads(made.stdout)["report"]), HERE / f"{name}.png", program, hidden)
            print(f"{name}.png")


if __name__ == "__main__":
    main()
