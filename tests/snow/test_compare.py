"""Every snow model and every baseline in one table, through the command line."""

from __future__ import annotations

import json

import pytest
from worlds import world

from icectl.tasks.snow.baselines import NAMES

MODELS = ["convlstm", "lstm", "salstm", "snow-mlp", "unet", "ensemble"]
TINY = [
    *("compare", "--task=snow", "--glacier=demo", *world("unet", years=5, size=96)),
    *("--months=6", "--align=none"),
    *("--patch=16", "--stride=8", "--updates=2", "--validate-every=1", "--batch-size=4", "--bootstrap=20"),
]


@pytest.mark.slow  # trains every snow model
@pytest.mark.timeout(900)
def test_all_models_and_four_baselines_fill_one_table(icectl, tmp_path):
    plans = icectl(*TINY, "--dry-run", "--json").json
    assert [plan["model"] for plan in plans] == MODELS
    assert not (tmp_path / "icectl-workspace").exists()

    record = icectl(*TINY, "--json").json
    (table,) = record["tables"]
    kinds = {kind: [r["name"] for r in table["rows"] if r["kind"] == kind] for kind in ("model", "baseline")}
    assert kinds == {"model": MODELS, "baseline": list(NAMES.values())}
    assert set(record["details"]["intervals"][table["title"]]) == {*MODELS, *NAMES.values()}
    rows = {row["name"]: row["values"] for row in table["rows"]}
    for name in MODELS:
        (own,) = (tmp_path / "icectl-workspace" / "runs" / name).glob("demo/*/evaluations/*/metrics.json")
        first = json.loads(own.read_text())["tables"][0]["rows"][0]
        assert (first["name"], first["values"]) == (name, rows[name])
        assert 0 < rows[name]["mse"] < 1
        low, high = record["details"]["intervals"][table["title"]][name]["mse"]
        assert low <= rows[name]["mse"] <= high
    assert len({rows[name]["mse"] for name in MODELS}) == 6

    shown = icectl(*TINY)  # again: nothing is done twice
    assert " on demo …" not in shown.err
    assert shown.err.count("train: up to date") == 6 + 3  # and the three members
    assert shown.out.count("  strongest baseline  ") == 1  # in the table, beside the verdicts
    for name in (*MODELS, *NAMES.values()):
        assert shown.out.count(f"\n{name}  ") == 1
