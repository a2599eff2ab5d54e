"""The published tables against the paper's own text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from icectl.settings import find, load_experiment, read_toml
from icectl.tasks.front.evaluate import published_rows

PAPERS = Path(__file__).parents[2].parent / "shared" / "papers"


@pytest.mark.realdata
def test_every_figure_stands_in_the_text():
    found = sorted(PAPERS.glob("002_*.txt"))
    if not found:
        pytest.skip("the papers (../shared/papers) are not here")
    text = re.sub(r"\s+", " ", found[0].read_text(encoding="utf-8"))
    table = read_toml(find("published", "cheng2021"))
    assert len(table["errors"]) == 11
    for entry in table["errors"]:
        assert re.search(rf"{entry['mean_px']:g} ?px, {entry['mean_m']:g} ?m", text), entry
        if "median_px" in entry:
            pair = rf"{entry['median_px']:g} ?px, {entry['median_m']:.2f} ?m"
            assert re.search(pair, text) or re.search(pair.replace("0 ?m", " ?m"), text), entry
        for key in ("edge_iou", "mask_iou"):
            assert key not in entry or f"{entry[key]:.4f}" in text or f"{entry[key]:g}" in text, entry
    assert f"({table['termpicks']['mean_m']}m)" in text


def test_rows_and_experiment():
    rows = {row.name: row.values for row in published_rows()}
    assert rows["CALFIN-NN on CALFIN-VS"]["mean_m"] == 86.76
    assert rows["M-NN on M-VS"]["mean_px"] == 1.97
    assert load_experiment("cheng2021-calfin").train == {"preset": "calfin"}
