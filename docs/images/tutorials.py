"""Runs the tutorials: draws their pictures and writes each as a notebook (``make docs-figures``).

The Python blocks of a page in ``docs/tutorials`` run in order, in an empty folder; a ``text`` block is
what was printed before it, and a number in it may differ by 5 %.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent.parent
PAGES = DOCS / "tutorials"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```\n", re.S | re.M)
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def run(page: Path, folder: Path) -> list[Path]:
    """Run a page in `folder`; return the pictures that it drew.

    Raises
    ------
    AssertionError
        Something else was printed than the page says.
    """
    import matplotlib

    matplotlib.use("Agg")
    names: dict[str, object] = {}
    printed = ""
    with contextlib.chdir(folder):
        for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language == "text":
                assert alike(printed, text), f"{page.name} says\n{text}but this was printed\n{printed}"
                printed = ""
                continue
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(text, page.name, "exec"), names)
            printed += out.getvalue()
    assert not printed, f"{page.name} does not show what was printed:\n{printed}"
    return sorted(folder.glob("*.png"))


def alike(printed: str, said: str) -> bool:
    """Tell whether two texts are equal but for numbers that differ by less than 5 %."""
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(said), strict=False)
    near = all(abs(float(a) - float(b)) <= 0.05 * abs(float(b)) for a, b in pairs)
    return near and NUMBER.sub("#", printed).split() == NUMBER.sub("#", said).split()


def notebook(page: Path) -> str:
    """Return a page as a notebook (nbformat 4.5) without output: its prose, and its Python blocks."""
    text = page.read_text(encoding="utf-8")
    cells, end = [], 0
    for found in BLOCK.finditer(text):
        cells.append(_cell("markdown", text[end : found.start()], len(cells)))
        if found[1] == "python":
            cells.append(_cell("code", found[2], len(cells)))
        end = found.end()
    cells.append(_cell("markdown", text[end:], len(cells)))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    cells = [cell for cell in cells if cell["source"]]
    return (
        json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"
    )


def _cell(kind: str, text: str, number: int) -> dict[str, object]:
    cell: dict[str, object] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
    cell["source"] = text.strip().splitlines(keepends=True)
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def main() -> None:
    """Run every page, or those named."""
    os.environ["ICECTL_ENERGY"] = "off"
    for page in sorted(PAGES.glob("*.md")):
        if len(sys.argv) > 1 and page.stem not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for picture in run(page, Path(folder)):
                shutil.copy(picture, DOCS / "images" / f"tutorial-{picture.name}")
        page.with_suffix(".ipynb").write_text(notebook(page), encoding="utf-8")
        print(page.name)


if __name__ == "__main__":
    main()
