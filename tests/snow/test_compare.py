"""Every snow model and every baseline in one table, through the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from icectl.errors import DataError, UsageError
from icectl.raster import write_cog
from icectl.tasks.snow.baselines import NAMES
from icectl.tasks.snow.together import average

MEAN = "mean of the 4 models"
MODELS = ["convlstm", "lstm", "salstm", "unet"]
TINY = [
    *("compare", "--task=snow", "--glacier=demo", "--years=5", "--size=96", "--months=6", "--align=none"),
    *("--patch=16", "--stride=8", "--updates=2", "--validate-every=1", "--batch-size=4", "--bootstrap=20"),
]


def test_four_models_and_four_baselines_fill_one_table(icectl, tmp_path):
    plans = icectl(*TINY, "--dry-run", "--json").json
    assert [plan["model"] for plan in plans] == MODELS
    assert not (tmp_path / "icectl-workspace").exists()

    record = icectl(*TINY, "--mean=mean", "--json").json
    (table,) = record["tables"]
    assert table["rows"].pop(len(MODELS))["name"] == MEAN
    assert record["details"]["intervals"][table["title"]].pop(MEAN)
    check_mean(tmp_path)
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
    assert len({rows[name]["mse"] for name in MODELS}) == 4

    shown = icectl(*TINY)  # again: nothing is done twice
    assert " on demo …" not in shown.err
    assert shown.err.count("train: up to date") == 4
    assert shown.out.count("baseline: the bar") == 1
    for name in (*MODELS, *NAMES.values()):
        assert shown.out.count(f"\n{name} ") == 1


def check_mean(folder):
    """The files hold the mean of the four models' forecasts, on their grid."""
    files = sorted((folder / "mean").glob("*.tif"))
    assert len(files) >= 2
    for file in files:
        stacks = []
        for name in MODELS:
            (one,) = (folder / "icectl-workspace" / "runs" / name).glob(f"demo/*/predictions/*/{file.name}")
            with rasterio.open(one) as stack:
                stacks.append(stack.read())
                where = (stack.crs, stack.transform, stack.descriptions)
        with rasterio.open(file) as stack:
            assert (stack.crs, stack.transform, stack.descriptions) == where
            np.testing.assert_allclose(stack.read(), sum(stacks) / 4, atol=1e-6)


def test_a_mean_of_what_does_not_fit_is_refused(icectl, tmp_path):
    assert "knows no mean of bed" in icectl("compare", "--task=bed", "--mean=m", ok=False).err
    with pytest.raises(UsageError, match="two models"):
        average([tmp_path], tmp_path / "mean")
    grid = GeoBox((8, 8), Affine(30, 0, 0, 0, -30, 0), "EPSG:32643")
    for name, day in (("a", "2019-01-01"), ("b", "2019-04-01")):
        write_cog(tmp_path / name / f"forecast_{day}.tif", np.zeros((8, 8), "f4"), grid)
    with pytest.raises(DataError, match="different moments: forecast_2019-0"):
        average([tmp_path / "a", tmp_path / "b"], tmp_path / "mean")
    shifted = GeoBox((8, 8), Affine(30, 0, 7, 0, -30, 0), "EPSG:32643")
    write_cog(tmp_path / "c" / "forecast_2019-01-01.tif", np.zeros((8, 8), "f4"), shifted)
    with pytest.raises(DataError, match="differ"):
        average([tmp_path / "a", tmp_path / "c"], tmp_path / "mean")
