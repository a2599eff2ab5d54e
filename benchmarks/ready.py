"""A new user's three commands without training, the size of what pip installs, and listings of many runs.

    python benchmarks/ready.py [--data ../shared/data]

Each command runs in an empty folder as a process of its own, start-up and checks included. The first two rows
need measurements beside the checkout, which may not be passed on: the rows say so where they are missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from common import QUICK, Row, absent, bound, finish
from packaging.requirements import Requirement

from icectl.workspace import write_json

DATA = Path(__file__).parents[2] / "shared" / "data"
MOST_RUNS = 100 if QUICK else 1000


def icectl(folder: Path, *words: str | Path, **environment: str) -> float:
    """Return the seconds that a command takes in `folder`."""
    command = [sys.executable, "-c", "from icectl.cli import main; main()", *map(str, words)]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env={**os.environ, **environment})
    return time.perf_counter() - started


def first_results(data: Path, folder: Path) -> list[Row]:
    """Return fronts of twenty images, thickness of South Glacier, velocity of two frames."""
    images, south = data / "fronts_mohajerani2019" / "images", data / "dem" / "south_glacier"
    frames = data / "perito_moreno"
    if not (images.is_dir() and south.is_dir() and frames.is_dir()):
        return [absent("the first three commands", "bound", f"no measurements in {data}")]
    for name, found in (
        ("images", sorted(images.glob("*_Subset.png"))[:20]),
        ("frames", [frames / "20200101.jpg", frames / "20200207.jpg"]),
    ):
        (folder / name).mkdir()
        for path in found:
            shutil.copy(path, folder / name)
    dem, outlines = south / "dem_SouthGlacier.tif", south / "SouthGlacier.shp"
    commands = {
        "fronts of twenty images, 300 × 200": (60, "front-unet", "--scenes", "images", "--resolution", "49"),
        "thickness and volume of South Glacier": (30, "inpaint-gan", "--dem", dem, "--outlines", outlines),
        "velocity of two frames, 1231 × 1731": (60, "svg", "--scenes", "frames", "--no-forecast"),
    }
    note = "nothing trained; with start-up, report and checks"
    return [
        bound(name, icectl(folder, "predict", *words), limit, "s", note=note)
        for name, (limit, *words) in commands.items()
    ]


def installed_bytes() -> dict[str, int]:
    """Return the bytes of icectl's required packages, by distribution, as they are installed here."""
    found: dict[str, int] = {}
    wanted = ["icectl"]
    while wanted:
        name = wanted.pop()
        try:
            here = distribution(name)
        except PackageNotFoundError:
            continue
        key = here.metadata["Name"].lower()
        if key in found:
            continue
        files = (here.locate_file(file) for file in here.files or ())
        found[key] = sum(os.stat(path).st_size for path in files if os.path.isfile(path))
        needs = (Requirement(text) for text in here.requires or ())
        wanted += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def size() -> list[Row]:
    """Return the size of what is installed; GPU libraries come with torch's default build."""
    found = installed_bytes()
    gpu = ("nvidia", "cuda", "triton")
    plain = sum(size for name, size in found.items() if not name.startswith(gpu)) / 1e9
    whole, largest = sum(found.values()) / 1e9, sorted(found, key=found.get, reverse=True)[:4]
    parts = ", ".join(f"{name} {found[name] / 1e6:.0f} MB" for name in largest)
    note = f"{len(found)} packages, {whole:.2f} GB with GPU libraries; largest: {parts}"
    return [bound("what pip installs, without GPU libraries", plain, 2.5, "GB", note=note)]


def listing(folder: Path) -> list[Row]:
    """Return the time of listing and completing many runs."""
    saved = {
        "model": "convlstm", "task": "snow", "schema": 1, "seed": 0, "fingerprint": "f", "command": "",
        "glacier": {"name": "demo", "title": "Demo"}, "options": {}, "inputs": {},
        "distribution": "icectl", "version": "0.1.0", "scenes": None,
    }  # fmt: skip
    for number in range(MOST_RUNS):
        run = folder / "icectl-workspace" / "runs" / "convlstm" / "demo" / f"{number:010x}"
        made = run / "evaluations" / f"demo-{number:010x}"
        made.mkdir(parents=True)
        write_json(run / "run.json", saved)
        write_json(run / "stage.json", {"stage": "train"})
        write_json(made / "stage.json", {"stage": "evaluate", "notes": {"score": "MSE 0.01"}})
        write_json(made / "metrics.json", {"tables": []})
    took = min(icectl(folder, "runs", "list", "--json") for _ in range(3))
    tab = {"_ICECTL_COMPLETE": "complete_bash", "COMP_WORDS": "icectl runs show ", "COMP_CWORD": "3"}
    completed = min(icectl(folder, **tab) for _ in range(3))
    return [
        bound(f"icectl runs list, {MOST_RUNS:,} runs", took, 0.5, "s"),
        bound(f"RUN completed on Tab, {MOST_RUNS:,} runs", completed, 0.5, "s"),
    ]


def main() -> None:
    """Measure, print."""
    data = Path(sys.argv[sys.argv.index("--data") + 1]) if "--data" in sys.argv else DATA
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "many").mkdir()
        rows = [*first_results(data.absolute(), folder), *size(), *listing(folder / "many")]
    finish("ready", rows, ("torch",))


if __name__ == "__main__":
    main()
