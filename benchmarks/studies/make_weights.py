"""Trains the weights that ship again, from measurements beside the checkout: ``make weights``.

``python benchmarks/studies/make_weights.py [NAME …] --data ../shared/data --out weights-new`` writes one
folder for each name, with the card that ships (scores are measured and entered by hand). Data whose
licence does not allow weights to be given away are refused: for those, train on your own copy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from icectl import stages, weights
from icectl.errors import UsageError
from icectl.workspace import Workspace

SHIPPED = Path(__file__).parents[2] / "icectl" / "weights"

ALLOWED = {
    "fronts_mohajerani2019": "CC-BY-4.0",
    "dem/glathida_grids": "CC-BY-4.0",
    "dem/alps_consensus": "CC-BY-4.0",  # a law's few coefficients only, never a network
}
"""Folders that weights which ship may learn from, and their licence."""

RECIPES: dict[str, tuple[str, ...]] = {
    "front-mohajerani2019": (
        "front-unet", "--experiment", "mohajerani2019", "--precision", "bf16-mixed",
        "--scenes", "{data}/fronts_mohajerani2019/images",
        "--labels", "{data}/fronts_mohajerani2019/labels_1px",
    ),
    "bed-thickness-law": (
        "inpaint-gan", "--step", "thickness", "--thickness-data", "{data}/dem/glathida_grids",
        "--thickness-data", "{data}/dem/alps_consensus",
    ),
}  # fmt: skip
"""What ``icectl train`` is given for each; ``{data}`` stands for the folder of measurements."""


def command(name: str, data: Path) -> list[str]:
    """Return the words of one training, after checking every folder that it reads.

    Raises
    ------
    UsageError
        A folder is not on the list, or is not there.
    """
    words = [word.replace("{data}", str(data)) for word in RECIPES[name]]
    for word in words:
        if word.startswith(str(data)):
            check(Path(word), data)
    return ["train", *words]


def check(folder: Path, data: Path) -> None:
    """Refuse a folder that weights which ship may not learn from."""
    inside = folder.resolve().relative_to(data.resolve()).as_posix()
    if not any(inside == one or inside.startswith(f"{one}/") for one in ALLOWED):
        raise UsageError(f"weights that ship may not learn from {inside}", f"allowed: {', '.join(ALLOWED)}")
    if not folder.exists():
        raise UsageError(f"{folder} is not there", "name the folder of measurements with --data")


def make(name: str, data: Path, out: Path) -> Path:
    """Train one set of weights in a workspace of its own, and write its folder."""
    card = tomllib.loads((SHIPPED / name / weights.CARD).read_text(encoding="utf-8"))
    kept = {key: value for key, value in card.items() if key not in ("files", "name", "model")}
    with tempfile.TemporaryDirectory() as space:
        words = [*command(name, data), "--workspace", space]
        subprocess.run([sys.executable, "-m", "icectl", *words], check=True)
        weights.make(stages.find_run(Workspace.locate(Path(space)), stages.LAST), out / name, kept)
    return out / name


def main() -> None:
    """Make what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"{', '.join(RECIPES)}; by default all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("weights-new"))
    given = parser.parse_args()
    try:
        for name in given.names or RECIPES:
            print(make(name, given.data, given.out))
    except UsageError as problem:
        sys.exit(f"error: {problem}\nhint: {problem.hint}")


if __name__ == "__main__":
    main()
