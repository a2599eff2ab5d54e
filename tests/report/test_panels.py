"""Panels survive the way through JSON, and what is no panel is refused by name."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from PIL import Image

from icectl.errors import DataError
from icectl.raster import Grid, write_cog
from icectl.report import panels as p
from icectl.report.colours import STEPS
from icectl.report.layers import Reader
from icectl.report.painter import Painter

LAYER = p.Layer(file="predictions/a.tif")

ALL = [
    p.TimeMaps(title="T", frames=[p.Frame(label="1", truth=LAYER)]),
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


def test_frames_of_older_records_are_shown_without_their_arrows():
    old = p.pack([ALL[0]])[0]
    old["frames"][0]["truth_arrows"] = [[1, 2, 3, 4]]
    assert p.unpack(old) == ALL[0]


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


def test_a_row_of_pictures_can_have_a_scale_of_its_own(tmp_path):
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    path = tmp_path / "chips.tif"
    write_cog(path, np.stack([100 * ramp, 50 + ramp]), Grid((8, 8), Affine(1, 0, 0, 0, -1, 8), None))
    bounds = [{"low": 0, "high": 100}, {"low": 50, "high": 51}]

    def drawn(own):
        rows = [
            p.SampleRow(label="", images=[p.Layer(file=str(path), band=i + 1)], **(bounds[i] if own else {}))
            for i in range(2)
        ]
        view = Painter(Reader([tmp_path])).draw(p.Samples(title="Chips", columns=["t2"], rows=rows))
        return view, [steps(row["images"][0]) for row in view["rows"]]

    def steps(uri):
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))), np.int64)

    own, (bright, dark) = drawn(own=True)
    np.testing.assert_array_equal(bright, dark)
    assert (dark.min(), dark.max()) == (1, STEPS)
    assert not own["legends"]
    common, (_, flat) = drawn(own=False)
    assert flat.max() - flat.min() <= 2
    assert len(common["legends"]) == 1
