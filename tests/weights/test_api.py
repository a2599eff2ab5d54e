"""The Python API: the same stages as the command line, results as xarray and GeoPandas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from shapely.geometry import LineString

import icectl
from icectl.errors import UsageError


def test_predict_is_what_the_command_line_predicts(cli):
    typed = cli("predict", "toy", "--tile", "64", "--json").json
    made = icectl.predict("toy", tile=64)
    assert (str(made.folder), made.skipped) == (typed["folder"], True)
    other = icectl.predict("toy", tile=32, glacier="demo")
    assert other.folder != made.folder
    assert icectl.open_run("last").predictions[-1].folder == other.folder
    assert icectl.open_run(typed["run"]).record["model"] == "toy"
    assert icectl.open_run().metrics is None
    with pytest.raises(UsageError, match="toy has no option 'tiles'") as raised:
        icectl.predict("toy", tiles=3)
    assert "did you mean 'tile'" in raised.value.hint


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        (
            "inpaint-gan",
            {"outlines": geopandas.GeoDataFrame()},
            "outlines is a GeoDataFrame, and text, a number",
        ),
        ("svg", {"scenes": ["a.tif", "b.tif"]}, "scenes is a list, and one path is expected"),
    ],
)
def test_what_only_a_file_can_hold_is_asked_for_as_a_file(model, options, sentence):
    with pytest.raises(UsageError, match=sentence) as raised:
        icectl.predict(model, **options)
    assert raised.value.hint == "name a file or folder"


def test_training_and_evaluating_are_what_the_command_line_does(cli):
    typed = cli("evaluate", "toy", "--tile", "64", "--json").json
    trained = icectl.train("toy")
    assert trained.folder == Path(typed["folder"]).parents[1]
    run = icectl.evaluate("toy", tile=64)
    assert run.folder == trained.folder
    assert run.metrics["tables"] == typed["metrics"]["tables"]


def test_products_are_datasets_and_frames(tmp_path):
    profile = {
        "driver": "GTiff", "width": 3, "height": 2, "count": 2, "dtype": "int16", "nodata": -1,
        "crs": "EPSG:32607", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 6_700_000),
    }  # fmt: skip
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as file:
        file.write(np.array([[[1, 2, 3], [4, 5, -1]], [[0, 0, 0], [0, 0, 7]]], np.int16))
        file.set_band_description(1, "thickness")
        file.update_tags(units="m")
    geopandas.GeoDataFrame({"n": [1]}, geometry=[LineString([(0, 0), (3, 4)])], crs=32607).to_file(
        tmp_path / "fronts.gpkg"
    )
    geopandas.GeoDataFrame({"image": ["a", "b"]}, geometry=[None, None], crs=32607).to_file(
        tmp_path / "fronts.gpkg", layer="images"
    )
    products = icectl.Products(tmp_path)
    found = products.rasters["a"]
    assert sorted(found.data_vars) == ["band_2", "thickness"]
    assert found.attrs["units"] == "m"
    assert found.attrs["crs"] == "EPSG:32607"
    assert float(found["thickness"].sel(x=500_015, y=6_699_995)) == 2
    assert np.isnan(float(found["thickness"].sel(x=500_025, y=6_699_985)))
    assert products.vectors["fronts"].length.tolist() == [5.0]
    assert products.vectors["fronts:images"]["image"].tolist() == ["a", "b"]


def test_the_door_costs_nothing_until_it_is_used():
    probe = (
        "import sys, icectl; icectl.open_run; print(sorted({'torch', 'numpy', 'xarray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert Path(icectl.__file__).name == "__init__.py"
