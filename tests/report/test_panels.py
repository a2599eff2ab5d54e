"""Panels survive the way through JSON, and what is no panel is refused by name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from icectl.errors import DataError
from icectl.report import panels as p

LAYER = p.Layer(file="predictions/a.tif")

ALL = [
    p.TimeMaps(title="T", frames=[p.Frame(label="1", truth=LAYER, truth_arrows=[(1, 2, 3, 4)])]),
    p.Map(title="M", layer=LAYER, lines=[p.Lines(label="front", pixels=[[(0, 1), (2, 3)]])]),
    p.ImageLines(title="I", frames=[p.Picture(label="1", image=LAYER)]),
    p.Curve(title="C", series=[p.Series(label="s", x=[0, 1], y=[0.5, float("nan")])]),
    p.CrossSection(title="X", distance=[0, 1], surface=[2, 3], bed=[1, None]),
    p.Samples(title="S", columns=["1"], rows=[p.SampleRow(label="truth", images=[LAYER, None])]),
    p.Scatter(title="P", x=[1, 2], y=[2, 1]),
    p.Bars(title="B", labels=["a"], series={"ours": [1.0]}),
]


@pytest.mark.parametrize("panel", ALL, ids=lambda panel: panel.kind)
def test_a_panel_survives_json(panel):
    text = json.dumps(p.pack([panel]), allow_nan=False)
    back = p.unpack(json.loads(text)[0])
    assert type(back) is type(panel)
    assert p.pack([back]) == p.pack([panel])


def test_nan_becomes_nothing():
    packed = p.pack([ALL[3]])
    assert packed[0]["series"][0]["y"] == [0.5, None]


def test_arrays_are_welcome():
    import numpy as np

    values = np.float32([1, np.nan])
    series = p.Series(label="s", x=values[:1], y=values, low=values)
    assert series.y == (1.0, None)
    assert p.Map(title="M", layer=LAYER, arrows=np.ones((2, 4), np.float32)).arrows[1] == (1, 1, 1, 1)


def test_files_inside_and_outside_the_run_get_relative_paths(tmp_path):
    run = tmp_path / "runs" / "m" / "1"
    inside, outside = run / "predictions" / "p.tif", tmp_path / "glaciers" / "t.tif"
    frame = p.Frame(label="1", truth=p.Layer(file=str(outside)), prediction=p.Layer(file=str(inside)))
    packed = p.pack([p.TimeMaps(title="T", frames=[frame])], run)[0]["frames"][0]
    assert packed["prediction"]["file"] == str(Path("predictions/p.tif"))
    assert (run / packed["truth"]["file"]).resolve() == outside.resolve()


def test_what_is_no_panel_is_refused_by_name():
    with pytest.raises(DataError, match=r"metrics.json: .*kind"):
        p.unpack({"kind": "film", "title": "x"}, "metrics.json")
    with pytest.raises(DataError, match=r"curve\.x_lable"):
        p.unpack({"kind": "curve", "title": "x", "series": [], "x_lable": "t"})


def test_the_module_is_light():
    heavy = "('numpy', 'torch', 'matplotlib')"
    code = f"import sys, icectl.report.panels; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
