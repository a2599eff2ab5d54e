"""The tutorials run as they stand, print what they say, and are the notebooks beside them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted((DOCS / "tutorials").glob("*.md"))


def script():
    spec = importlib.util.spec_from_file_location("tutorials", DOCS / "images" / "tutorials.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs_and_draws_its_picture(page, tmp_path):
    drawn = script().run(page, tmp_path)
    assert [picture.name for picture in drawn] == [f"{page.stem}.png"]
    assert (DOCS / "images" / f"tutorial-{page.stem}.png").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_is_its_page(page):
    text = page.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert text == script().notebook(page)
    cells = json.loads(text)["cells"]
    compile("\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code"), page.name, "exec")


def test_numbers_may_differ_by_a_twentieth_and_words_may_not():
    alike = script().alike
    assert alike("12 pairs, 10.2 m\n", "12 pairs, 10 m\n")
    assert not alike("12 pairs, 10.6 m\n", "12 pairs, 10 m\n")
    assert not alike("12 frames, 10 m\n", "12 pairs, 10 m\n")
    assert not alike("12 pairs\n", "12 pairs, 10 m\n")
